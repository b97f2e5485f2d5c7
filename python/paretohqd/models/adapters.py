"""LoRA adapters on a base: put on it whole, with nothing else of it changed, and summed up.

Sampling holds an adapter in its base's number format, which is how training computes with it:
autocast rounds the float32 weights that are trained to bfloat16 at each product. Buffers, such as
the frequencies of rotary positions, and weights that the architecture keeps in float32 stay as
they are: `model.to(dtype)` would cast those too.

The update of a LoRA layer is B A. Interpolating A and B apart gives cross terms; stacking the
scaled A's and the B's of all adapters ("cat") gives the weighted sum of the updates itself: exact,
and without training.
"""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from peft import PeftConfig, PeftModel, get_peft_model
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import OutOfMemoryError

from paretohqd.frames.hashes import hash_path
from paretohqd.models.adapter_keys import NOT_ADDED
from paretohqd.models.adapter_settings import check_saved
from paretohqd.models.finite import check_loaded
from paretohqd.models.library_calls import tied_on_purpose, without_bars

WEIGHTS, CONFIG = "adapter_model.safetensors", "adapter_config.json"
"""Files of a saved adapter."""

Weighted = tuple[Path, float]
"""A folder with an adapter, and its weight."""


def put_adapter(
    base: Any, folder: Path, name: str, *, trainable: bool = False, exact: bool = False
) -> PeftModel:
    """Add the adapter in `folder` to a base, under a name; it is not switched to.

    One that is refused is taken off again: the base is as it was.

    Args:
        base: A model, or one that has adapters already.
        folder: What `save_pretrained` of an adapter wrote.
        name: What the adapter is called; the first on a base is the active one.
        trainable: Its weights get gradients.
        exact: Hold its weights in float32, as training must, whatever the base's number format.

    Raises:
        ValueError: No LoRA adapter there, one that changes the base or more than its updates, or
            one of another base: weights that are missing (and would be those of a new adapter),
            that the base does not have, or of other shapes; or weights that are not finite.
    """
    check_saved(folder)
    held = {"autocast_adapter_dtype": exact}
    bare = not isinstance(base, PeftModel)
    place = (base if bare else base.get_base_model()).__dict__.get("name_or_path")
    with _refused(folder):
        _check_updates(folder)
        if bare:
            config = PeftConfig.from_pretrained(str(folder.absolute()))
            config.inference_mode = not trainable
            config.base_model_name_or_path = place
            base = get_peft_model(base, config, adapter_name=name, **held)
    try:
        with _refused(folder):
            report = base.load_adapter(
                str(folder.absolute()),
                adapter_name=name,
                is_trainable=trainable,
                # Its default is the first GPU, wherever the base is.
                torch_device=str(base.device),
                **held,
            )
        wrong = [*report.missing_keys, *report.unexpected_keys]
        if wrong:
            raise ValueError(
                f"adapter {folder}: does not fit this base: {len(report.missing_keys)} weights are "
                f"missing and {len(report.unexpected_keys)} have no place (first: {wrong[0]}): it "
                "was trained on another base, or its file is damaged"
            )
        # What the file says is for people; the library looks for the base where this says.
        base.peft_config[name].base_model_name_or_path = place
        check_loaded(base, name, folder)
    except BaseException:
        if bare:
            base.unload()
        elif name in base.peft_config:
            base.delete_adapter(name)
        raise
    return base


def load_adapter(base: Any, folder: Path) -> PeftModel:
    """Put the LoRA adapter in `folder` on a base model, ready for generation.

    A base that already carries an adapter switches to this one and lets the other go, so memory
    does not grow with the number of adapters; the base's weights are shared and never changed.

    Raises:
        ValueError: No LoRA adapter, one that changes the base or more than its updates, or weights
            that are not finite.
    """
    # Named by content: folders of two stages have the same names, and one may be written anew.
    name = f"adapter-{hash_path(folder)[:16]}"
    with without_bars():
        if isinstance(base, PeftModel):
            others = [other for other in base.peft_config if other != name]
            if name not in base.peft_config:
                put_adapter(base, folder, name)
            base.set_adapter(name)
            for other in others:
                base.delete_adapter(other)
            model = base
        else:
            model = put_adapter(base, folder, name)
    return model.eval()


def load_mixture(base: Any, adapters: Sequence[Weighted]) -> PeftModel:
    """Put a weighted sum of adapters on a base model, ready for generation.

    Args:
        base: As for `load_adapter`: bare, or with adapters that are let go.
        adapters: Folders and weights; a weight of 0 leaves an adapter out. One adapter of weight 1
            is loaded as it is.

    Raises:
        ValueError: No adapter with a weight, one whose weights are not finite, or one trained with
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
    names = [f"part-{number}" for number in range(len(parts))]
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
        with tied_on_purpose():
            model.add_weighted_adapter(names, weights, mixed, combination_type="cat")
        model.set_adapter(mixed)
        for other in [name for name in model.peft_config if name != mixed]:
            model.delete_adapter(other)
    # The new adapter's dropout is in training mode, whatever the rest is in.
    return model.eval()


def average_factors(adapters: Sequence[Weighted], out: Path) -> None:
    """Write an adapter whose factors A and B are the weighted sums of others' factors.

    This is no sum of their updates: (sum w A)(sum w B) has cross terms. It is what averaging the
    adapters' files gives, as the code of Rewarded Soups does.

    Args:
        adapters: Folders and weights; one rank and the same modules in all.
        out: Folder for the adapter; its settings are those of the first.

    Raises:
        ValueError: Adapters of other modules or ranks.
    """
    files = [load_file(folder / WEIGHTS) for folder, _ in adapters]
    shapes = [{name: tensor.shape for name, tensor in file.items()} for file in files]
    if any(other != shapes[0] for other in shapes):
        raise ValueError("adapters of other modules or ranks have no mean of their factors")
    weights = torch.tensor([weight for _, weight in adapters])
    mean = {
        name: torch.tensordot(weights, torch.stack([file[name] for file in files]).float(), 1)
        for name in files[0]
    }
    out.mkdir(parents=True, exist_ok=True)
    save_file(mean, out / WEIGHTS, metadata={"format": "pt"})
    shutil.copy(adapters[0][0] / CONFIG, out / CONFIG)


def _check_updates(folder: Path) -> None:
    """Refuse weights of the base beside the updates, as of resized embeddings: they would stay.

    The library would go on to a pickle where there is no other file.
    """
    file = folder / WEIGHTS
    if not file.is_file():
        raise ValueError(f"there is no {file.name}; other files may run code when they are read")
    with safe_open(file, framework="pt") as weights:
        others = [key for key in weights.keys() if "lora_" not in key]  # noqa: SIM118
    if others:
        raise ValueError(
            f"its file holds weights of the base too (first: {others[0]}), which all adapters "
            "share: save it without them (save_embedding_layers=False)"
        )


@contextmanager
def _refused(folder: Path) -> Iterator[None]:
    """Say of which adapter a library's error is."""
    try:
        with without_bars(), tied_on_purpose():
            yield
    except (MemoryError, OutOfMemoryError):
        raise
    except Exception as error:  # a damaged file fails in whatever library reads it
        reason = " ".join(str(error).split())[:300]
        raise ValueError(
            f"adapter {folder}: cannot be put on this base: {reason or type(error).__name__}"
        ) from error
