"""Preference pairs against their definitions, prompt by prompt and pair by pair."""

import time

import numpy as np
import polars as pl
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from paretohqd.selection.pairs import consistent_pairs, main_objective, objective_pairs, standardise

ANSWERS = pl.DataFrame(
    {
        "prompt": ["p", "q", "p", "q", "p", "r"],
        "response": ["a", "b", "c", "d", "e", "f"],
        "x": [0.0, 1.0, 2.0, 3.0, 4.0, 9.0],
        "y": [0.0, 2.0, 3.0, 1.0, 1.0, 9.0],
    }
)


@st.composite
def scored(draw):
    """Few distinct scores and texts, so that ties, duplicates and equal answers are common."""
    m = draw(st.integers(1, 3))
    rows = draw(
        st.lists(
            st.tuples(
                st.sampled_from("pqrst"),
                st.sampled_from("abcdef"),
                *[st.sampled_from([-1.5, 0.0, 0.1, 0.2, 0.3, 4.0])] * m,
            ),
            min_size=1,
            max_size=24,
        )
    )
    names = [f"o{j}" for j in range(m)]
    schema = {"prompt": pl.String, "response": pl.String} | dict.fromkeys(names, pl.Float64)
    return pl.DataFrame(rows, schema=schema, orient="row"), names


def by_definition(frame, names, gap):
    """{prompt: (gap, chosen row, rejected row)} by comparing every answer with every other one."""
    unit = {name: np.std(frame[name].to_numpy()) for name in names}
    rows = frame.to_dicts()
    results = {}
    for i, a in enumerate(rows):
        for j, b in enumerate(rows):
            if a["prompt"] != b["prompt"] or a["response"] == b["response"]:
                continue
            if not all(a[name] > b[name] for name in names):
                continue
            each = [(a[name] - b[name]) / unit[name] for name in names]
            size = min(each) if gap == "min" else sum(each)
            if a["prompt"] not in results or size > results[a["prompt"]][0]:
                results[a["prompt"]] = (size, i, j)  # later ones of the same gap do not replace it
    return results


def usable(frame, names):
    two = frame.group_by("prompt").agg(pl.col("response").n_unique())["response"].max() > 1
    return two and all(frame[name].n_unique() > 1 for name in names)


def texts_at(frame, result):
    """The pairs' texts, read off the frame at their row numbers."""
    chosen, rejected = frame[result["chosen_row"]], frame[result["rejected_row"]]
    assert chosen["prompt"].to_list() == rejected["prompt"].to_list() == result["prompt"].to_list()
    return chosen["response"].to_list(), rejected["response"].to_list()


@given(scored(), st.sampled_from(["min", "sum"]))
@settings(deadline=None, max_examples=300)
def test_consistent_pairs_are_the_definitions(problem, gap):
    frame, names = problem
    assume(usable(frame, names))
    expected = by_definition(frame, names, gap)
    if not expected:
        with pytest.raises(ValueError, match="better than another in every objective"):
            consistent_pairs(frame, names, gap=gap)
        return
    pairs = consistent_pairs(frame, names, gap=gap)
    order = [p for p in frame["prompt"].unique(maintain_order=True) if p in expected]
    assert pairs["prompt"].to_list() == order, "prompts in the order of their first answers"
    assert (pairs["chosen"].to_list(), pairs["rejected"].to_list()) == texts_at(frame, pairs)
    for row in pairs.iter_rows(named=True):
        size, chosen, rejected = expected[row["prompt"]]
        assert row["gap"] == pytest.approx(size, rel=1e-12)
        if len(names) < 3 or gap == "min":  # the sum of three may round otherwise in another order
            assert (row["chosen_row"], row["rejected_row"]) == (chosen, rejected)


