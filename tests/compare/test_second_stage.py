"""The options of ParetoHqD's second stage: each changes what it says, and nothing else."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import polars as pl
import pytest

import paretohqd as pq
from paretohqd.compare.methods import paretohqd as method
from paretohqd.compare.workbench import Workbench

pytestmark = pytest.mark.train


@pytest.fixture
def seen(monkeypatch: pytest.MonkeyPatch) -> dict[str, list[Any]]:
    """What the second stage sampled, chose from and trained."""
    noted: dict[str, list[Any]] = {"answers": [], "choices": [], "trainings": []}
    sample, choose, train = method.sample, Workbench.choose, Workbench.train

    def sampled(bench: Any, policy: Any, prompts: Any, **more: Any) -> pl.DataFrame:
        noted["answers"].append((policy.adapters[0][0], more["samples"], more["seed"]))
        return sample(bench, policy, prompts, **more)

    def chose(self: Any, frame: pl.DataFrame, rule: Any) -> pl.DataFrame:
        rows = choose(self, frame, rule)
        noted["choices"].append((frame, rule, rows))
        return rows

    def trained(self: Any, kind: str, fit: Any, **more: Any) -> Any:
        noted["trainings"].append((more["settings"]["train"], more["inputs"]))
        return train(self, kind, fit, **more)

    monkeypatch.setattr(method, "sample", sampled)
    monkeypatch.setattr(Workbench, "choose", chose)
    monkeypatch.setattr(Workbench, "train", trained)
    return noted


PREFERENCES = [[1.0, 0.0], [0.7, 0.3], [0.5, 0.5], [0.0, 1.0]]


def run_with(bench: Callable[..., Any], **options: Any) -> tuple[Any, list[Any]]:
    b = bench(preferences=PREFERENCES, selection={"k": 4, "k_stage2": 3})
    return b, method.policies(b, method.Options(**options))


def test_the_papers_form_is_the_default(
    bench: Callable[..., Any], seen: dict[str, list[Any]]
) -> None:
    b, policies = run_with(bench)
    assert len(policies) == 4
    assert [samples for _, samples, _ in seen["answers"]] == [1, 1, 1]  # M + 1 models
    (first, _, _), (second, rule, _) = seen["choices"]
    assert len(first) == len(b.scored())
    assert (len(second), rule.k, rule.bounds) == (3 * len(b.prompts_to_answer()), 3, "pool")
    later = seen["trainings"][4:]
    assert all("adapter" in inputs for _, inputs in later)
    assert {train["learning_rate"] for train, _ in later} == {b.train_settings(2)["learning_rate"]}


def test_each_option(bench: Callable[..., Any], seen: dict[str, list[Any]]) -> None:
    b, _ = run_with(
        bench,
        answerers="all",
        samples=2,
        candidates="both",
        start="base",
        rate=0.5,
        reference="first",
    )
    assert [samples for _, samples, _ in seen["answers"]] == [2, 2, 2, 2]
    assert len({adapter for adapter, _, _ in seen["answers"]}) == 4
    _, (second, rule, rows) = seen["choices"]
    offline = b.scored()
    assert len(second) == 4 * 2 * len(b.prompts_to_answer()) + len(offline)
    of_first = pq.choose(offline, b.names, b.weights, k=4)
    assert rule.bounds == (tuple(of_first.r_min), tuple(of_first.r_max))
    expected = pq.select(second, b.names, b.weights, k=3, bounds=rule.bounds)
    assert rows["row"].to_list() == expected["row"].to_list()
    later = seen["trainings"][4:]
    assert not any("adapter" in inputs for _, inputs in later)
    rate = b.train_settings(1)["learning_rate"] / 2
    assert {train["learning_rate"] for train, _ in later} == {rate}


@pytest.mark.parametrize("rank", ["achievement", "sum"])
def test_the_rank_is_that_of_both_stages(
    bench: Callable[..., Any], seen: dict[str, list[Any]], rank: Any
) -> None:
    b, _ = run_with(bench, rank=rank, reference="first")
    assert [rule.rank for _, rule, _ in seen["choices"]] == [rank, rank]
    of_first = pq.choose(b.scored(), b.names, b.weights, k=4, rank=rank)
    assert seen["choices"][1][1].bounds == (tuple(of_first.r_min), tuple(of_first.r_max))
    with pytest.raises(ValueError, match=f"rank: {rank} chooses from all rows"):
        method.Options(rank=rank, at_least=9)


def test_variants_share_their_first_stage(
    bench: Callable[..., Any], seen: dict[str, list[Any]]
) -> None:
    b, _ = run_with(bench)
    before = {path for path in (b.context.folder.folder / "sft").iterdir()}
    method.policies(b, method.Options(start="base"))
    made = {path for path in (b.context.folder.folder / "sft").iterdir()} - before
    assert len(made) == 4  # of the second stage alone
    for path in made:
        manifest = json.loads((path / "manifest.json").read_text())
        assert "adapter" not in manifest["inputs"]
