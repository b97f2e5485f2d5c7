"""A rule of selection: checked when it is made, the same from wherever it comes."""

import dataclasses
import inspect

import numpy as np
import polars as pl
import pytest
from polars.testing import assert_frame_equal

import paretohqd as pq
from paretohqd.frames.streaming import Resources
from paretohqd.runs import sections
from paretohqd.selection.choosing import choose_by_rule
from paretohqd.selection.options import SelectOptions
from paretohqd.selection.rule import Rule

FRAME = pl.DataFrame(np.random.default_rng(3).random((60, 2)), schema=["a", "b"])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"k": 0}, "k must be an integer of at least 1, got 0"),
        ({"k": True}, "k must be an integer of at least 1, got True"),
        ({"upto": 1.5}, "upto must be an integer of at least 1, got 1.5"),
        ({"at_least": -1}, "at_least must be an integer of at least 1, got -1"),
        ({"upto": 2, "at_least": 9}, r"choose one of upto \(2\) and at_least \(9\); both"),
        ({"bounds": "front"}, "bounds: expected 'pool', 'all' or two points .*, got 'front'"),
        ({"bounds": None}, "bounds: expected 'pool', 'all' or two points .*, got None"),
        ({"directions": "any"}, "directions: expected 'paper' or 'tchebycheff', got 'any'"),
        ({"duplicates": ["keep"]}, r"duplicates: expected 'keep' or 'drop', got \['keep'\]"),
        ({"nan": "keep"}, "nan must be 'raise' or 'drop', got 'keep'"),
        ({"distinct": "b", "at_most": {"b": 2}}, "at_most: 'b' is among distinct too"),
        (
            {"distinct": {"b": 2}},
            "distinct: expected the name of a column, or several, got {'b': 2}",
        ),
        ({"bounds": ["12", "34"]}, "bounds: expected 'pool', 'all' or two points"),
        ({"bounds": [[False, False], [True, True]]}, "bounds: expected 'pool', 'all' or two"),
        ({"bounds": [{0, 1}, {2, 3}]}, "bounds: expected 'pool', 'all' or two points"),
        ({"bounds": np.zeros(2)}, "bounds: expected 'pool', 'all' or two points"),
        ({"bounds": pl.Series([1, 2])}, "bounds: expected 'pool', 'all' or two points"),
        ({"bounds": pl.DataFrame({"a": [0, 1], "b": [0, 1]})}, "bounds: expected 'pool', 'all'"),
    ],
)
def test_what_no_frame_could_be_chosen_from_by_is_refused(options, message):
    with pytest.raises(ValueError, match=message):
        Rule(**options)
    # Before the frame is looked at, which is none.
    with pytest.raises(ValueError, match=message):
        pq.choose(None, ["a", "b"], **options)


def test_a_rule_is_what_the_options_say():
    options = {"k": 4, "at_least": 20, "bounds": "all", "scale": [1.0, 3.0], "nan": "drop"}
    by_rule = choose_by_rule(Rule(**options), FRAME, ["a", "b"], 3)
    assert_frame_equal(by_rule.rows, pq.select(FRAME, ["a", "b"], 3, **options))
    assert by_rule.rows.height == 12


def test_numbers_of_numpy_become_plain_ones():
    rule = Rule(k=np.int64(3), upto=np.uint8(2))
    assert (type(rule.k), type(rule.upto), rule.k, rule.upto) == (int, int, 3, 2)


def test_points_and_units_may_be_arrays():
    points, units = np.array([[-1, -1], [2, 3]]), np.array([1, 2], dtype=np.float32)
    rule = Rule(bounds=points, scale=units, epsilon=units, k=3)
    assert rule == Rule(bounds=[(-1, -1), (2, 3)], scale=[1.0, 2.0], epsilon=[1.0, 2.0], k=3)
    chosen = pq.select(FRAME, ["a", "b"], 3, k=3, bounds=points, scale=units)
    lists = {"bounds": [[-1, -1], [2, 3]], "scale": [1, 2]}
    assert_frame_equal(chosen, pq.select(FRAME, ["a", "b"], 3, k=3, **lists))


