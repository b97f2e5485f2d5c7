from __future__ import annotations

import dataclasses
import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from helpers.small_run import settings
from paretohqd.compare.budget import Tokens
from paretohqd.compare.config import Comparison
from paretohqd.compare.methods import morlhf, soups
from paretohqd.compare.methods.morlhf import reinforced
from paretohqd.compare.workbench import Workbench
from paretohqd.plots.progress import Screen
from paretohqd.runs import config, pipeline
from paretohqd.runs.config_reader import to_mapping
from paretohqd.runs.context import RunContext
from paretohqd.trainers import rollouts
from paretohqd.trainers.rollouts import standard_constants

pytestmark = pytest.mark.slow

GRPO = {
    "per_device_train_batch_size": 4,
    "gradient_accumulation_steps": 1,
    "num_generations": 2,
    "learning_rate": 1e-2,
}


@pytest.fixture
def context(parts: Path, tmp_path: Path) -> Iterator[RunContext]:
    """The data split and scored, as a comparison does it first."""
    plain = to_mapping(settings(parts, preferences=2, data__held_out=3))
    chosen = plain | {"run": str(tmp_path / "run"), "methods": ["base"], "reinforcement": GRPO}
    s = RunContext(config.from_mapping(Comparison, chosen), screen=Screen(file=io.StringIO()))
    pipeline.score(s, 1, pipeline.split(s))
    yield s
    s.folder.close()


def notes(adapter: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((adapter.parent / "manifest.json").read_text())["notes"]
    return content


def test_one_model_per_preference(context: RunContext) -> None:
    bench = Workbench(context, title="MORLHF", seed=3)
    policies = morlhf.policies(bench, morlhf.Options(steps=2))
    assert [policy.weights for policy in policies] == [(1.0, 0.0), (0.0, 1.0)]
    folders = [policy.adapters[0][0] for policy in policies]
    assert len(set(folders)) == 2
    assert all((folder / "adapter_model.safetensors").is_file() for folder in folders)
    first, second = map(notes, folders)
    assert (first["weights"], second["weights"]) == ([1, 0], [0, 1])
    assert (first["steps"], first["scored"]) == (2, 8)
    assert first["settings"]["max_completion_length"] == 8, "as many tokens as are evaluated"
    assert first["settings"]["learning_rate"] == 1e-2
    frame = bench.scored()
    mean, deviation = standard_constants(frame, bench.names)["kind"]
    assert first["constants"]["kind"] == [mean, deviation]
    assert bench.notes["constants"]["kind"] == {"mean": mean, "deviation": deviation}
    costs = [cost for cost in bench.costs if cost.phase == "train"]
    assert [cost.per for cost in costs] == ["preference"] * 2
    assert [cost.trained for cost in costs] == [x["trained_tokens"] for x in (first, second)]
    assert [cost.generated for cost in costs] == [x["generated_tokens"] for x in (first, second)]
    assert [cost.scored for cost in costs] == [8, 8]


def test_prompts_are_none_of_the_held_out_ones(
    context: RunContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    prompts_seen: list[str] = []
    whole = rollouts.score

    def score(table: pl.DataFrame, *given: Any, **more: Any) -> Any:
        prompts_seen.extend(table["prompt"])
        return whole(table, *given, **more)

    monkeypatch.setattr(rollouts, "score", score)
    bench = Workbench(context, title="MORLHF", seed=3)
    reinforced(bench, (0.5, 0.5), per="preference", share=1.0, steps=3)
    folder = context.folder.result("data").path
    held_out = set(pl.read_parquet(folder / "held_out.parquet")["prompt"])
    assert prompts_seen
    assert set(prompts_seen) <= set(bench.prompts()["prompt"]) - held_out
    assert len(set(prompts_seen)) == 6, "two a step, each a new one"


def test_a_budget_is_shared_by_the_preferences(context: RunContext) -> None:
    bench = Workbench(context, title="MORLHF", seed=3, allowed=Tokens(2000, 10**6))
    morlhf.policies(bench, morlhf.Options())
    costs = [cost for cost in bench.costs if cost.phase == "train"]
    # A step has 4 answers; what the first spends too much the second saves.
    largest = max(cost.trained / (cost.scored / 4) for cost in costs)
    assert abs(bench.trained - 2000) < largest
    assert abs(costs[0].trained - 1000) < largest
    poor = Workbench(context, title="MORLHF", seed=3, allowed=Tokens(10**6, 20))
    with pytest.raises(ValueError, match=r"^generated_tokens=10 is less than half of one step's"):
        morlhf.policies(poor, morlhf.Options())


def test_corners_are_trained_once_for_soups_too(context: RunContext) -> None:
    morlhf.policies(Workbench(context, title="MORLHF", seed=3), morlhf.Options(steps=2))
    made = sorted((context.folder.folder / "grpo").iterdir())
    bench = Workbench(context, title="soups", seed=3)
    policies = soups.policies(bench, soups.Options(corners="rl", steps=2))
    assert sorted((context.folder.folder / "grpo").iterdir()) == made
    assert [len(policy.adapters) for policy in policies] == [1, 1]
    assert [cost.per for cost in bench.costs if cost.phase == "train"] == ["objective"] * 2
    reinforced(bench, (1.0, 0.0), per="objective", share=1.0, steps=2, learning_rate=1e-3)
    assert len(list((context.folder.folder / "grpo").iterdir())) == len(made) + 1


def test_misspelt_settings_are_refused(context: RunContext) -> None:
    context.settings = dataclasses.replace(context.settings, reinforcement={"learning_rat": 1})
    with pytest.raises(ValueError, match=r"reinforcement\.learning_rat: did you mean learning_r"):
        morlhf.policies(Workbench(context, title="MORLHF", seed=3), morlhf.Options())
