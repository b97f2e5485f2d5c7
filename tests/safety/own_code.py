"""Models with code of their own beside them, which leaves a mark when it runs."""

from __future__ import annotations

import json
from collections.abc import Callable
from itertools import count
from pathlib import Path
from typing import Any

import torch

from helpers.tiny import tiny_causal, tiny_classifier
from paretohqd.models import base
from paretohqd.models.spec import Model
from paretohqd.rewards.classifier import ClassifierReward

EVIL = """
from pathlib import Path
from transformers import LlamaConfig, LlamaForCausalLM, LlamaForSequenceClassification
from transformers import PreTrainedTokenizerFast

Path({mark!r}).touch()

class OwnConfig(LlamaConfig):
    model_type = {kind!r}

class OwnModel(LlamaForCausalLM):
    config_class = OwnConfig

class OwnReward(LlamaForSequenceClassification):
    config_class = OwnConfig

class OwnTokenizer(PreTrainedTokenizerFast):
    pass
"""

OWN_MODEL = {
    "AutoConfig": "evil.OwnConfig",
    "AutoModelForCausalLM": "evil.OwnModel",
    "AutoModelForSequenceClassification": "evil.OwnReward",
}


_numbers = count()


def poison(folder: Path, mark: Path, *, kind: str = "", tokenizer: bool = False) -> Path:
    """Put code beside a model that leaves a mark when it runs, as a kind that no library knows."""
    kind = kind or f"own{next(_numbers)}"  # the library remembers kinds that it has once run
    (folder / "evil.py").write_text(EVIL.format(mark=str(mark), kind=kind))
    name = "tokenizer_config.json" if tokenizer else "config.json"
    given = json.loads((folder / name).read_text())
    if tokenizer:
        given["auto_map"] = {"AutoTokenizer": [None, "evil.OwnTokenizer"]}
        given["tokenizer_class"] = "OwnTokenizer"
    else:
        given |= {"auto_map": OWN_MODEL, "model_type": kind}
    (folder / name).write_text(json.dumps(given))
    return folder


def language_model(folder: Path) -> Any:
    return base.load_base(Model(name=str(folder)), device="cpu", dtype=torch.float32)


def reward_model(folder: Path) -> Any:
    reward = ClassifierReward(name="r", model=str(folder), template="{prompt} {response}")
    return reward.score(["Hi"], ["Hello"])


LOADS: dict[str, tuple[Callable[[Path], Any], Callable[[Path], Path]]] = {
    "language model": (language_model, tiny_causal),
    "tokenizer": (lambda folder: base.load_tokenizer(Model(name=str(folder))), tiny_causal),
    "configuration": (lambda folder: base.load_config(Model(name=str(folder))), tiny_causal),
    "skeleton": (lambda folder: base.skeleton(Model(name=str(folder))), tiny_causal),
    "template": (lambda folder: base.check_trainable(Model(name=str(folder))), tiny_causal),
    "day": (lambda folder: base.dated(Model(name=str(folder))), tiny_causal),
    "reward model": (reward_model, tiny_classifier),
}


class Bomb:
    """Leaves a mark when it is read from a pickle."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> Any:
        return (open, (str(self.mark), "w"))
