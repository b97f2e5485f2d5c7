"""The report: one page without a network, every text escaped, every number where it belongs."""

from __future__ import annotations

import json
import math
import re
from pathlib import Path

import numpy as np
import polars as pl
import pytest

pytest.importorskip("altair")
pytest.importorskip("vl_convert")

from helpers.finished_run import GRIDS, TWO, make_run
from helpers.page import HOSTILE, Page
from helpers.pictures import tables
from paretohqd.plots.theme import PICKED, palette
from paretohqd.runs.report import write_report
from paretohqd.runs.verdicts import compare_corners


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[Path, Path]]:
    """A run and its page for every grid, made once."""
    root = tmp_path_factory.mktemp("runs")
    made = {}
    for name, (objectives, preferences) in GRIDS.items():
        run = make_run(root / name, objectives, preferences)
        made[name] = (run, write_report(run, root / "pages" / f"{name}.html"))
    return made


@pytest.mark.parametrize("grid", GRIDS)
def test_page_is_one_file_that_loads_nothing(grid, pages):
    _, out = pages[grid]
    page = Page(out.read_text("utf-8"))
    assert [path.name for path in out.parent.iterdir() if path.stem == grid] == [out.name]
    assert page.count("link") == page.count("img") == page.count("iframe") == 0
    for tag, attributes in page.elements:
        assert not {"src", "href", "srcset", "data", "action"} & attributes.keys(), tag
    styles = re.findall(r"<style>(.*?)</style>", out.read_text("utf-8"), re.DOTALL)
    assert not any("url(" in style or "@import" in style for style in styles)
    assert all("url" not in json.dumps(spec.get("data", {})) for spec in page.specs)
    assert out.stat().st_size < 2_500_000


@pytest.mark.parametrize("grid", GRIDS)
def test_page_has_a_chart_for_every_pair_of_objectives(grid, pages):
    objectives, preferences = GRIDS[grid]
    page = Page(pages[grid][1].read_text("utf-8"))
    pairs = len(objectives) * (len(objectives) - 1) // 2
    assert len(page.specs) == 3 * pairs + 2  # two selections, the models, two training charts
    charts = [a for tag, a in page.elements if tag == "div" and a.get("class") == "chart"]
    assert len(charts) == len(page.specs)
    assert all(a["role"] == "img" and a["aria-label"] for a in charts)
    assert all(spec["width"] == "container" for spec in page.specs)
    picks = [a["data-pick"] for tag, a in page.elements if tag == "button"]
    assert {int(pick or "") for pick in picks} == set(range(-1, len(preferences)))


def test_page_shows_the_numbers_of_the_run(pages):
    run, out = pages["two-3"]
    page = Page(out.read_text("utf-8"))
    metrics = json.loads((run / "evaluate/summary/metrics.json").read_text())
    text = page.text
    for model in metrics["models"]:
        for objective in TWO:
            mean = f"{model['reward'][objective]['mean']:.3f}".replace("-", "\N{MINUS SIGN}")
            assert mean in text
    for expected in (
        "0.123",
        "0.500",
        "0.600",
        "0.346",
        "0.618",
        "0.875",
        "4.2 %",
        "95.8 %",
        "6 min 52 s",
        "2 cpu cores, no GPU",
        "torch 2.9.0",
        "always gain hypervolume",
        "note: |",
        "stage2-02 in hypervolume",
        "stage1-00 in utility",
    ):
        assert expected in text, expected


def test_page_has_what_a_reader_without_a_mouse_or_eyes_needs(pages):
    page = Page(pages["two-3"][1].read_text("utf-8"))
    attributes = {tag: a for tag, a in reversed(page.elements)}
    assert attributes["html"]["lang"] == "en"
    assert any(a.get("name") == "viewport" for tag, a in page.elements if tag == "meta")
    assert page.count("h1") == page.count("main") == 1
    assert all(a.get("scope") in ("row", "col") for tag, a in page.elements if tag == "th")
    ids = {a["id"] for _, a in page.elements if "id" in a}
    assert all(a["aria-labelledby"] in ids for _, a in page.elements if "aria-labelledby" in a)


