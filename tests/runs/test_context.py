"""Models in memory: one kind at a time, each checked before any work."""

from __future__ import annotations

import gc
import io
import shutil
import weakref
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from peft import LoraConfig, get_peft_model

from helpers import small_comparison, small_run
from helpers.tiny import tiny_causal
from paretohqd.models import base as models
from paretohqd.plots.progress import Screen
from paretohqd.runs import pipeline
from paretohqd.runs.context import RunContext


class Memory:
    """Notes every base and reward model that is loaded, and which of the earlier ones live."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.bases: list[weakref.ref[Any]] = []
        self.rewards: list[weakref.ref[Any]] = []
        self.loads: list[str] = []
        load, read = models.load_base, transformers.AutoModelForSequenceClassification

        def base(*given: Any, **more: Any) -> Any:
            assert self.alive(self.bases) == self.alive(self.rewards) == 0, self.loads
            model, tokenizer = load(*given, **more)
            self.bases.append(weakref.ref(model))
            self.loads.append("base")
            return model, tokenizer

        original = read.from_pretrained

        def reward(*given: Any, **more: Any) -> Any:
            assert self.alive(self.bases) == 0, self.loads
            network, report = original(*given, **more)
            self.rewards.append(weakref.ref(network))
            self.loads.append("reward")
            return network, report

        monkeypatch.setattr(models, "load_base", base)
        monkeypatch.setattr(read, "from_pretrained", reward)

    def alive(self, models: list[weakref.ref[Any]]) -> int:
        """How many have not been let go. Nothing is collected here: that is for the code to do."""
        return sum(model() is not None for model in models)


@pytest.fixture
def memory(monkeypatch: pytest.MonkeyPatch) -> Any:
    gc.collect()
    gc.disable()  # or chance would collect what the code forgets
    try:
        yield Memory(monkeypatch)
    finally:
        gc.enable()


def test_a_run_has_one_kind_of_model_in_memory(parts: Path, memory: Memory) -> None:
    lines = small_run.do(small_run.settings(parts, "memory-run", preferences=2))
    assert any(line.startswith("evaluate/summary: ") for line in lines)
    fits, samplers, seen_before = 4, 2, 1
    assert memory.loads.count("base") == fits + samplers + seen_before


def test_a_comparison_has_one_kind_of_model_in_memory(parts: Path, memory: Memory) -> None:
    chosen = small_comparison.comparison(
        parts,
        str(parts / "memory-compare"),
        methods=["base", "paretohqd", "soups", {"name": "again", "method": "soups"}],
    )
    lines = small_comparison.do(chosen)
    assert not [line for line in lines if "failed" in line]
    assert {"base", "reward"} == set(memory.loads)


def test_a_bare_base_is_loaded_once(parts: Path, tmp_path: Path, memory: Memory) -> None:
    s = context(parts, tmp_path)
    loaded = len(memory.bases)
    bare = weakref.ref(s.sampler()[0])
    assert s.sampler()[0] is bare()
    assert len(memory.bases) == loaded + 1
    wrapped = get_peft_model(s.trainable()[0], LoraConfig(r=2, target_modules="all-linear"))
    wrapped.save_pretrained(tmp_path / "adapter")
    del wrapped
    assert bare() is None, "let go before the one to train was loaded"
    s.sampler((tmp_path / "adapter", 1.0))
    count = len(memory.bases)
    s.sampler((tmp_path / "adapter", 0.5))
    assert len(memory.bases) == count, "adapters change places on one base"
    assert not any("lora" in name for name, _ in s.sampler()[0].named_parameters())
    assert len(memory.bases) == count + 1
    s.folder.close()


def context(parts: Path, tmp_path: Path, **more: Any) -> RunContext:
    chosen = small_run.settings(parts, str(tmp_path / "run"), **more)
    return RunContext(chosen, screen=Screen(file=io.StringIO()))


# ── before any work ─────────────────────────────────────────────────────────────────────────


def untouched(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pipeline, "split", lambda s: pytest.fail("work was done"))


def test_a_wrong_reward_is_found_before_any_work(
    parts: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Though the data's own scores would do for the first stage."""
    untouched(monkeypatch)
    lm = tiny_causal(tmp_path / "lm")
    objectives = [
        {"name": "kind", "model": str(parts / "kind")},
        {"name": "brief", "model": str(lm), "column": "brief"},
    ]
    with pytest.raises(ValueError, match=r"^objectives: brief: model .*lacks score\.weight"):
        pipeline.run(small_run.settings(parts, str(tmp_path / "run"), objectives=objectives))


def test_a_wrong_base_is_found_before_any_work(
    parts: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    untouched(monkeypatch)
    with pytest.raises(ValueError, match="saved as GPT2ForSequenceClassification"):
        pipeline.run(
            small_run.settings(parts, str(tmp_path / "run"), model__name=str(parts / "brief"))
        )
    copy = Path(shutil.copytree(parts / "model", tmp_path / "model"))
    network = transformers.AutoModelForCausalLM.from_pretrained(copy)
    with torch.no_grad():
        network.model.norm.weight.fill_(torch.nan)
    network.save_pretrained(copy)
    with pytest.raises(ValueError, match="are no numbers"):
        pipeline.run(small_run.settings(parts, str(tmp_path / "two"), model__name=str(copy)))


def test_models_are_checked_once_in_a_folder(parts: Path, tmp_path: Path, memory: Memory) -> None:
    column = [
        {"name": "kind", "model": str(parts / "kind"), "column": "a"},
        {"name": "brief", "model": str(parts / "brief"), "column": "b"},
    ]
    context(parts, tmp_path, objectives=column).folder.close()
    assert memory.loads == ["base", "reward", "reward"]
    assert memory.alive(memory.bases) == memory.alive(memory.rewards) == 0
    context(parts, tmp_path, objectives=column).folder.close()
    assert memory.loads == ["base", "reward", "reward"]
    shorter = [column[0] | {"max_length": 20}, column[1]]
    context(parts, tmp_path, objectives=shorter).folder.close()
    assert len(memory.loads) == 6, "another setting may ask for what a model cannot do"
