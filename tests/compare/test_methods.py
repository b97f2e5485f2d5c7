"""Every method through two preferences, on a tiny model, and what each promises."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from helpers.small_comparison import comparison, do
from paretohqd.compare.budget import Spending, Tokens
from paretohqd.compare.methods import METHODS, ric
from paretohqd.compare.methods._ranking import best
from paretohqd.compare.methods.ric import goals, scores_text, targets
from paretohqd.compare.methods.ucmoa import KINDS, LEAST_WEIGHT, ranked_highest, squashed
from paretohqd.compare.workbench import Workbench
from paretohqd.models.chat import prompt_lengths
from paretohqd.runs.manifest import Manifest, Stage
from paretohqd.runs.sections import Generation

pytestmark = pytest.mark.slow

WITHOUT_PREFERENCE = dict.fromkeys(("base", "sft", "rcs", "pama", "moa", "pro"), 1)
WITHOUT_PREFERENCE |= {"ham": 2, "pro, shuffled": 1}
"""Methods that take no preference, and their numbers of points."""

SOUPS = {"method": "soups", "name": "soups, rl", "corners": "rl"}
ONLINE = {"method": "ric", "name": "ric, online", "rounds": 1}
AGAIN = {"method": "paretohqd", "name": "paretohqd, whole pool", "bounds": "all"}
MIXED = {"method": "rcs", "name": "rcs, several references", "references": "corners"}
SHUFFLED = {"method": "pro", "name": "pro, shuffled", "told": "shuffled"}
ACTION = {"method": "mavis", "name": "mavis, action", "head": "action"}
VARIANTS = [SOUPS, ONLINE, AGAIN, MIXED, SHUFFLED, ACTION]
UNTRAINED = ("base", "best_of_n", "guided")


@pytest.fixture(scope="module")
def results(parts: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any]]:
    """What every method gave under the matched budget."""
    run = tmp_path_factory.mktemp("methods") / "run"
    do(comparison(parts, str(run), methods=[*METHODS, *VARIANTS], train__max_steps=80))
    runs = json.loads((run / "results.json").read_text())["runs"]
    return {one["method"]: one | {"folder": run} for one in runs}


NAMES = [*METHODS, *(variant["name"] for variant in VARIANTS)]


@pytest.mark.parametrize("name", NAMES)
def test_a_method_gives_its_policies(results: dict[str, dict[str, Any]], name: str) -> None:
    run = results[name]
    assert run["error"] is None
    weights = [policy["weights"] for policy in run["policies"]]
    count = WITHOUT_PREFERENCE.get(name)
    assert weights == ([[1.0, 0.0], [0.0, 1.0]] if count is None else [None] * count)
    for policy in run["policies"]:
        frame = pl.read_parquet(run["folder"] / policy["answers"] / "answers.parquet")
        assert len(frame) == 5
        assert frame.select("kind", "brief", "entropy").null_count().sum_horizontal().item() == 0


@pytest.mark.parametrize("name", [name for name in NAMES if name not in UNTRAINED])
def test_a_matched_budget_is_used_and_kept(results: dict[str, dict[str, Any]], name: str) -> None:
    run, allowed = results[name], results["paretohqd"]
    trained, generated = (run[f"{kind}_tokens"] for kind in ("trained", "generated"))
    limit = [allowed[f"{kind}_tokens"] for kind in ("trained", "generated")]
    assert trained <= 1.02 * limit[0]
    assert generated <= 1.02 * limit[1]
    # Who samples what it trains on may run out of either.
    assert trained >= 0.98 * limit[0] or generated >= 0.98 * limit[1]


@pytest.mark.parametrize("name", ["ric, online", "paretohqd, whole pool"])
def test_what_short_answers_leave_pays_for_more(
    results: dict[str, dict[str, Any]], name: str
) -> None:
    run, allowed = results[name], results["paretohqd"]["generated_tokens"]
    samplings = 3 if name != "ric, online" else 1
    longest = 8
    assert 0 <= allowed - run["generated_tokens"] < samplings * longest


MANIFEST = Manifest(
    stage="sample",
    key="",
    digest="",
    settings={},
    inputs={},
    notes={},
    seconds=1.0,
    cpu_seconds=1.0,
    finished="",
    versions={},
    files={},
)


def test_parts_of_a_sampling_that_a_budget_pays_for() -> None:
    account = Spending(Tokens(0, 100), Generation(max_new_tokens=10), seed=0, clock="seconds")
    done = Stage(Path(), MANIFEST)
    parts = []
    for part in account.affordable(30, samples=1, rounds=2):
        parts.append((part.start, part.stop))
        account.charge(done, "generate", "once", generated=4 * (part.stop - part.start))
    assert parts == [(0, 5), (5, 8), (8, 9), (9, 10), (10, 11)]
    assert account.generated == 44, "one of 10 tokens more might go beyond 50"
    assert next(account.affordable(30, samples=2, rounds=1)) == slice(0, 2)
    with pytest.raises(
        ValueError, match=r"pay for 6 answer\(s\) of up to 10 tokens in each of 1 r"
    ):
        next(account.affordable(30, samples=6, rounds=1))
    free = Spending(None, Generation(max_new_tokens=10), seed=0, clock="seconds")
    assert list(free.affordable(30, samples=9, rounds=3)) == [slice(0, 30)]


def test_what_a_method_trains_is_what_it_is_charged(results: dict[str, dict[str, Any]]) -> None:
    run = results["linear"]
    trained = [cost for cost in run["costs"] if cost["phase"] == "train"]
    assert [cost["per"] for cost in trained] == ["preference"] * 2
    assert sum(cost["trained"] for cost in trained) == run["trained_tokens"]
    assert all(cost["seconds"] > 0 for cost in trained)
    assert results["base"]["costs"] == []
    assert results["paretohqd"]["scored"] > results["stage1"]["scored"], "stage 2 scores answers"


def test_how_much_of_its_rows_a_training_saw(results: dict[str, dict[str, Any]]) -> None:
    (training,) = results["ucmoa"]["notes"]["trainings"]
    assert 0 < training["seen"] <= training["rows"]
    assert training["passes"] == pytest.approx(training["steps"] / training["rows"], abs=0.01), (
        "a row a step"
    )
    utilities = results["ucmoa"]["notes"]["utilities"]
    assert 0 < utilities["trained"] <= min(training["seen"], utilities["tokens"])


def test_rows_that_a_message_makes_too_long_are_left_out(
    bench: Callable[..., Workbench], parts: Path, tmp_path: Path
) -> None:
    data = pl.read_parquet(parts / "data.parquet").with_row_index("n")
    long = pl.concat_str([pl.col("prompt")] * 5, separator=" ")
    data = data.with_columns(prompt=pl.when(pl.col("n") % 4 == 0).then(long).otherwise("prompt"))
    data.drop("n").write_parquet(tmp_path / "data.parquet")
    b = bench(data__source=str(tmp_path / "data.parquet"), train__max_length=75)
    scores = pl.lit(scores_text(b.names, [0.0, 0.0]))
    plain, message = (
        prompt_lengths(b.tokenizer(), frame)
        for frame in (b.pool(), b.pool().with_columns(system_prompt=scores))
    )
    assert plain.max() < 75
    count = int((message >= 75).sum())
    assert 0 < count < len(message)
    (policy, _) = ric.policies(b, ric.Options())
    assert policy.adapters[0][0].is_dir()
    note = b.notes["left out of scores in context"]
    # A negative score has a sign, so that some rows are longer still.
    left_out, _, rest = note.partition(" ")
    assert (int(left_out) >= count, rest) == (True, "rows that fill max_length=75")


def test_columns_that_are_no_text_do_no_harm(
    bench: Callable[..., Workbench], parts: Path, tmp_path: Path
) -> None:
    data = pl.read_parquet(parts / "data.parquet")
    picture = pl.struct(pl.lit(b"\x89PNG").alias("bytes"), pl.lit("a.png").alias("path"))
    data.with_columns(picture=picture).write_parquet(tmp_path / "data.parquet")
    b = bench(data__source=str(tmp_path / "data.parquet"))
    assert "picture" not in b.scored().columns
    assert b.choose(b.scored(), b.rule(k=2)).height == 4


def test_one_way_to_end_the_pool_stands_in_place_of_the_other(
    bench: Callable[..., Workbench],
) -> None:
    b = bench(selection__upto=3)
    assert b.rule(k=2).upto == 3
    assert (b.rule(k=2, at_least=9).upto, b.rule(k=2, at_least=9).at_least) == (None, 9)
    assert b.rule(k=2, bounds="all").upto == 3


def test_the_best_of_several_answers_is_given_for_each_preference(
    results: dict[str, dict[str, Any]],
) -> None:
    run, base = results["best_of_n"], results["base"]
    assert (run["passes"], run["sees_scorers"]) == (8, True)
    assert run["costs"] == [] or all(cost["phase"] == "score" for cost in run["costs"])
    assert "passes" not in base
    folder = run["folder"]
    usual = pl.read_parquet(folder / base["policies"][0]["answers"] / "answers.parquet")
    given = [
        pl.read_parquet(folder / policy["answers"] / "answers.parquet")
        for policy in run["policies"]
    ]
    for frame, name in zip(given, ("kind", "brief"), strict=True):
        assert frame["prompt"].to_list() == usual["prompt"].to_list()
        assert (frame[name] >= usual[name] - 1e-9).mean() > 0.5
    (sampled,) = {
        tuple(path.parts[-2:])
        for path in (folder / "answers").glob("*/answers.parquet")
        if len(pl.read_parquet(path)) == 8 * len(usual)
    }
    candidates = pl.read_parquet(folder / "answers" / sampled[0] / "answers.parquet")
    for frame in given:
        for prompt, response in frame.select("prompt", "response").rows():
            assert response in candidates.filter(prompt=prompt)["response"].to_list()
    table = (folder / "summary.csv").read_text()
    assert "passes_at_use" in table


def test_models_that_are_stored(results: dict[str, dict[str, Any]]) -> None:
    stored = {name: results[name]["models"] for name in NAMES}
    assert stored["base"] == 0
    assert {stored[name] for name in ("sft", "ric", "ucmoa", "rcs", "ric, online")} == {1}
    assert {stored[name] for name in ("linear", "stage1", "paretohqd", "soups", "morlhf")} == {2}


@pytest.mark.parametrize("name", NAMES)
def test_a_method_says_where_it_comes_from(name: str, results: dict[str, dict[str, Any]]) -> None:
    kind = results[name]["kind"]
    method = METHODS[kind]
    assert method.about.endswith(".")
    if kind != "base":
        assert method.source
        assert method.ours, "what was decided here is said"
    for word in ("about", "source", "exact", "ours"):
        assert results[name].get(word, "") == getattr(method, word)


def test_what_is_reconstructed_says_so_in_its_source() -> None:
    marked = {name for name, method in METHODS.items() if method.reconstructed}
    assert marked == {"ham", "ucmoa", "rcs", "mopo", "caid", "pama", "moa", "moc", "pro", "psl"}
    said = ("abstract", "no code was found", "authors' code was not found")
    assert marked == {
        name for name, method in METHODS.items() if any(words in method.source for words in said)
    }


def test_conditions_differ_by_preference(results: dict[str, dict[str, Any]]) -> None:
    for name in ("ric", "ucmoa"):
        one, other = results[name]["policies"]
        assert one["system_prompt"] != other["system_prompt"]
        tests = results[name]["notes"]["asked high against asked low"]
        assert list(tests) == ["kind", "brief"]
        assert all("(se " in text for text in tests.values())
    assert "asked high against asked low" not in results["linear"]["notes"]


# ── what methods choose by ───────────────────────────────────────────────────────────────────


def test_the_best_rows_are_the_first_of_a_stable_sort() -> None:
    frame = pl.DataFrame({"prompt": list("aabbc"), "x": range(5)})
    assert best(frame, [1, 2, 2, 3, 2], 3)["x"].to_list() == [3, 1, 2]
    assert best(frame, [1, 2, 2, 3, 2], 9, one_per_prompt=True)["x"].to_list() == [3, 1, 4]


def test_targets_of_the_l2_rule() -> None:
    reached = targets([0.5, 0.5], [-1.0, 0.0], [1.0, 4.0])
    np.testing.assert_allclose(reached, [-1 + 2 / np.sqrt(2), 4 / np.sqrt(2)])
    assert targets([0.0, 1.0], [-1.0, 0.0], [1.0, 4.0]).tolist() == [-1.0, 4.0]


def test_scores_are_told_without_negative_zero() -> None:
    assert scores_text(["a", "b"], [-0.04, -0.06]) == "<a> 0.0 <b> -0.1"


def test_a_row_gets_the_utility_that_ranks_it_highest() -> None:
    rng = np.random.default_rng(0)
    box = rng.random((50, 2))
    utilities = [(KINDS[kind], np.array(w)) for kind in KINDS for w in ([1, 0], [0.5, 0.5], [0, 1])]
    values = np.array([utility(box, weights) for utility, weights in utilities])
    ranks = [[int((row <= value).sum()) for value in row] for row in values]
    assert ranked_highest(box, utilities).tolist() == np.argmax(ranks, axis=0).tolist()


@pytest.mark.parametrize("kind", KINDS)
def test_utilities_increase(kind: str) -> None:
    rng = np.random.default_rng(1)
    low = 0.02 + rng.random((200, 3)) * 0.86
    for weights in ([0.2, 0.3, 0.5], [LEAST_WEIGHT, LEAST_WEIGHT, 1.0]):
        w = np.array(weights)
        for objective in range(3):
            high = low.copy()
            high[:, objective] += 0.01 + rng.random(200) * 0.09
            assert (KINDS[kind](high, w) > KINDS[kind](low, w)).all(), "strictly, in each alone"
        middle = KINDS[kind]((low + low[::-1]) / 2, w)
        ends = (KINDS[kind](low, w) + KINDS[kind](low[::-1], w)) / 2
        assert np.abs(middle - ends).max() > 1e-3, "not linear"


def test_squashed_rewards_keep_their_order_beyond_the_quantiles() -> None:
    scores = np.concatenate([[-30.0, -9.0], np.linspace(-1, 1, 100), [4.0, 12.0]])[:, None]
    box = squashed(scores)[:, 0]
    assert (np.diff(box) > 0).all()
    assert box[0] > 0
    assert box[-1] < 1


def test_rounds_ask_for_the_best_in_all_but_one() -> None:
    low, high = np.array([-2.0, 0.0, 1.0]), np.array([2.0, 4.0, 2.0])
    drawn = goals(np.random.default_rng(0), 3000, low, high)
    part = (drawn - low) / (high - low)
    assert ((part == 1).sum(axis=1) == 2).all()
    least = part.argmin(axis=1)
    assert np.bincount(least) / 3000 == pytest.approx([1 / 3] * 3, abs=0.03)
    # The smallest of three even draws: 1/4 on average.
    assert part.min(axis=1).mean() == pytest.approx(0.25, abs=0.02)


def test_rounds_keep_what_is_good_among_their_own(bench: Callable[..., Workbench]) -> None:
    b = bench()
    ric.policies(b, ric.Options(rounds=1, quantile=0.5, offline=0.5))
    note = b.notes["round 1"]
    assert note["answers"] / 2 <= note["kept"] <= note["answers"], "the better half in either"
    second = b.notes["trainings"][1]
    assert second["rows"] == note["kept"] + round(note["kept"] / 2)
    assert "form" not in b.notes
    offline = bench()
    ric.policies(offline, ric.Options())
    assert offline.notes["form"] == "RiC, offline: no online rounds"


def test_the_best_of_copies_is_taken_once() -> None:
    frame = pl.DataFrame({"prompt": ["a", "a", "a", "b"], "response": ["x", "x", "y", "x"]})
    values = [1.0, 3.0, 2.0, 0.0]
    assert best(frame, values, 3)["response"].to_list() == ["x", "y", "x"]
    rows = best(frame.with_row_index("row"), values, 4, copies=["prompt", "response"])
    assert rows["row"].to_list() == [1, 2, 3]
