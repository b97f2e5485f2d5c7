"""The page of a comparison: one file without a network, every method, every text escaped."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

pytest.importorskip("altair")
pytest.importorskip("vl_convert")

from helpers.compared import ABLATIONS, LIMITS, METHODS, make, page_of, result_of
from helpers.page import HOSTILE, Page
from paretohqd.compare.measures import ComparisonResult, MethodResult
from paretohqd.compare.report import write_comparison
from paretohqd.compare.tables import cost_table, methods_table, summary_table
from paretohqd.compare.text import FAMILIES, RECONSTRUCTED, render
from paretohqd.plots.method_costs import cost_charts, curve_chart, ticks, trade_charts
from paretohqd.plots.method_points import point_charts
from paretohqd.plots.method_utilities import utility_chart
from paretohqd.plots.methods import SHAPES, colours, method_styles

FAILS = {("MODPO", 0): "no pairs", **{("RCS", seed): "out of memory" for seed in range(3)}}
NAMES = [name for name, *_ in METHODS] + list(ABLATIONS)


def number(value: float, sign: str = "-") -> str:
    return f"{value:{sign}.3f}".replace("-", "\N{MINUS SIGN}")


def write(folder: Path, results: dict[str, Any], answers: dict[str, pl.DataFrame]) -> Path:
    folder.mkdir(parents=True)
    (folder / "results.json").write_text(json.dumps(results))
    for key, frame in answers.items():
        (folder / key).mkdir(parents=True)
        frame.write_parquet(folder / key / "answers.parquet")
    return folder


@pytest.fixture(scope="module")
def demo() -> tuple[dict[str, Any], dict[str, pl.DataFrame], ComparisonResult, str]:
    results, answers = make(fails=FAILS)
    return results, answers, result_of(results, answers), page_of(results, answers)


@pytest.fixture(scope="module")
def read(demo) -> Page:
    return Page(demo[3])


def test_the_page_is_one_file_that_loads_nothing(demo, read):
    assert read.count("link") == read.count("img") == read.count("iframe") == 0
    for tag, attributes in read.elements:
        assert not {"src", "href", "srcset", "data", "action"} & attributes.keys(), tag
    styles = re.findall(r"<style>(.*?)</style>", demo[3], re.DOTALL)
    assert not any("url(" in style or "@import" in style for style in styles)
    assert all("url" not in json.dumps(spec.get("data", {})) for spec in read.specs)
    assert len(demo[3]) < 2_500_000


def test_what_it_cannot_tell_comes_first(read):
    text = " ".join(read.text.split())
    places = [text.index(part) for part in (*LIMITS, "What was compared", "Methods and verdicts")]
    assert places == sorted(places)
    assert "64 held-out prompts" in text
    assert "Seeds 0, 1, 2." in text
    assert "reference point (0, 0)" in text
    assert "each method trains on as many tokens as ParetoHqD in all" in text


def test_every_method_has_its_button_and_its_row(demo, read):
    _, _, result, html = demo
    buttons = re.findall(r'<button[^>]*data-pick="(\d+)"[^>]*>.*?</svg>([^<]+)</button>', html)
    assert [name for _, name in buttons[: len(NAMES)]] == sorted(
        NAMES, key=lambda n: (n != "ParetoHqD", n in ABLATIONS)
    )
    assert len(buttons) == 2 * len(NAMES)  # one legend for each budget
    rows = re.findall(r'<tr[^>]*><th scope="row">.*?</svg>([^<]+)</th>(.*?)</tr>', html, re.DOTALL)
    for entry in result.methods:
        own = [cells for name, cells in rows if name == entry.method]
        assert own
        if not entry.seeds:
            assert all("failed" in cells for cells in own if "hypervolume" not in cells)
            continue
        wanted = [entry.utility, entry.hypervolume, entry.best_single]
        wanted += [end for end in (entry.low, entry.high) if end is not None]
        assert any(all(number(v) in cells for v in wanted) for cells in own), entry.method
        difference = entry.against.reference
        if difference:
            shown = difference.verdict.replace("-", "\N{MINUS SIGN}"), number(difference.mean, "+")
            assert any(all(part in cells for part in shown) for cells in own)
    assert read.text.count("out of memory") == 2
    assert "MODPO failed: seed 0: no pairs" in read.text


def test_rows_are_as_wide_as_their_head(demo):
    tables = re.findall(r"<table>(.*?)</table>", demo[3], re.DOTALL)
    verdicts = [table for table in tables if "best<br>single" in table]
    assert len(verdicts) == 2
    for table in verdicts:
        head, *bodies = re.split(r"</thead>", table)
        width = head.count("<th ")
        rows = re.findall(r"<tr[^>]*>(<th scope=\"row\">.*?)</tr>", bodies[0], re.DOTALL)
        assert {1 + row.count("<td>") for row in rows} == {width}


def test_charts_are_all_there(read):
    # For each budget: fronts of methods and of ablations, utilities, three trades, two costs.
    assert len(read.specs) == 2 * 8
    charts = [a for tag, a in read.elements if tag == "div" and a.get("class") == "chart"]
    assert len(charts) == len(read.specs)
    assert all(a["role"] == "img" and a["aria-label"] for a in charts)
    ids = [a["id"] for _, a in read.elements if "id" in a]
    assert len(set(ids)) == len(ids)
    assert all(a["aria-labelledby"] in ids for _, a in read.elements if "aria-labelledby" in a)
    assert read.count("h1") == read.count("main") == 1


def test_notes_costs_and_answers_are_shown(demo, read):
    _, answers, result, _ = demo
    text = " ".join(read.text.split())
    assert "asked high against lowrelevance +0.013 (se 0.022)" in text  # two cells
    assert "matched: seed 0, 1, 2; own: seed 0, 1, 2" in text
    soups = cost_table(result).filter(method="rewarded soups (SFT)", budget="own")
    assert f"{soups['trained_tokens'][2]:,.0f}" in text
    assert "2 h 12 min" in text  # GRPO at 11 preferences, computed
    shown = [prompt for prompt in answers["own/0-base/0/0"]["prompt"] if prompt in read.text]
    assert len(shown) == 4
    assert read.count("details") == 4 + 1  # versions
    row = answers["own/5-hqd/0/1"].filter(prompt=shown[0]).row(0, named=True)
    assert row["response"] in read.text
    assert number(row["relevance"]) in read.text


def test_what_a_method_says_of_itself_stands_once():
    results, answers = make(budgets=["own"], seeds=[0])
    for each in results["runs"]:
        if each["ablation"] or each["method"] == "ParetoHqD":
            each |= {"about": "The rows nearest to a ray.", "source": "arXiv 2504.16628"}
    text = page_of(results, answers)
    assert text.count("<dd>The rows nearest to a ray.</dd>") == 1
    names = text.partition("<dd>The rows nearest")[0].rpartition("<dt>")[2]
    assert names.count('class="name"') == 1 + len(ABLATIONS)


def test_hostile_text_stays_text():
    methods = [(HOSTILE, *METHODS[0][1:]), *METHODS[4:7]]
    objectives = ["<script>alert(1)</script>", "a.b[0]'\""]
    results, answers = make(
        methods=methods,
        objectives=objectives,
        seeds=[0],
        text=HOSTILE,
        fails={("ParetoHqD stage 1", 0): HOSTILE},
    )
    for each in results["runs"]:
        each |= {"notes": {HOSTILE: {HOSTILE: 1.0}}, "source": HOSTILE}
    text = {"limits": [HOSTILE], "name": HOSTILE, "config": HOSTILE, "machine": HOSTILE}
    raw = page_of({**results, **text, "versions": {HOSTILE: HOSTILE}}, answers)
    read_page = Page(raw)
    assert read_page.count("script") == len(read_page.specs) + 2
    assert read_page.count("a") == read_page.count("em") == 0
    assert HOSTILE in read_page.text
    # Names travel inside the charts' data as well, where no "<" may stand.
    assert "<script>alert" not in raw
    inside = re.findall(r'"application/json">(.*?)</script>', raw, re.DOTALL)
    assert len(inside) == len(read_page.specs)
    assert not any("<" in data for data in inside)


def test_three_objectives_have_a_panel_for_each_pair():
    corners = [*np.eye(3).tolist(), [1 / 3] * 3]
    results, answers = make(
        objectives=("x", "y", "z"), weights=corners, budgets=["own"], seeds=[0], ablations=()
    )
    read_page = Page(page_of(results, answers))
    assert len(read_page.specs) == 3 + 6
    assert "a line joins" not in read_page.text


def test_ablations_that_all_failed_have_no_chart():
    fails = {(name, 0): "no budget" for name in ABLATIONS}
    read_page = Page(page_of(*make(budgets=["own"], seeds=[0], fails=fails)))
    assert len(read_page.specs) == 7
    assert read_page.text.count("no budget") == len(ABLATIONS)


@pytest.mark.parametrize("case", ["one prompt", "no base", "all failed", "bare", "one method"])
def test_a_page_of_little(case):
    options: dict[str, Any] = {"budgets": ["own"], "ablations": (), "seeds": [0]}
    options |= {
        "one prompt": {"prompts": 1},
        "no base": {"methods": METHODS[1:]},
        "all failed": {"fails": {(name, 0): "disk full" for name in NAMES}},
        "bare": {},
        "one method": {"methods": METHODS[:1]},
    }[case]
    results, answers = make(**options)
    if case == "bare":
        optional = {"name", "limits", "budgets", "machine", "versions", "seed"}
        results = {k: v for k, v in results.items() if k not in optional}
        wanted = ("method", "kind", "budget", "seed", "error", "policies")
        results["runs"] = [{k: run[k] for k in wanted} for run in results["runs"]]
    read_page = Page(page_of(results, answers))
    for run in results["runs"]:
        assert run["method"] in read_page.text
    if case == "all failed":
        assert not read_page.specs
        assert "Every run failed" in read_page.text
        assert read_page.text.count("disk full") == len(METHODS)
    if case == "one prompt":
        assert "no intervals and no verdicts" in read_page.text


def test_a_folder_becomes_a_page(tmp_path, demo):
    results, answers, *_ = demo
    folder = write(tmp_path / "run", results, answers)
    (folder / "config.yaml").write_text("methods: [base, soups]\n")
    out = write_comparison(folder, tmp_path / "pages" / "report.html")
    text = out.read_text("utf-8")
    assert "methods: [base, soups]" in text
    assert text.replace("methods: [base, soups]\n", "").count("<section") == demo[3].count(
        "<section"
    )
    assert [path.name for path in out.parent.iterdir()] == ["report.html"]


def test_one_seed_has_no_verdict_on_the_page():
    text = Page(page_of(*make(budgets=["own"], seeds=[0]))).text
    assert text.count("one seed: not tested") == len(NAMES) - 2
    assert text.count("the base: not tested") == 1
    assert not {"better", "worse"} & set(
        re.findall(r"\w+", text.partition("Methods and verdicts")[2])
    )


def test_a_comparison_without_a_scale_is_told_what_to_do(tmp_path, demo):
    results, answers, *_ = demo
    old = {name: value for name, value in results.items() if name != "bounds"}
    with pytest.raises(ValueError, match=r"no scale of the rewards.*run `paretohqd compare` again"):
        write_comparison(write(tmp_path / "run", old, answers), tmp_path / "page.html")


@pytest.mark.parametrize("missing", ["results.json", "own/5-hqd/0/1/answers.parquet"])
def test_an_unfinished_comparison_is_refused_by_name(missing, tmp_path, demo):
    folder = write(tmp_path / "run", *demo[:2])
    (folder / missing).unlink()
    with pytest.raises(ValueError, match=f"not a finished comparison: {missing} is missing"):
        write_comparison(folder, tmp_path / "page.html")
    assert not (tmp_path / "page.html").exists()


def test_each_method_has_a_look_of_its_own(demo):
    result = demo[2]
    many = [
        MethodResult(budget="own", method=f"m{i}", kind="x", ablation=i > 30) for i in range(40)
    ]
    for methods in (result.methods, many):
        styles = method_styles(methods, "ParetoHqD")
        for row in colours(styles).values():
            pairs = {(row[style.p], style.shape) for style in styles.values()}
            assert len(pairs) == len(styles) == len(row)
    styles = method_styles(result.methods, "ParetoHqD")
    assert (styles["ParetoHqD"].p, styles["ParetoHqD"].shape) == (0, SHAPES[0])
    assert styles["base"].base


def thirty() -> tuple[dict[str, Any], dict[str, pl.DataFrame]]:
    """A comparison of thirty methods of all families, some rebuilt without their authors' code."""
    families = [family for family in FAMILIES if family]
    methods = [
        METHODS[0],
        *((f"m{i}", "x", 0.1 + i / 60, 0.03, 3, 60.0, "preference") for i in range(28)),
        METHODS[5],
    ]
    results, answers = make(
        prompts=24, seeds=[0], budgets=["one"], methods=methods, ablations=["ParetoHqD, L = 1"]
    )
    for place, run in enumerate(run for run in results["runs"] if run["kind"] != "base"):
        run["family"] = families[place % len(families)]
        run["reconstructed"] = place % 3 == 0
    return results, answers


