"""Weighted sums of LoRA adapters, exactly, without training.

The update of a LoRA layer is B A. Interpolating A and B apart gives cross terms; stacking the
scaled A's and the B's of all adapters ("cat") gives the weighted sum of the updates itself.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from peft import PeftModel

from paretohqd.frames.hashes import hash_path
from paretohqd.models.adapter_keys import NOT_ADDED
from paretohqd.models.adapters import put_adapter
from paretohqd.models.loading import without_bars
from paretohqd.models.sampling import load_adapter

Weighted = tuple[Path, float]
"""A folder with an adapter, and its weight."""


def load_mixture(base: Any, adapters: Sequence[Weighted]) -> PeftModel:
    """Put a weighted sum of adapters on a base model, ready for generation.

    Args:
        base: as for `load_adapter`: bare, or with adapters that are let go.
        adapters: folders and weights; a weight of 0 leaves an adapter out. One adapter of weight 1
            is loaded as it is.

    Raises:
        ValueError: no adapter with a weight, one whose weights are not finite, or one trained with
            rslora or DoRA, whose scaling or magnitude a sum would get wrong.
    """
    parts = [(folder, weight) for folder, weight in adapters if weight]
    if not parts:
        raise ValueError("a mixture needs at least one adapter with a weight other than 0")
    if len(parts) == 1 and parts[0][1] == 1:
        return load_adapter(base, parts[0][0])
    if len(parts) == 1:  # of a list of one, peft would make another kind of sum
        parts = [(parts[0][0], parts[0][1] / 2)] * 2
    model = load_adapter(base, parts[0][0])
    names = [f"part-{place}" for place in range(len(parts))]
    marks = "".join(f"{hash_path(folder)}:{weight!r};" for folder, weight in parts)
    mixed = f"mixture-{hashlib.sha256(marks.encode()).hexdigest()[:16]}"
    with without_bars():
        for name, (folder, _) in zip(names, parts, strict=True):
            put_adapter(model, folder, name, exact=True)  # the sum alone is rounded, once
            wrong = [key for key in NOT_ADDED if getattr(model.peft_config[name], key)]
            if wrong:
                raise ValueError(
                    f"{folder}: trained with lora.{wrong[0]}, of which a sum of adapters would be "
                    "wrong: leave it off"
                )
        weights = [weight for _, weight in parts]
        model.add_weighted_adapter(names, weights, mixed, combination_type="cat")
        model.set_adapter(mixed)
        for other in [name for name in model.peft_config if name != mixed]:
            model.delete_adapter(other)
    # The new adapter's dropout is in training mode, whatever the rest is in.
    return model.eval()
