"""MODPO and RCS on the bench, through two preferences, with a tiny model."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from safetensors.torch import load_file

from paretohqd.compare.methods import modpo, rcs
from paretohqd.compare.workbench import Tokens, Workbench
from paretohqd.models.adapters import load_adapter
from paretohqd.selection.pairs import consistent_pairs, objective_pairs

pytestmark = pytest.mark.slow

Open = Callable[..., Workbench]


def notes_of(adapter: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((adapter.parent / "manifest.json").read_text())["notes"]
    return content


def charged(b: Workbench, phase: str) -> list[tuple[str, int, int]]:
    return [(c.per, c.trained, c.generated) for c in b.costs if c.phase == phase]


def test_modpo_trains_each_preference_on_its_own_pairs(bench: Open) -> None:
    b = bench(preferences=[[0.75, 0.25], [0.25, 0.75]])
    policies = modpo.policies(b, modpo.Options())
    assert [policy.weights for policy in policies] == [(0.75, 0.25), (0.25, 0.75)]
    assert b.notes["main objectives"] == ["kind", "brief"]
    assert set(b.notes["constants"]) == {"kind", "brief"}
    frame = b.scored()
    weights = []
    for policy, training in zip(policies, b.notes["trainings"], strict=True):
        ((adapter, share),) = policy.adapters
        notes = notes_of(adapter)
        assert (share, notes["weight"], notes["beta"], notes["steps"]) == (1.0, 0.75, 0.1, 3)
        assert training["pairs"] == len(
            objective_pairs(frame, b.names, weights=list(policy.weights or ()))
        )
        weights.append(load_file(adapter / "adapter_model.safetensors"))
        base, _ = b.context.sampler()
        load_adapter(base, adapter)
        b.context.free()
    assert any(not tensor.equal(weights[1][name]) for name, tensor in weights[0].items())
    tokens = [notes_of(policy.adapters[0][0])["trained_tokens"] for policy in policies]
    assert charged(b, "train") == [("preference", count, 0) for count in tokens]
    assert charged(b, "generate") == [], "the data have several answers to a prompt"
    assert b.generated == 0


def test_rcs_is_one_model_for_all_preferences(bench: Open) -> None:
    b = bench()
    (policy,) = rcs.policies(b, rcs.Options(gap="sum", beta=0.2))
    assert policy.weights is None
    notes = notes_of(policy.adapters[0][0])
    assert (notes["weight"], notes["beta"]) == (1.0, 0.2)
    frame = b.scored()
    count = len(consistent_pairs(frame, b.names))
    assert b.notes["trainings"][0]["pairs"] == count
    share = b.notes["prompts with a consistent pair"]
    assert share == pytest.approx(count / frame["prompt"].n_unique())
    assert 0 < share <= 1
    assert charged(b, "train") == [("once", notes["trained_tokens"], 0)]


def test_what_was_done_is_not_done_again(bench: Open) -> None:
    before, after = (rcs.policies(bench(), rcs.Options()) for _ in range(2))
    assert before == after
    assert (before[0].adapters[0][0] / "adapter_model.safetensors").is_file()


@pytest.mark.parametrize("method", [modpo, rcs], ids=["modpo", "rcs"])
def test_the_budget_is_met(bench: Open, method: Any) -> None:
    allowed = Tokens(trained=4_000, generated=0)
    b = bench(allowed, train__max_steps=1)
    method.policies(b, method.Options())
    assert b.trained == pytest.approx(allowed.trained, rel=0.02)


@pytest.mark.parametrize("method", [modpo, rcs], ids=["modpo", "rcs"])
def test_one_answer_per_prompt_is_sampled_or_refused(
    bench: Open, parts: Path, tmp_path: Path, method: Any
) -> None:
    single = tmp_path / "single.parquet"
    data = pl.read_parquet(parts / "data.parquet")
    one = data.unique("prompt", keep="first", maintain_order=True)
    one.write_parquet(single)
    with pytest.raises(ValueError, match=r"needs two answers or more per prompt.* sample_pairs"):
        method.policies(bench(data__source=str(single), sample_pairs=0), method.Options())
    b = bench(data__source=str(single))
    method.policies(b, method.Options())
    assert b.notes["answers compared"] == "of the base: 6 prompts x 4 answers"
    assert [per for per, _, tokens in charged(b, "generate") if tokens] == ["once"]
    assert b.generated > 0
    # Two prompts that come twice by chance are not what a method should be trained on alone.
    twice = one.head(2).with_columns(response=pl.lit("Something else."))
    pl.concat([one, twice]).write_parquet(single)
    b = bench(data__source=str(single), data__held_out=1)
    method.policies(b, method.Options())
    assert b.notes["answers compared"] == "of the base: 6 prompts x 4 answers"


def test_settings_of_the_pairs_are_used_and_checked(bench: Open) -> None:
    b = bench(pairs={"learning_rate": 0.5, "max_steps": 2, "per_device_train_batch_size": 3})
    (policy,) = rcs.policies(b, rcs.Options())
    notes = notes_of(policy.adapters[0][0])
    assert notes["train"]["learning_rate"] == 0.5
    assert (notes["steps"], notes["pairs"]) == (2, 6)
    assert notes["train"]["max_length"] == 512
    for pairs, message in (
        ({"learning_rat": 1}, "did you mean learning_rate"),
        ({"beta": 1.0}, r"pairs\.beta is set by the run itself"),
    ):
        with pytest.raises(ValueError, match=message):
            rcs.policies(bench(pairs=pairs), rcs.Options())