def test_many_methods_are_grouped_by_family():
    results, answers = thirty()
    result = result_of(results, answers)
    html = page_of(results, answers)
    titles = re.findall(r'<th class="group"[^>]*><span>([^<]+)</span>', html)
    assert titles == [*FAMILIES.values(), "Ablations"]
    assert re.findall(r'<span class="family">([^<]+)</span>', html) == titles
    order = re.findall(r'data-pick="\d+"[^>]*>.*?</svg>([^<]+)</button>', html)
    assert sorted(order) == sorted({entry.method for entry in result.methods})
    by_name = {entry.method: entry for entry in result.methods}
    kept = [name for name in order if not by_name[name].ablation]
    families = [by_name[name].family for name in kept]
    assert families == sorted(families, key=list(FAMILIES).index)
    styles = method_styles(result.methods, "ParetoHqD")
    looks = {(style.hue, style.shape) for style in styles.values()}
    assert len(looks) == len(styles) == 31
    hues = {(by_name[name].family, style.hue) for name, style in styles.items() if name != "base"}
    assert len(hues) == len(FAMILIES) - 1, "a family has one colour"
    text = render(result)
    assert "m0 *" in text
    assert "m1 *" not in text
    assert RECONSTRUCTED in text
    for table in (methods_table(result), summary_table(result)):
        marked = table.filter("reconstructed")["method"].to_list()
        assert set(marked) == {n for n, entry in by_name.items() if entry.reconstructed}


