"""The page on which a reader moves between trade-offs."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

pytest.importorskip("altair")

from helpers.finished_run import GRIDS, make_run
from helpers.page import HOSTILE, Page
from paretohqd.policies.cells import parts_of
from paretohqd.policies.explorer import cells, write_explorer
from paretohqd.policies.finished import open_run

FOUR = (
    ["a", "b", "c", "d"],
    [*np.eye(4).tolist(), [0.25] * 4],
)
KINDS = {**{name: GRIDS[name] for name in ("two-3", "two-11", "three-4")}, "four-5": FOUR}


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    root = tmp_path_factory.mktemp("pages")
    made = {}
    for kind, (objectives, preferences) in KINDS.items():
        run = make_run(root / kind, list(objectives), [tuple(row) for row in preferences])
        made[kind] = write_explorer(run, root / f"{kind}.html")
    hostile = make_run(root / "hostile", [HOSTILE, "b"], GRIDS["two-3"][1], text=HOSTILE)
    made["hostile"] = write_explorer(hostile, root / "hostile.html")
    return made


def data_of(page: Path) -> dict[str, Any]:
    (data,) = Page(page.read_text("utf-8")).specs
    return data


@pytest.mark.parametrize("kind", list(KINDS))
def test_the_page_holds_what_was_measured(kind: str, pages: dict[str, Path]) -> None:
    data, run = data_of(pages[kind]), open_run(pages[kind].parent / kind)
    (family,) = data["families"]
    assert family["weights"] == [list(w) for w in run.preferences]
    for number, model in enumerate(family["models"]):
        answers = run.answers(number)
        np.testing.assert_allclose(
            model["rewards"], answers.select(run.objectives).to_numpy(), rtol=1e-3
        )
        assert model["answers"] == answers["response"].to_list()
    assert len(data["pool"]) <= 1500
    assert [len(rows) for rows in family["chosen"]] == [50] * len(run.preferences)
    assert pages[kind].stat().st_size < 3_000_000


def test_nothing_of_a_hostile_run_is_markup(pages: dict[str, Path]) -> None:
    text = pages["hostile"].read_text("utf-8")
    page = Page(text)
    assert page.count("script") == 2
    assert not any(name.startswith("on") or name == "href" for _, a in page.elements for name in a)
    (policy,) = (a["content"] for tag, a in page.elements if tag == "meta" and a.get("http-equiv"))
    assert "connect-src" not in str(policy)
    assert "unsafe" not in str(policy)


@pytest.mark.parametrize("kind", ["two-3", "two-11", "three-4"])
def test_cells_are_those_of_policies(kind: str) -> None:
    _, trained = KINDS[kind]
    rng = np.random.default_rng(0)
    found = cells(trained)
    for w in rng.dirichlet(np.ones(len(trained[0])), size=30):
        parts = parts_of(w.tolist(), trained)
        assert any(set(parts.places) <= set(cell) for cell in found)
    assert cells([(1, 0, 0), (0, 1, 0)]) == []


def test_where_nothing_was_trained_the_page_says_so(tmp_path: Path, browser: Any) -> None:
    run = make_run(tmp_path / "run", ["a", "b", "c"], [(1.0, 0.0, 0.0), (0.0, 1.0, 0.0)])
    page, said = show(browser, write_explorer(run, tmp_path / "page.html"))
    assert (
        "nothing was trained around it; shown is the nearest" in page.locator("#said").inner_text()
    )
    assert "the nearest model." in page.locator("#measured").inner_text()
    assert '{"a": 1, "b": 0, "c": 0}' in page.locator("#lines").inner_text()
    assert page.locator("#presets button[aria-pressed=true]").count() == 0
    assert said == []
    page.close()


def test_a_page_of_many_long_answers_stays_small(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run", *map(list, GRIDS["two-11"]), text="word " * 2000)  # type: ignore[arg-type]
    page = write_explorer(run, tmp_path / "page.html")
    assert page.stat().st_size < 3_000_000
    assert len(data_of(page)["prompts"]) >= 1


def test_a_comparison_has_a_page_too(tmp_path: Path) -> None:
    pytest.importorskip("scipy")
    from helpers.compared import make

    results, answers = make(prompts=12, seeds=[0, 1], budgets=["own"], ablations=[])
    for key, frame in answers.items():
        (tmp_path / key).mkdir(parents=True)
        frame.write_parquet(tmp_path / key / "answers.parquet")
    (tmp_path / "results.json").write_text(json.dumps(results))
    data = data_of(write_explorer(tmp_path, tmp_path / "page.html"))
    names = [family["name"] for family in data["families"]]
    assert len(names) == len(set(names)) >= 2
    assert data["load"] is None


def test_a_run_that_is_not_finished(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="is not a finished run"):
        write_explorer(tmp_path, tmp_path / "page.html")


# ── in a browser ─────────────────────────────────────────────────────────────────────────────


def show(browser: Any, file: Path, **more: Any) -> tuple[Any, list[str]]:
    page, said = browser.new_page(**more), []
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    page.on("dialog", lambda dialog: (said.append("a dialog"), dialog.dismiss()))
    page.goto(f"file://{file}")
    return page, said


@pytest.mark.parametrize("kind", [*KINDS, "hostile"])
def test_every_control_moves_and_nothing_is_said(
    kind: str, pages: dict[str, Path], browser: Any
) -> None:
    page, said = show(browser, pages[kind])
    sliders = page.locator("input[type=range]")
    for number in range(sliders.count()):
        before = page.locator("#said").inner_text()
        sliders.nth(number).focus()
        for _ in range(7):
            page.keyboard.press("ArrowRight")
        assert page.locator("#said").inner_text() != before
    for number in range(page.locator("#presets button").count()):
        button = page.locator("#presets button").nth(number)
        button.click()
        assert button.get_attribute("aria-pressed") == "true"
        assert page.locator("#cards article").count() == 2
        assert "Measured." in page.locator("#measured").inner_text()
    before = page.locator("#prompt").inner_text()
    page.locator("#next").click()
    assert page.locator("#place").inner_text() == "2 of 24"
    page.locator("#before").click()
    assert page.locator("#prompt").inner_text() == before
    page.locator("#search").fill("nobody asked this")
    assert "no prompt has this text" in page.locator("#place").inner_text()
    page.locator("#search").fill("")
    if kind == "three-4":
        field = page.locator("#field")
        box = field.bounding_box()
        page.mouse.click(box["x"] + box["width"] / 2, box["y"] + box["height"] * 0.55)
        assert page.locator("#cards article").count() >= 2
        page.locator("#across").select_option("2")
        page.locator("#up").select_option("0")
    assert page.title() != "ran"
    assert said == []
    page.close()


@pytest.mark.parametrize("kind", ["two-11", "three-4"])
def test_what_is_expected_is_the_prediction(
    kind: str, pages: dict[str, Path], browser: Any
) -> None:
    page, _ = show(browser, pages[kind])
    run = open_run(pages[kind].parent / kind)
    slider = page.locator("input[type=range]").first
    slider.focus()
    for _ in range(13):
        page.keyboard.press("ArrowRight")
    text = page.locator("#said").inner_text()
    w = [float(x) for x in re.search(r"w = \(([^)]*)\)", text)[1].split(",")]  # type: ignore[index]
    parts = parts_of([x / sum(w) for x in w], run.preferences)
    rewards = np.tensordot(parts.shares, run.rewards[list(parts.places)], axes=1)
    for row, (mean, deviation) in enumerate(
        zip(rewards.mean(axis=0), rewards.std(axis=0, ddof=1), strict=True)
    ):
        cell = page.locator("#rewards tr").nth(row).locator("td").first.inner_text()
        shown = [float(x) for x in cell.replace("\N{MINUS SIGN}", "-").rstrip(")").split(" (")]
        assert shown[0] == pytest.approx(mean, abs=3e-3)
        assert shown[1] == pytest.approx(deviation / len(rewards) ** 0.5, abs=3e-3)
    page.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 1280])
def test_it_fits_and_can_be_read(
    scheme: str, width: int, pages: dict[str, Path], browser: Any
) -> None:
    view = {"width": width, "height": 800}
    page, said = show(browser, pages["three-4"], color_scheme=scheme, viewport=view)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    ratios = page.evaluate(CONTRAST)
    assert min(ratios.values()) >= 4.5, ratios
    assert said == []
    page.close()


CONTRAST = """() => {
  const light = (text) => {
    const [r, g, b] = text.match(/[\\d.]+/g).map(Number).map((x) => {
      x /= 255; return x <= 0.03928 ? x / 12.92 : ((x + 0.055) / 1.055) ** 2.4;
    });
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const ratios = {};
  for (const selector of ["p.note", "h1", "#said", "button", ".answer", "thead th", "pre"]) {
    const element = document.querySelector(selector);
    let behind = element;
    const none = "rgba(0, 0, 0, 0)", style = getComputedStyle;
    while (style(behind).backgroundColor === none) behind = behind.parentElement;
    const a = light(style(element).color), b = light(style(behind).backgroundColor);
    ratios[selector] = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
  }
  return ratios;
}"""


def test_every_control_has_a_name(pages: dict[str, Path], browser: Any) -> None:
    page, _ = show(browser, pages["three-4"])
    unnamed = page.evaluate(
        """() => [...document.querySelectorAll("input, select, button, svg[role=img]")].filter(
        (e) => !(e.labels?.length || e.textContent.trim() || e.getAttribute("aria-label"))
        ).map((e) => e.id)"""
    )
    assert unnamed == []
    page.close()


def test_frames_are_needed_only_to_read(pages: dict[str, Path]) -> None:
    """No base and no adapters: the page is written without either."""
    run = open_run(pages["two-3"].parent / "two-3")
    assert not any(adapter.is_dir() for adapter in run.adapters)
    assert isinstance(run.answers(None), pl.DataFrame)
