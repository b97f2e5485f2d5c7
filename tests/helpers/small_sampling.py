"""Sampling with settings by name."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import polars as pl

from paretohqd.models.sampling import generate
from paretohqd.models.spec import Sampling

SETTINGS = ("max_new_tokens", "temperature", "top_p", "batch_size")


def sample(model: Any, tokenizer: Any, prompts: Sequence[str], **more: Any) -> pl.DataFrame:
    """`generate` with settings of `Sampling` beside its own arguments."""
    own = {name: value for name, value in more.items() if name not in SETTINGS}
    settings = {name: value for name, value in more.items() if name in SETTINGS}
    return generate(model, tokenizer, prompts, sampling=Sampling(**settings), **own)