@given(scored(), st.data())
@settings(deadline=None, max_examples=300)
def test_objective_pairs_are_the_definitions(problem, data):
    frame, names = problem
    assume(usable(frame, names))
    heavy = data.draw(st.lists(st.integers(0, 4), min_size=len(names), max_size=len(names)))
    assume(sum(heavy))
    w = np.array(heavy) / sum(heavy)
    main = main_objective(w)
    assert w[main] == max(w)
    assert w[main] >= 1 / len(w)
    rows, expected = frame.to_dicts(), {}
    for prompt in frame["prompt"].unique(maintain_order=True):
        places = [i for i, row in enumerate(rows) if row["prompt"] == prompt]
        best = max(places, key=lambda i: (rows[i][names[main]], -i))
        worst = min(places, key=lambda i: (rows[i][names[main]], i))
        a, b = rows[best], rows[worst]
        if a[names[main]] > b[names[main]] and a["response"] != b["response"]:
            z = [(a[name] - b[name]) / np.std(frame[name].to_numpy()) for name in names]
            margin = sum(w[j] * z[j] for j in range(len(names)) if j != main)
            expected[prompt] = (best, worst, z[main], margin)
    if not expected:
        with pytest.raises(ValueError, match=f"differ in '{names[main]}'"):
            objective_pairs(frame, names, weights=w)
        return
    pairs = objective_pairs(frame, names, weights=w)
    assert pairs["prompt"].to_list() == list(expected)
    assert (pairs["chosen"].to_list(), pairs["rejected"].to_list()) == texts_at(frame, pairs)
    for row in pairs.iter_rows(named=True):
        best, worst, gap, margin = expected[row["prompt"]]
        assert (row["chosen_row"], row["rejected_row"]) == (best, worst)
        assert row["gap"] == pytest.approx(gap, rel=1e-12)
        assert row["margin"] == pytest.approx(margin, rel=1e-12, abs=1e-12)


def test_a_frame_by_hand():
    pairs = consistent_pairs(ANSWERS, ["x", "y"])
    # q's answers disagree, r has one. p: c over a by (2, 3), e over a by (4, 1).
    unit = ANSWERS.select("x", "y").to_numpy().std(axis=0)
    assert pairs.select("prompt", "chosen", "rejected").rows() == [("p", "c", "a")]
    assert pairs["gap"][0] == pytest.approx(min([2, 3] / unit))
    assert pairs.schema["chosen_row"] == pl.Int64


def test_the_sum_may_prefer_another_pair():
    # The other prompt's answers disagree; they only make the deviations about equal.
    frame = pl.DataFrame(
        {
            "prompt": list("pppqq"),
            "response": list("abcde"),
            "x": [0.0, 2.0, 9.0, 0.0, 100.0],
            "y": [0.0, 2.0, 1.0, 100.0, 0.0],
        }
    )
    assert consistent_pairs(frame, ["x", "y"], gap="min")["chosen"].to_list() == ["b"]
    assert consistent_pairs(frame, ["x", "y"], gap="sum")["chosen"].to_list() == ["c"]


def test_gaps_are_in_deviations_so_units_do_not_matter():
    scaled = ANSWERS.with_columns(pl.col("y") * 1024 - 7)
    wide, plain = (consistent_pairs(f, ["x", "y"]) for f in (scaled, ANSWERS))
    assert wide.drop("gap").equals(plain.drop("gap"))
    np.testing.assert_allclose(wide["gap"], plain["gap"], rtol=1e-12)
    z, _ = standardise(ANSWERS, ["x", "y"])
    np.testing.assert_allclose(consistent_pairs(z, ["x", "y"])["gap"], plain["gap"], rtol=1e-12)


def test_the_main_objective_switches_at_the_middle():
    """At (0, 1) the pairs are the second objective's and the margin is nothing."""
    first = objective_pairs(ANSWERS, ["x", "y"], weights=[1.0, 0.0])
    second = objective_pairs(ANSWERS, ["x", "y"], weights=[0.0, 1.0])
    assert first["chosen"].to_list() == ["e", "d"]
    assert second["chosen"].to_list() == ["c", "b"]
    assert first["margin"].to_list() == second["margin"].to_list() == [0, 0]
    assert main_objective([0.5, 0.5]) == 0
    middle = objective_pairs(ANSWERS, ["x", "y"], weights=[0.5, 0.5])
    named = objective_pairs(ANSWERS, ["x", "y"], weights={"y": 3, "x": 3})
    assert named.equals(middle)
    assert middle["chosen"].to_list() == first["chosen"].to_list()
    unit = ANSWERS["y"].to_numpy().std()
    np.testing.assert_allclose(middle["margin"], [0.5 * 1 / unit, 0.5 * -1 / unit])


def test_standardise_records_its_constants():
    z, constants = standardise(ANSWERS, ["x", "y"])
    for name in ("x", "y"):
        values = ANSWERS[name].to_numpy()
        assert constants[name] == {"mean": values.mean(), "deviation": values.std()}
        back = z[name] * constants[name]["deviation"] + constants[name]["mean"]
        np.testing.assert_allclose(back, values, atol=1e-12)
        assert abs(z[name].mean()) < 1e-12
    assert z.drop("x", "y").equals(ANSWERS.drop("x", "y"))
    assert z.columns == ANSWERS.columns


def pairings():
    return [
        lambda frame: consistent_pairs(frame, ["x", "y"]),
        lambda frame: objective_pairs(frame, ["x", "y"], weights=[0.5, 0.5]),
    ]


