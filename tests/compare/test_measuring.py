"""Where methods stand: every number against its plain definition."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from itertools import product
from typing import Any

import numpy as np
import polars as pl
import pytest

from helpers.compared import (
    BOX,
    CORNERS,
    METHODS,
    XY,
    answers_frame,
    entry,
    make,
    measured,
    result_of,
    run,
)
from paretohqd.compare.measures import Against, ComparisonResult
from paretohqd.compare.tables import cost_table, methods_table, points_table, summary_table
from paretohqd.compare.text import render
from paretohqd.kernels import statistics
from paretohqd.kernels.hypervolume import hypervolume
from paretohqd.runs.utility import scaled, served


@pytest.fixture(scope="module")
def demo() -> tuple[dict[str, Any], dict[str, pl.DataFrame], ComparisonResult]:
    results, answers = make(
        fails={("MODPO", 0): "no pairs", ("RCS", 0): "x", ("RCS", 1): "y", ("RCS", 2): "x"}
    )
    return results, answers, result_of(results, answers)


def test_a_method_is_compared_with_the_one_it_names():
    levels = {"base": -3.0, "ParetoHqD": 0.0, "b": 1.0, "c": 1.5}
    answers, runs = {}, []
    for (name, level), seed in product(levels.items(), (0, 1)):
        answers[f"{name}{seed}"] = answers_frame(np.full((5, 2), level), XY)
        against = "b" if name == "c" else None
        runs.append(run(name, [f"{name}{seed}"], seed=seed, against=against))
    result = measured(runs, answers)
    assert entry(result, "b").against.reference.name == "ParetoHqD"
    rival = entry(result, "c").against.reference
    assert rival.name == "b"
    assert rival.mean == pytest.approx(0.5 / 8), "the box is 8 wide"
    text = render(result)
    assert "c against b: better" in text
    assert "less ParetoHqD" in text
    (row,) = (line.split() for line in text.splitlines() if line.startswith("c  "))
    assert "better" not in row, "the difference to another is not in ParetoHqD's column"
    assert summary_table(result).filter(method="c")["reference name"].to_list() == ["b"]
    for each in runs[-2:]:
        each["budget"] = "matched"
    assert entry(measured(runs, answers), "c", "matched").against.reference is None


def test_an_echo_counts_with_the_lower_of_its_own_score_and_the_base():
    rng = np.random.default_rng(6)
    base, tuned = rng.normal(size=(40, 2)), rng.normal(0.5, 1, size=(40, 2))
    echo = np.arange(40) < 16
    answers = {
        "base": answers_frame(base, XY),
        "a": answers_frame(tuned, XY).with_columns(echo=pl.Series(echo)),
        "all": answers_frame(tuned, XY).with_columns(echo=True),
    }
    runs = [run("base", ["base"]), run("ParetoHqD", ["a"]), run("hacked", ["all"])]
    result = measured(runs, answers)
    lower = np.where(echo[:, None], np.minimum(base, tuned), tuned)
    assert (lower < tuned).any()
    assert (lower < np.where(echo[:, None], base, tuned)).any(), "some echoes score below the base"
    z = scaled(lower, BOX).mean(axis=0)
    assert result.runs[1].echo_adjusted == pytest.approx(np.prod(z))
    assert result.runs[1].utility_adjusted == pytest.approx(z.mean())
    assert result.runs[1].echo == 0.4
    for each in result.runs:
        assert each.utility_adjusted <= each.utility, "no echo is rewarded"
        assert each.echo_adjusted <= each.hypervolume
    hacked = entry(result, "hacked")
    assert hacked.utility_adjusted <= entry(result, "base").utility
    adjusted = hacked.against.echo_adjusted
    assert adjusted is not None
    assert f"echo-adjusted {adjusted.mean:+.3f}" in render(result)


def test_what_the_base_echoes_earns_it_nothing():
    base, tuned = np.full((4, 2), 1.0), np.full((4, 2), 2.0)
    answers = {
        "base": answers_frame(base, XY).with_columns(echo=pl.Series([True, True, False, False])),
        "a": answers_frame(tuned, XY).with_columns(echo=pl.Series([True, False, True, False])),
    }
    result = measured([run("base", ["base"]), run("ParetoHqD", ["a"])], answers)
    one, two = (1 + 3) / 8, (2 + 3) / 8
    assert result.runs[0].utility_adjusted == pytest.approx((0 + 0 + one + one) / 4)
    assert result.runs[1].utility_adjusted == pytest.approx((0 + two + one + two) / 4)


def test_a_rival_moves_nobody():
    results, answers = make(budgets=["own"], methods=METHODS[:6], ablations=())
    before = result_of(results, answers)
    extreme = answers["own/0-base/0/0"].with_columns(relevance=9.0, **{"harmless logit": -50.0})
    more = [
        *results["runs"],
        run("extreme", ["x"], kind="x"),
        run("extreme", ["x"], kind="x", seed=1),
    ]
    after = result_of({**results, "runs": more}, {**answers, "x": extreme})
    assert after.runs[:-2] == before.runs
    for old, new in zip(before.methods, after.methods, strict=False):
        assert replace(old, against=Against()) == replace(new, against=Against())
    assert entry(after, "extreme").hypervolume == 0, "below the scale there is no volume"
    assert entry(after, "extreme").utility < -1, "but utility is not clipped"


def test_without_a_base_nothing_is_measured_against_it():
    results, answers = make(budgets=["own"], methods=METHODS[1:], ablations=())
    result = result_of(results, answers)
    assert all(r.echo_adjusted is None for r in result.runs)
    assert all(e.against.base is None for e in result.methods)
    assert entry(result, "SFT").against.reference.verdict
    assert "SFT against ParetoHqD" in render(result)


def test_the_base_of_another_budget_serves(demo):
    results, answers, _ = demo
    runs = [r for r in results["runs"] if r["kind"] != "base" or r["budget"] == "own"]
    result = result_of({**results, "runs": runs}, answers)
    assert entry(result, "SFT", "matched").against.base.budget == "own"
    assert all(r.echo_adjusted is not None for r in result.runs if r.status == "ok")


def test_the_reference_is_of_the_same_budget(demo):
    results, answers, result = demo
    assert entry(result, "SFT", "matched").against.reference.budget == "matched"
    gone = [r for r in results["runs"] if (r["method"], r["budget"]) != ("ParetoHqD", "own")]
    again = result_of({**results, "runs": gone}, answers)
    assert entry(again, "SFT").against.reference is None
    assert entry(again, "SFT", "matched").against.reference is not None


def test_one_prompt_has_no_interval():
    results, answers = make(prompts=1)
    result = result_of(results, answers)
    assert all(r.hypervolume_low is r.utility_se is None for r in result.runs)
    mine = entry(result, "SFT")
    assert mine.against.reference.verdict == "one prompt: not tested"
    assert mine.points[0].reward["relevance"].se is None
    assert "no intervals and no verdicts" in render(result)


def test_a_failed_run_keeps_its_row(demo):
    results, _, result = demo
    table = methods_table(result)
    assert table.height == len(results["runs"])
    assert table.filter(status="failed").height == 2 * 4
    row = table.row(
        by_predicate=(pl.col("method") == "MODPO")
        & (pl.col("seed") == 0)
        & (pl.col("budget") == "own"),
        named=True,
    )
    assert (row["error"], row["hypervolume"], row["status"]) == ("no pairs", None, "failed")
    modpo, rcs = entry(result, "MODPO"), entry(result, "RCS")
    assert (modpo.seeds, modpo.failed) == ((1, 2), ((0, "no pairs"),))
    against = modpo.against.reference
    assert against.seeds == (1, 2)
    assert (rcs.seeds, rcs.hypervolume) == ((), None)
    summary = summary_table(result)
    assert summary.height == len(result.methods)
    assert summary.filter(method="RCS")["failed"].to_list() == [3, 3]
    text = render(result)
    assert "RCS failed: seed 0, 2: x; seed 1: y" in text
    assert points_table(result).filter(method="RCS").is_empty()
    assert json.loads(json.dumps(asdict(result)))["methods"][0]["method"] == "base"


def test_nothing_but_failures():
    runs = [run("a", [], error="out of memory"), run("b", [], seed=1, error="NaN")]
    result = measured(runs, {})
    assert methods_table(result)["error"].to_list() == ["out of memory", "NaN"]
    assert summary_table(result).height == 2
    assert "Every run failed" in render(result)


def test_a_hypervolume_of_three_objectives():
    names = ("x", "y", "z")
    corners = [*np.eye(3).tolist(), [1 / 3, 1 / 3, 1 / 3]]
    results, answers = make(objectives=names, weights=corners, seeds=[0, 1])
    result = result_of(results, answers, replicates=200)
    for each, measured_run in zip(results["runs"], result.runs, strict=True):
        means = [answers[p["answers"]].select(names).mean().row(0) for p in each["policies"]]
        points = scaled(means, results["bounds"])
        assert measured_run.hypervolume == pytest.approx(hypervolume(points, ref=[0, 0, 0]))
        assert measured_run.hypervolume_low <= measured_run.hypervolume_high
        weights = [p["weights"] for p in each["policies"]]
        assert measured_run.utility == pytest.approx(served(points[:, None], weights, corners)[0])
    assert methods_table(result)["rank z"].drop_nulls().len() > 0


def test_rows_hold_what_the_answers_say(demo):
    results, answers, result = demo
    table = methods_table(result)
    place = next(i for i, r in enumerate(results["runs"]) if r["method"] == "ParetoHqD")
    frames = [answers[p["answers"]] for p in results["runs"][place]["policies"]]
    row = table.row(place, named=True)
    every = pl.concat(frames)
    for name in ("short", "repetitive", "echo", "words", "tokens", "finished", "entropy"):
        assert row[name] == pytest.approx(every[name].cast(pl.Float64).mean()), name
    assert row["collapse"] == pytest.approx((every["short"] | every["repetitive"]).mean())
    weights = [w[1] for w in CORNERS]
    reached = [f["harmless logit"].mean() for f in frames]
    assert row["rank harmless logit"] == statistics.rank_correlation(weights, reached)
    assert row["rank_mean"] == pytest.approx(
        (row["rank harmless logit"] + row["rank relevance"]) / 2
    )
    assert row["seconds"] == pytest.approx(row["seconds train"] + row["seconds generate"] + 0.1)
    points = points_table(result).filter(method="ParetoHqD", budget="matched", seed=0)
    assert points["weights"].to_list() == ["(1, 0)", "(0.5, 0.5)", "(0, 1)"]
    assert points["relevance"].to_list() == pytest.approx([f["relevance"].mean() for f in frames])
    errors = [f["relevance"].std() / np.sqrt(64) for f in frames]
    assert points["relevance se"].to_list() == pytest.approx(errors)


def test_sparsity_is_of_the_scaled_front():
    means = {"a": [0.0, 4.0], "b": [1.0, 2.0], "c": [2.0, 0.0], "d": [0.5, 1.0]}
    answers = {k: answers_frame(np.full((3, 2), v), XY) for k, v in means.items()}
    box = {"x": (0.0, 2.0), "y": (0.0, 4.0)}
    result = measured([run("m", list("abcd"))], answers, bounds=box)
    assert result.runs[0].front == 3
    assert result.runs[0].sparsity == statistics.sparsity([[0, 1], [0.5, 0.5], [1, 0]])


def test_entropy_may_be_unknown(demo):
    results, answers, _ = demo
    bare = {key: frame.drop("entropy") for key, frame in answers.items()}
    assert methods_table(result_of(results, bare))["entropy"].null_count() == len(results["runs"])
    some = {
        k: f.with_columns(entropy=pl.Series([None, float("nan"), *[1.5] * 62]))
        for k, f in answers.items()
    }
    assert set(methods_table(result_of(results, some))["entropy"].drop_nulls()) == {1.5}


def test_costs_grow_as_their_parts_say():
    parts = [
        {"phase": "sample", "per": "once", "seconds": 5.0, "trained": 0, "generated": 900},
        {"phase": "train", "per": "objective", "seconds": 10.0, "trained": 50, "generated": 0},
        {"phase": "train", "per": "preference", "seconds": 30.0, "trained": 60, "generated": 0},
        {"phase": "train", "per": "preference", "seconds": 33.0, "trained": 66, "generated": 9},
        {"phase": "sample", "per": "representative", "seconds": 1.0, "trained": 1, "generated": 0},
    ]
    frame = answers_frame(np.zeros((2, 2)), XY)
    runs = [
        run("steered", ["a", "a"], weights=[[1.0, 0.0], [0.0, 1.0]], costs=parts),
        run("plain", ["a"], costs=parts),
        run("unknown", ["a"]),
    ]
    table = cost_table(measured(runs, {"a": frame}), preferences=(1, 2, 11))
    steered = table.filter(method="steered")
    assert steered["seconds"].to_list() == pytest.approx([47.0, 79.0, 16.5 + 11 * 31.5])
    assert steered["trained_tokens"].to_list() == pytest.approx([113.5, 177, 51.5 + 11 * 63])
    assert steered["generated_tokens"].to_list() == pytest.approx([904.5, 909, 900 + 11 * 4.5])
    assert steered["basis"].to_list() == ["computed", "measured", "computed"]
    other = cost_table(measured(runs, {"a": frame}), preferences=(1, 11)).filter(method="steered")
    assert other["preferences"].to_list() == [1, 2, 11], "the number that was run is always there"
    plain = table.filter(method="plain")
    assert plain["seconds"].to_list() == [79.0] * 3
    assert set(plain["basis"]) == {"no preferences"}
    assert table.filter(method="unknown").is_empty()
    runs[0]["costs"] = [{**parts[0], "per": "week"}]
    with pytest.raises(ValueError, match="steered: a cost is per 'week'; it can be per once"):
        cost_table(measured(runs, {"a": frame}))


def test_results_do_not_depend_on_the_order_of_runs(demo):
    results, answers, result = demo
    turned = result_of({**results, "runs": results["runs"][::-1]}, answers)
    for mine in result.methods:
        other = entry(turned, mine.method, mine.budget)
        assert other.low == mine.low
        assert other.against == mine.against


def test_bad_input_is_refused_by_name(demo):
    results, answers, _ = demo
    first = results["runs"][1]
    key = first["policies"][0]["answers"]
    frame = answers[key]
    bad = {
        "not to the same prompts": frame.reverse(),
        "lack the column.s. echo": frame.drop("echo"),
        "no finite relevance in row 2": frame.with_columns(
            relevance=pl.when(pl.int_range(pl.len()) == 2).then(None).otherwise("relevance")
        ),
    }
    for message, wrong in bad.items():
        with pytest.raises(ValueError, match=message) as caught:
            result_of(results, {**answers, key: wrong})
        assert key in str(caught.value)
    with pytest.raises(ValueError, match=f"no answers under '{key}'"):
        result_of(results, {k: f for k, f in answers.items() if k != key})
    with pytest.raises(ValueError, match="two runs are of method 'SFT'"):
        result_of({**results, "runs": [*results["runs"], first]}, answers)
    with pytest.raises(ValueError, match="SFT, budget matched, seed 0 has no policy"):
        result_of({**results, "runs": [{**first, "policies": []}]}, answers)