def rows(spec: dict[str, Any], layer: int) -> list[dict[str, Any]]:
    # Layers that all draw the same rows share them.
    return spec["datasets"][spec["layer"][layer].get("data", spec.get("data"))["name"]]


def marks(spec: dict[str, Any], kind: str) -> list[int]:
    return [i for i, layer in enumerate(spec["layer"]) if layer["mark"]["type"] == kind]


def test_charts_show_the_numbers_of_the_table(demo):
    result = demo[2]
    styles = method_styles(result.methods, "ParetoHqD")
    entries = [e for e in result.methods if e.budget == "own"]
    (front,) = point_charts(result, entries, styles, "Methods")
    points = rows(front.spec, marks(front.spec, "line")[0])
    assert len(points) == sum(len(e.points) for e in entries)
    hqd = next(e for e in entries if e.method == "ParetoHqD")
    drawn = [(r["x"], r["y"]) for r in points if r["p"] == 0]
    wanted = [tuple(reward.mean for reward in p.reward.values()) for p in hqd.points]
    assert drawn == [pytest.approx(pair, rel=1e-4) for pair in wanted]
    line = [r for r in points if r["p"] == 0 and r["line"]]
    assert all(
        not (a["x"] >= b["x"] and a["y"] >= b["y"]) for a in line for b in line if a is not b
    )
    chart = utility_chart(result, entries, styles)
    assert chart is not None
    volumes = rows(chart.spec, marks(chart.spec, "point")[-1])
    assert [r["x"] for r in volumes] == sorted((r["x"] for r in volumes), reverse=True)
    shown = {r["name"]: r for r in volumes}
    assert "RCS" not in shown
    assert shown["ParetoHqD"]["a"] == pytest.approx(hqd.utility_adjusted, rel=1e-4)
    assert shown["ParetoHqD"]["volume"] == pytest.approx(hqd.hypervolume, rel=1e-4)
    cost, tokens, _ = trade_charts(entries, styles)
    prices = {r["name"]: r["x"] for r in rows(cost.spec, marks(cost.spec, "point")[-1])}
    assert prices["ParetoHqD"] == pytest.approx(hqd.cost, rel=1e-4)
    dear = rows(tokens.spec, marks(tokens.spec, "point")[-1])
    assert {r["name"] for r in dear} == {*shown} - {"base"}
    free = rows(tokens.spec, marks(tokens.spec, "rule")[0])
    assert [r["name"] for r in free] == ["base"]
    costs = cost_table(result).filter(budget="own")
    trained, seconds = cost_charts(costs, styles)
    lines = rows(trained.spec, marks(trained.spec, "line")[0])
    assert {r["basis"] for r in lines} == {"measured", "computed", "no preferences"}
    assert {r["x"] for r in lines} == {1, 3, 11}
    assert "base" in {r["name"] for r in rows(seconds.spec, 0)}


