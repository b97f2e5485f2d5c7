"""Options of a method: ranges beside the fields, whether they come from YAML or from Python."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any

import pytest

from paretohqd.compare.method import Count, Method, MethodOptions, Positive, Range, Share, Steps
from paretohqd.compare.methods import METHODS, ric, stage1
from paretohqd.compare.methods._selection import UNSET


@dataclass(frozen=True, kw_only=True)
class Options(MethodOptions):
    k: Count | None = None
    rate: Positive = 0.1
    share: Share = 0.5
    rounds: Annotated[int, Range(0, 6)] = 0
    steps: Steps | None = None
    word: str | None = None


METHOD = Method(run=lambda bench, options: [], options=Options, about="Nothing.")


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"k": 0}, "k: expected a whole number from 1 on, got 0"),
        ({"rate": 0.0}, "rate: expected a number above 0, got 0.0"),
        ({"rate": float("inf")}, "rate: expected a number above 0, got inf"),
        ({"rate": float("nan")}, "rate: expected a number above 0, got nan"),
        ({"share": 1.5}, "share: expected a number from 0 to 1, got 1.5"),
        ({"rate": -1}, "rate: expected a number above 0, got -1"),
        ({"rate": None}, "rate: expected a number above 0, got None"),
        ({"rounds": 7}, "rounds: expected a whole number from 0 to 6, got 7"),
    ],
)
def test_numbers_out_of_range_are_refused_wherever_they_come_from(
    given: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        Options(**given)
    with pytest.raises(ValueError, match=rf"^methods\[3\]\.{re.escape(message)}$"):
        METHOD.read(given, "methods[3]", name="it")


def test_the_ends_of_a_range_are_within() -> None:
    options = METHOD.read({"k": 1, "share": 0, "rounds": 6}, "methods[0]", name="it")
    assert (options.k, options.share, options.rounds) == (1, 0.0, 6)
    assert METHOD.read({"k": None}, "methods[0]", name="it").k is None


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"kk": 1}, r"unknown key methods\[0\] \(it\)\.kk: did you mean k\?"),
        ({"k": "1"}, r"methods\[0\]\.k: expected a whole number from 1 on, got '1'"),
        ({"k": True}, r"methods\[0\]\.k: expected a whole number from 1 on, got True"),
        ({"word": 5}, r"methods\[0\]\.word: expected text, got 5: put it in quotes"),
    ],
)
def test_unknown_options_and_other_kinds_are_refused(given: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        METHOD.read(given, "methods[0]", name="it")


def test_a_matched_budget_sets_the_length() -> None:
    with pytest.raises(ValueError, match=r"methods\[0\]\.steps: under a matched budget"):
        METHOD.read({"steps": 3}, "methods[0]", name="it", budgets=["own", "matched"])
    assert METHOD.read({"steps": 3}, "methods[0]", name="it", budgets=["own"]).steps == 3


@pytest.mark.parametrize("make", [stage1.Options, METHODS["paretohqd"].options])
def test_null_is_not_the_same_as_nothing(make: Callable[..., Any]) -> None:
    assert make().for_select() == {}
    assert make(distinct=None).for_select() == {"distinct": None}
    assert make(upto=2, at_least=None).for_select() == {"upto": 2, "at_least": None}
    assert make().upto is UNSET
    with pytest.raises(ValueError, match=r"^give upto or at_least, and not both$"):
        make(upto=2, at_least=5)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"corners": "rl", "k": 5}, "k: corners 'rl' train on no chosen rows: leave it out"),
        ({"beta": 0.2}, "beta: it is of corners 'dpo', not of 'sft': leave it out"),
    ],
)
def test_options_of_other_corners_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=rf"^methods\[2\]\.{re.escape(message)}$"):
        METHODS["soups"].read(options, "methods[2]", name="soups")


def test_quantiles_that_are_out_of_order_are_refused() -> None:
    with pytest.raises(ValueError, match=r"^low must be below high, got 0\.5 and 0\.5$"):
        ric.Options(low=0.5, high=0.5)


def test_a_method_says_only_what_it_has_to_say() -> None:
    assert METHOD.words == {"about": "Nothing."}
    assert list(METHODS["full"].words) == ["about", "source", "ours"]