def test_what_callers_do_to_their_lists_later_changes_no_rule():
    scale, epsilon, by, quotas = [1.0, 2.0], {"a": 0.1}, ["b"], {"b": 2}
    rule = Rule(scale=scale, epsilon=epsilon, by=by, at_most=quotas)
    same = dataclasses.replace(rule)
    scale[0], epsilon["a"], by[0], quotas["b"] = 9, 9, "c", 9
    assert rule == same
    assert (rule.scale, rule.epsilon, rule.by) == ([1.0, 2.0], {"a": 0.1}, ["b"])


def test_a_quota_may_be_beyond_all_counts():
    frame = FRAME.with_columns(c=pl.int_range(pl.len()) % 5, d=pl.lit(1))
    for quotas in ({"c": 10**30}, {"c": 10**30, "d": 2**70}):
        assert_frame_equal(
            pq.select(frame, ["a", "b"], 3, k=4, at_most=quotas),
            pq.select(frame, ["a", "b"], 3, k=4),
        )


@pytest.mark.parametrize("by", [[["c"]], {"c": 1}, [1]])
def test_what_names_no_groups_is_refused(by):
    with pytest.raises(ValueError, match="by: "):
        pq.choose(FRAME.with_columns(c=1), ["a", "b"], 3, k=1, by=by)


SCALES = [[1.0], [1.0, 0.0], [1.0, np.nan], "cube", [[1.0, 2.0]], None, ["1", "2"], [True, True]]


@pytest.mark.parametrize("scale", SCALES)
def test_units_that_do_not_fit_are_refused_before_a_row_is_read(scale):
    frame = pl.LazyFrame({"a": [1.0, 0.0], "b": [0.0, 1.0]}).map_batches(
        lambda batch: pytest.fail("rows were read"), schema={"a": pl.Float64, "b": pl.Float64}
    )
    with pytest.raises(ValueError, match="scale: expected 'box', 'none' or 2 numbers above 0"):
        pq.choose(frame, ["a", "b"], 2, k=1, scale=scale)


def test_the_options_in_a_type_are_those_of_the_function_and_of_the_rule():
    parameters = inspect.signature(pq.choose).parameters
    options = [name for name, each in parameters.items() if each.kind is each.KEYWORD_ONLY]
    assert sorted(options) == sorted(SelectOptions.__annotations__)
    fields = {each.name: each.default for each in dataclasses.fields(Rule)}
    fields |= {each.name: each.default for each in dataclasses.fields(Resources)}
    assert {name: parameters[name].default for name in options} == fields


def test_a_section_of_yaml_makes_a_rule():
    section = sections.Selection(upto=3, bounds="all", one_per_prompt=True, duplicates="drop")
    assert section.rule(k=7) == Rule(
        k=7, upto=3, bounds="all", distinct="prompt", duplicates="drop"
    )
    assert sections.Selection().rule(k=100) == Rule()


@pytest.mark.parametrize("name", ["memory_limit", "n_threads"])
def test_resources_are_numbers_above_0(name):
    with pytest.raises(ValueError, match=f"{name} must be an integer of at least 1, got 0"):
        pq.choose(FRAME, ["a", "b"], 2, k=1, **{name: 0})


@pytest.mark.parametrize("frame", [FRAME, FRAME.lazy()])
def test_progress_is_a_function(frame):
    with pytest.raises(ValueError, match="progress: expected a function of a number of rows, got"):
        pq.choose(frame, ["a", "b"], 2, k=1, progress=3)


def test_a_memory_limit_does_not_go_with_groups():
    with pytest.raises(ValueError, match="memory_limit cannot be combined with by"):
        pq.choose(FRAME, ["a", "b"], 2, k=1, by="a", memory_limit=10**9)