def test_several_budgets_of_cost_make_a_curve():
    results, answers = make(budgets=["half", "one"], ablations=(), methods=METHODS[:6])
    for run in results["runs"]:
        if run["budget"] == "half":
            run["trained_tokens"] //= 2
            run["generated_tokens"] //= 2
    html = page_of(results, answers)
    text = Page(html).text
    assert "Each method at 0.5, 1 times what paretohqd usually costs" in " ".join(text.split())
    result = result_of(results, answers)
    styles = method_styles(result.methods, "ParetoHqD")
    chart = curve_chart(result.methods, styles)
    assert chart is not None
    drawn = rows(chart.spec, marks(chart.spec, "line")[0])
    own = sorted((r["x"], r["budget"]) for r in drawn if r["name"] == "ParetoHqD")
    assert [budget for _, budget in own] == ["half", "one"]
    assert own[1][0] == pytest.approx(2 * own[0][0], rel=1e-3)
    assert [r["name"] for r in rows(chart.spec, marks(chart.spec, "rule")[0])] == ["base"]
    assert curve_chart([e for e in result.methods if e.budget == "one"], styles) is None
    assert "Utility against cost</h2>" not in page_of(*make(budgets=["one"], ablations=()))


@pytest.mark.parametrize("low", [3.0, 900.0, 45_000.0])
@pytest.mark.parametrize("factor", [1.5, 2.0, 5.0, 40.0, 3e3, 1e7])
def test_log_axes_have_a_few_round_ticks(low, factor):
    marks_at = ticks(low, low * factor)
    assert 1 <= len(marks_at) <= 10
    assert marks_at == sorted(set(marks_at))
    assert all(low <= tick <= low * factor for tick in marks_at)
    assert len(marks_at) > 1 or factor < 2
