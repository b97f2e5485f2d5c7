"""Pages allow what they carry and nothing else, and show what names say instead of doing it."""

from __future__ import annotations

import base64
import json
import re
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

pytest.importorskip("altair")
pytest.importorskip("vl_convert")

from helpers.finished_run import GRIDS, make_run
from helpers.page import HOSTILE, Page
from paretohqd.plots import save
from paretohqd.plots.theme import tip
from paretohqd.runs.report import write_report
from paretohqd.selection.choosing import choose

INJECTED = [
    HOSTILE,
    "<img src=x onerror=\"document.title='ran'\">",
    "<script>document.title='ran'</script>",
    "javascript:document.title='ran'",
    "';document.title='ran';//",
    '"-(document.title="ran")-"',
    "\\';document.title='ran';//",
    "{{ 7 * 7 }}",
    "</style><script>document.title='ran'</script>",
    "</title><script>document.title='ran'</script>",
    "<!--<script>",
]
SPECIAL = ["image", "title", "url", "href", "__proto__", "constructor", "toString", "layer", "row"]


def selection_page(out: Path, names: list[str]) -> Path:
    points = np.random.default_rng(0).random((300, len(names)))
    frame = pl.DataFrame({name: points[:, i] for i, name in enumerate(names)})
    save(choose(frame, names, k=5).plot(), out)
    return out


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A page of each kind, made of hostile names and texts."""
    root = tmp_path_factory.mktemp("pages")
    folder = root / INJECTED[1].replace("/", " ")
    run = make_run(folder, INJECTED[:2], GRIDS["two-3"][1], text=HOSTILE)
    pytest.importorskip("scipy")
    from helpers.compared import make
    from paretohqd.compare.records import ComparisonRecord
    from paretohqd.compare.report import page

    comparison = root / "compare.html"
    results, answers = make(prompts=12, seeds=[0], budgets=["own"], ablations=[], text=HOSTILE)
    record = ComparisonRecord.of(results | {"machine": INJECTED[1], "limits": INJECTED})
    comparison.write_text(page(record, answers, name=HOSTILE, config=HOSTILE))
    return {
        "selection": selection_page(root / "selection.html", ["title", INJECTED[1]]),
        "run": write_report(run, root / "run.html"),
        "comparison": comparison,
    }


KINDS = ["selection", "run", "comparison"]


def policy_of(text: str) -> dict[str, list[str]]:
    page = Page(text)
    (policy,) = (
        a["content"] or ""
        for tag, a in page.elements
        if tag == "meta" and a.get("http-equiv") == "Content-Security-Policy"
    )
    return {words[0]: words[1:] for words in map(str.split, policy.split(";"))}


@pytest.mark.parametrize("kind", KINDS)
def test_the_policy_names_what_the_page_carries(kind: str, pages: dict[str, Path]) -> None:
    text = pages[kind].read_bytes().decode()
    policy = policy_of(text)
    assert "unsafe" not in json.dumps(policy)
    assert policy["default-src"] == policy["base-uri"] == policy["form-action"] == ["'none'"]
    assert policy.keys() == {
        "default-src",
        "script-src",
        "style-src",
        "base-uri",
        "form-action",
    }
    for source, element in (("script-src", "script"), ("style-src", "style")):
        inside = re.findall(rf"<{element}>(.*?)</{element}>", text, re.DOTALL)
        digests = [base64.b64encode(sha256(each.encode()).digest()).decode() for each in inside]
        assert [f"'sha256-{digest}'" for digest in digests] == policy[source]
    assert text.index("Content-Security-Policy") < text.index("<style>")
    assert text.index("Content-Security-Policy") < text.index("<script>")


@pytest.mark.parametrize("kind", KINDS)
def test_no_element_carries_code_or_a_style_of_its_own(kind: str, pages: dict[str, Path]) -> None:
    page = Page(pages[kind].read_text("utf-8"))
    for tag, attributes in page.elements:
        assert not [name for name in attributes if name.startswith("on") or name == "style"], tag
    assert [a.get("type") for tag, a in page.elements if tag == "script"].count(None) == 2


@pytest.mark.parametrize("name", SPECIAL)
def test_no_line_of_a_tooltip_has_a_special_key(name: str) -> None:
    title = tip("x:Q", name).to_dict()["title"]
    assert title != name
    assert title.rstrip("\N{ZERO WIDTH SPACE}") == name


def show(browser: Any, file: Path) -> tuple[Any, list[str]]:
    """The page in a browser, its charts drawn, and what was said on the console."""
    page, said = browser.new_page(), []
    page.set_default_timeout(120_000)
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    page.on("dialog", lambda dialog: (said.append("a dialog"), dialog.dismiss()))
    page.on("request", lambda request: said.append(request.url))
    page.goto(f"file://{file}")
    charts = page.locator(".chart").count()
    page.wait_for_function(f"document.querySelectorAll('.chart svg').length == {charts}")
    return page, [line for line in said if not line.startswith("file://")]


@pytest.mark.parametrize("kind", KINDS)
def test_in_a_browser_the_charts_work_and_nothing_else_runs(
    kind: str, pages: dict[str, Path], browser: Any
) -> None:
    page, said = show(browser, pages[kind])
    assert page.title() != "ran"
    assert said == []
    marks = page.locator(".chart svg path[aria-roledescription], .chart svg .mark-symbol path")
    shown = page.locator("#vg-tooltip-element.visible")
    for number in range(marks.count() - 1, -1, -1):
        marks.nth(number).hover(force=True)
        if shown.count():
            break
    assert shown.count(), "no mark has a tooltip"
    assert page.locator("#vg-tooltip-element img, #vg-tooltip-element h2").count() == 0
    chips = page.locator("[data-pick='1']")
    if kind != "selection":
        before = page.locator(".panels").first.inner_html()
        chips.first.click()
        page.wait_for_timeout(500)
        assert page.locator(".panels").first.inner_html() != before
    page.close()


@pytest.mark.parametrize("name", INJECTED)
def test_in_a_browser_no_name_runs(name: str, browser: Any, tmp_path: Path) -> None:
    page, said = show(browser, selection_page(tmp_path / "page.html", [name, "image"]))
    assert page.title() == "Selection"
    assert said == []
    page.close()


def test_in_a_browser_a_script_that_got_into_a_page_does_not_run(
    pages: dict[str, Path], browser: Any, tmp_path: Path
) -> None:
    """The policy is the second line: here the first one has failed."""
    text = pages["run"].read_text("utf-8")
    bad = "<script>document.title='ran'</script><img src=x onerror=\"document.title='ran'\">"
    (tmp_path / "page.html").write_text(text.replace("<main>", f"<main>{bad}"))
    page, said = show(browser, tmp_path / "page.html")
    assert page.title() != "ran"
    assert any("Content Security Policy" in line for line in said)
    page.close()
