"""Objectives, preferences and groups may be called anything: a picture shows what can be shown."""

from __future__ import annotations

import unicodedata
from dataclasses import replace
from io import BytesIO, StringIO
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

import paretohqd as pq

pytest.importorskip("altair")
vl_convert = pytest.importorskip("vl_convert")

from paretohqd.plots.run import evaluation_charts  # noqa: E402
from paretohqd.plots.selection import plot, save  # noqa: E402
from paretohqd.plots.theme import readable  # noqa: E402
from paretohqd.runs.metrics import Collapse, ModelMeasures, SampleMean  # noqa: E402

ODD = [
    "bell\x07",
    "nul\x00",
    "\x1b[31mred",
    "\\alpha\\beta",
    "ends in \\",
    "\\\"quotes'`${1}",
    "two\nlines\r\tand",
    "",
    "  ",
    "no character \ufffe",
    "\x7f\x85\u2028",
    "</text><b>&amp;",
    "#{0}%s",
    "datum.x + 1",
    "x" * 400,
    "مرحبا 👍🏽",
]
XML = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;"})


def chosen(first: str, second: str, **options: Any) -> pq.Selection:
    rng = np.random.default_rng(0)
    frame = pl.DataFrame({name: rng.normal(size=60) for name in (first, second, "last")})
    options = {"preferences": 2, "k": 3} | options
    by = options.get("by")
    frame = frame if by is None else frame.with_columns(pl.Series(by, [0, 1] * 30))
    return pq.choose(frame, [first, second, "last"], **options)


def test_any_names_in_any_place_and_format(tmp_path: Any) -> None:
    named = [name for name in ODD if name.strip()]
    weights = np.random.default_rng(0).dirichlet(np.ones(3), len(named)).tolist()
    selection = chosen(ODD[0], ODD[4], preferences=dict(zip(named, weights, strict=True)))
    for ending in ("png", "svg", "html"):
        save(plot(selection), tmp_path / f"x.{ending}")
        assert (tmp_path / f"x.{ending}").stat().st_size > 10_000
    for name in named:
        assert readable(name)[:8].translate(XML) in (tmp_path / "x.svg").read_text()


@pytest.mark.parametrize("at", range(0, len(ODD), 2))
def test_any_names_of_objectives_and_groups(tmp_path: Any, at: int) -> None:
    selection = chosen(ODD[at], ODD[at + 1], preferences=3, by=ODD[at - 1])
    save(plot(selection), tmp_path / "x.svg")
    text = (tmp_path / "x.svg").read_text()
    # Every dot is drawn, so no program that Vega-Lite makes of names has failed.
    assert text.count('aria-roledescription="circle"') >= 3 * 6
    for name in ODD[at : at + 2]:
        assert readable(name)[:8].translate(XML) in text


@given(st.text(alphabet=st.characters(exclude_categories=[])))
def test_readable_text_is_one_line_that_xml_can_hold(text: str) -> None:
    shown = readable(text)
    assert shown.strip() == shown != ""
    assert not {unicodedata.category(c) for c in shown} & {"Cc", "Cs", "Cn", "Zl", "Zp"}
    assert readable(shown) == shown


def test_readable_text_keeps_what_can_be_read() -> None:
    for name in ("helpful", "a b", "\\alpha", "étage_2 (λ)", "👍🏽", "<&>"):
        assert readable(name) == name


@pytest.mark.parametrize(("preferences", "upto"), [(1, 1), (2, 1), (2, 2), (3, 2)])
def test_every_legend_is_there_for_any_number_of_preferences(preferences: int, upto: int) -> None:
    rng = np.random.default_rng(1)
    frame = pl.DataFrame(rng.random((400, 2)), schema=["help", "safe"])
    weights = np.linspace([0.9, 0.1], [0.2, 0.8], preferences)
    text = StringIO()
    selection = pq.choose(frame, ["help", "safe"], weights, k=3, upto=upto)
    plot(selection).save(text, format="svg")
    assert ">weights of help, safe<" in text.getvalue()
    assert ">pool<" in text.getvalue()
    assert f">front: {selection.layer_sizes()[0]} rows<" in text.getvalue()
    assert (">layer 1: " in text.getvalue()) == (upto == 2)
    for row in weights:
        assert f">({row[0]:.3g}, {row[1]:.3g})<" in text.getvalue()


def test_charts_of_pages_take_any_name() -> None:
    for name in ODD[:7]:
        base = ModelMeasures(
            model="base",
            stage=0,
            preference=None,
            weights=None,
            n=4,
            reward={each: SampleMean(0.5, 0.1) for each in (name, "b")},
            gain=None,
            collapse=Collapse(short=0.0, repetitive=0.0, any=0.0),
            echo=0.0,
            words=9.0,
            tokens=12.0,
            finished=1.0,
        )
        models = [base, replace(base, model="x", stage=1, preference=0, weights=(1.0, 0.0))]
        (chart,) = evaluation_charts(models, [name, "b"], ["(1, 0)"])
        # Fails where an expression cannot be parsed.
        drawn = vl_convert.vegalite_to_svg(chart.spec)
        assert readable(name)[:8].translate(XML) in drawn


def test_an_objective_without_a_name() -> None:
    frame = pl.DataFrame({"": [1.0, 0.0, 0.6], "b": [0.0, 1.0, 0.7]})
    selection = pq.choose(frame, ["", "b"], 2, k=1)
    assert selection.pool.columns == ["row", "layer", "", "b"]
    picture = BytesIO()
    plot(selection).save(picture, format="png")
    assert picture.getvalue().startswith(b"\x89PNG")