def test_corner_models_are_compared_prompt_by_prompt(pages):
    run, out = pages["two-3"]
    ours = pl.read_parquet(run / "evaluate/stage2-00/answers.parquet")["relevance"].to_numpy()
    theirs = pl.read_parquet(run / "evaluate/stage2-02/answers.parquet")["relevance"].to_numpy()
    gap = ours - theirs
    se = gap.std(ddof=1) / math.sqrt(len(gap))
    text = " ".join(Page(out.read_text("utf-8")).text.split())
    assert f"relevance: (1, 0) wins It beats (0, 1) by {gap.mean():.3f} ± {se:.3f}." in text


@pytest.mark.parametrize(
    ("shift", "spread", "verdict"), [(1.0, 0.1, "wins"), (-1.0, 0.1, "loses"), (0.01, 1.0, "open")]
)
def test_a_difference_within_two_standard_errors_is_no_win(shift, spread, verdict):
    noise = spread * np.array([-1.0, 1.0] * 10)
    answers = {
        "base": pl.DataFrame({"a": np.zeros(20), "b": np.zeros(20)}),
        "x": pl.DataFrame({"a": shift + noise, "b": np.zeros(20)}),
        "y": pl.DataFrame({"a": np.zeros(20), "b": np.ones(20)}),
    }
    weights = {"base": None, "x": [1.0, 0.0], "y": [0.0, 1.0]}
    first, second = compare_corners(weights, answers, ["a", "b"])
    assert (first.verdict, second.verdict) == (verdict, "wins")
    assert first.rivals[0].mean == pytest.approx(shift)


def test_hostile_text_stays_text(tmp_path):
    objectives = ["<script>alert(1)</script>", "a.b[0]'\"", "**bold** `x`"]
    run = make_run(tmp_path / "<b>run", objectives, GRIDS["three-4"][1], stages=1, text=HOSTILE)
    raw = write_report(run, tmp_path / "page.html").read_text("utf-8")
    page = Page(raw)
    # One script per chart, the library and the page's own: none came from the run.
    assert page.count("script") == len(page.specs) + 2
    assert page.count("b") == len(objectives)  # the findings' titles, not the run's name
    assert page.count("a") == page.count("em") == 0
    assert HOSTILE in page.text
    assert objectives[0] in page.text
    assert "alert('x')" not in raw
    assert page.specs[0]["layer"][0]["encoding"]["x"]["title"] == objectives[0]


def test_hostile_names_of_preferences_stay_text(tmp_path):
    run = make_run(tmp_path / "run", *GRIDS["two-3"])
    facts = json.loads((run / "facts.json").read_text())
    facts["names"] = [HOSTILE, "a\x1b[2J</script><b>", "a.b[0]'\""]
    (run / "facts.json").write_text(json.dumps(facts))
    raw = write_report(run, tmp_path / "page.html").read_text("utf-8")
    page = Page(raw)
    assert page.count("script") == len(page.specs) + 2
    assert page.count("b") == 2
    assert HOSTILE in page.text
    assert "alert('x')" not in raw
    assert "\x1b" not in raw


def test_a_run_of_one_stage_leaves_the_other_out(tmp_path):
    run = make_run(tmp_path / "run", *GRIDS["two-3"], stages=1)
    text = Page(write_report(run, tmp_path / "page.html").read_text("utf-8")).text
    assert "in one stage" in text
    assert "Stage 1: the data" in text
    assert "tage 2" not in text


@pytest.mark.parametrize(
    "missing",
    [
        "config.yaml",
        "facts.json",
        "evaluate/summary/metrics.json",
        "evaluate/stage2-01/answers.parquet",
        "stage1/select/pool.parquet",
        "stage2/select/summary.json",
        "stage2/fit/02/log.json",
    ],
)
def test_an_unfinished_run_is_refused_by_name(missing, tmp_path):
    run = make_run(tmp_path / "run", *GRIDS["two-3"])
    (run / missing).unlink()
    with pytest.raises(ValueError, match=f"not a finished run: {re.escape(missing)} is missing"):
        write_report(run, tmp_path / "page.html")
    assert not (tmp_path / "page.html").exists()


@pytest.mark.parametrize("text", ["", '{"bounds": {}}', '{"bounds": {}, "models": 3}'])
@pytest.mark.parametrize(
    "name", ["facts.json", "evaluate/summary/metrics.json", "stage1/select/summary.json"]
)
def test_a_damaged_file_is_named(name, text, tmp_path):
    run = make_run(tmp_path / "run", *GRIDS["two-3"])
    (run / name).write_text(text)
    with pytest.raises(ValueError, match=f"{re.escape(str(run / name))} is damaged: "):
        write_report(run, tmp_path / "page.html")