@pytest.mark.parametrize("pairing", pairings(), ids=["consistent", "objective"])
@pytest.mark.parametrize(
    ("change", "message"),
    [
        (pl.col("prompt") + pl.col("response"), "two answers per prompt are needed: none of the 6"),
        (pl.lit("same").alias("response"), "two answers per prompt are needed: none of the 3"),
        (pl.lit(1.0).alias("x"), "objective 'x' is 1 in all 6 rows: it tells no answer"),
        (pl.lit(None, pl.Float64).alias("y"), "column 'y' holds 6 nulls"),
        (pl.lit(float("nan")).alias("y"), "column 'y' holds 6 NaN"),
        (pl.lit(float("inf")).alias("y"), "column 'y' holds 6 infinite"),
        (pl.col("x") * 1e300, "column 'x' spans more than doubles can hold"),
        (pl.lit(None, pl.String).alias("prompt"), "6 null"),
        (pl.lit(1).alias("response"), r"need a text column 'response'; .* response \(Int32\)"),
    ],
)
def test_answers_that_give_no_pairs(pairing, change, message):
    with pytest.raises(ValueError, match=message):
        pairing(ANSWERS.with_columns(change))


@pytest.mark.parametrize("pairing", pairings(), ids=["consistent", "objective"])
def test_frames_that_are_no_answers(pairing):
    with pytest.raises(ValueError, match="the frame has no rows"):
        pairing(ANSWERS[:0])
    with pytest.raises(ValueError, match="no column 'y': the frame has prompt, response, x"):
        pairing(ANSWERS.drop("y"))
    with pytest.raises(ValueError, match="need a text column 'prompt'"):
        pairing(ANSWERS.drop("prompt"))


def test_options_that_do_not_exist():
    with pytest.raises(ValueError, match="gap must be 'min' or 'sum', got 'max'"):
        consistent_pairs(ANSWERS, ["x", "y"], gap="max")
    with pytest.raises(ValueError, match="off the simplex"):
        objective_pairs(ANSWERS, ["x", "y"], weights=[0.5, 0.6])
    with pytest.raises(ValueError, match="expected one weight per objective"):
        objective_pairs(ANSWERS, ["x", "y"], weights=[1.0])
    for main in (-1, 1, 2):
        with pytest.raises(ValueError, match=f"main={main} is no objective with a weight"):
            objective_pairs(ANSWERS, ["x", "y"], weights=[1.0, 0.0], main=main)
    with pytest.raises(ValueError, match="no prompt has an answer that is better"):
        consistent_pairs(ANSWERS.filter(pl.col("prompt") == "q"), ["x", "y"])


def test_two_scores_of_one_text_are_no_pair():
    """A scorer that is not a function of the text must not pair an answer with itself."""
    frame = ANSWERS.with_columns(response=pl.Series(["a", "b", "a", "d", "a", "f"]))
    with pytest.raises(ValueError, match="better than another in every objective"):
        consistent_pairs(frame, ["x", "y"])
    pairs = objective_pairs(frame, ["x", "y"], weights=[1.0, 0.0])
    assert pairs["prompt"].to_list() == ["q"]


def test_a_hundred_thousand_prompts_take_about_a_second():
    rng = np.random.default_rng(0)
    n = 100_000
    frame = pl.DataFrame(
        {
            "prompt": [f"prompt {i}" for i in rng.permutation(np.repeat(np.arange(n), 4))],
            "response": [f"answer {i}" for i in range(4 * n)],
            "x": rng.normal(size=4 * n),
            "y": rng.normal(size=4 * n),
        }
    )
    start = time.process_time()
    pairs = consistent_pairs(frame, ["x", "y"])
    objective_pairs(frame, ["x", "y"], weights=[0.5, 0.5])
    # Ten times what it takes: a loop over prompts takes minutes.
    assert time.process_time() - start < 10
    # 1 - P(no consistent pair among 4 in independent order) = 1 - 1/4! = .958
    assert abs(len(pairs) / n - 23 / 24) < 0.005


def test_texts_in_two_unicode_forms_are_one():
    texts = ["caf\u00e9", "cafe\u0301"]
    frame = pl.DataFrame({"prompt": texts, "response": texts, "kind": [0.0, 1.0]})
    with pytest.raises(ValueError, match="none of the 1 prompts has two different ones"):
        consistent_pairs(frame, ["kind"])
    frame = frame.with_columns(response=pl.Series(["No.", "Yes."]))
    assert consistent_pairs(frame, ["kind"])["chosen"].to_list() == ["Yes."]