def test_measures_of_an_older_version_are_to_be_taken_again(tmp_path):
    run = make_run(tmp_path / "run", *GRIDS["two-3"])
    path = run / "evaluate/summary/metrics.json"
    metrics = json.loads(path.read_text())
    del metrics["bounds"]
    path.write_text(json.dumps(metrics))
    with pytest.raises(ValueError, match=r"has no scale of the rewards.*run `paretohqd run` again"):
        write_report(run, tmp_path / "page.html")


def test_answers_to_other_prompts_are_refused(tmp_path):
    run = make_run(tmp_path / "run", *GRIDS["two-3"])
    path = run / "evaluate/stage2-01/answers.parquet"
    pl.read_parquet(path).reverse().write_parquet(path)
    with pytest.raises(ValueError, match="stage2-01 and base did not answer the same prompts"):
        write_report(run, tmp_path / "page.html")


def test_the_front_is_whole_and_cells_hold_all_rows(tmp_path):
    run = make_run(tmp_path / "run", *GRIDS["two-3"])
    select = run / "stage1/select"
    pool = pl.read_parquet(select / "pool.parquet")
    bulk = pl.DataFrame(
        {
            "row": np.arange(700, 9_700, dtype=np.uint32),
            **dict.fromkeys(TWO, np.linspace(-3, -2, 9_000)),
            "layer": np.full(9_000, -1, dtype=np.int32),
        }
    )
    pl.concat([pool, bulk]).write_parquet(select / "pool.parquet")
    spec = Page(write_report(run, tmp_path / "page.html").read_text("utf-8")).specs[0]
    front = pool.filter(pl.col("layer") == 0).select(TWO).unique()
    (steps,) = of_mark(spec, "line")
    assert set(steps.select("v0", "v1").rows()) == set(front.rows())
    # A true front only ever goes down to the right.
    assert steps["v0"].is_sorted()
    assert steps["v1"].is_sorted(descending=True)
    (cells,) = of_mark(spec, "rect")
    assert cells["n"].sum() == 9_700
    chosen = next(data for data in of_mark(spec, "circle") if "p" in data.columns)
    expected = pl.read_parquet(select / "selection.parquet").select("preference", *TWO).unique()
    assert set(chosen.select("p", "v0", "v1").rows()) == set(expected.rows())


def test_a_preference_can_be_picked_in_every_chart(pages):
    for spec in Page(pages["three-4"][1].read_text("utf-8")).specs[:3]:
        filtered = [layer for layer in spec["layer"] if "transform" in layer]
        marks = [
            layer["mark"]["type"]
            for layer in filtered
            if any(step.get("filter") == PICKED for step in layer["transform"])
        ]
        assert marks == ["rule", "circle"]
        text = json.dumps([layer["encoding"] for layer in spec["layer"]])
        assert '"legend": {' not in text  # the page has one for all charts
        assert not re.search("#[0-9a-f]{6}", json.dumps(spec["layer"]))


def of_mark(spec, mark):
    """The data of the layers of this mark."""
    return [data for layer, data in tables(spec, spec) if layer["mark"]["type"] == mark]


def test_rays_run_from_the_ideal_through_the_compromise_point(pages):
    run, out = pages["two-11"]
    summary = json.loads((run / "stage1/select/summary.json").read_text())
    spec = Page(out.read_text("utf-8")).specs[0]
    (rays,) = of_mark(spec, "rule")
    high, low = np.array(summary["r_max"]), np.array(summary["r_min"])
    for ray in rays.iter_rows(named=True):
        through = low + np.array(summary["through"][ray["p"]]) * (high - low)
        start, end = np.array([ray["x"], ray["y"]]), np.array([ray["x2"], ray["y2"]])
        way, wanted = end - start, through - start
        assert start == pytest.approx(high)
        assert way[0] * wanted[1] == pytest.approx(way[1] * wanted[0], abs=1e-9)
        assert way @ wanted > 0


@pytest.mark.parametrize("grid", GRIDS)
def test_each_preference_has_a_colour_of_its_own(grid):
    for colours in palette(GRIDS[grid][1]).values():
        assert len(set(colours)) == len(GRIDS[grid][1])
        assert all(re.fullmatch("#[0-9a-f]{6}", colour) for colour in colours)
