"""Putting LoRA adapters on a base: on its device, whole, and with nothing else of it changed.

Sampling holds an adapter in its base's number format, which is how training computes with it:
autocast rounds the float32 weights that are trained to bfloat16 at each product. Buffers, such as
the frequencies of rotary positions, and weights that the architecture keeps in float32 stay as
they are: `model.to(dtype)` would cast those too.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from peft import PeftConfig, PeftModel, get_peft_model
from safetensors import safe_open
from torch import OutOfMemoryError

from paretohqd.models.adapter_settings import check_saved
from paretohqd.models.finite import check_loaded
from paretohqd.models.loading import without_bars


def put_adapter(
    base: Any, folder: Path, name: str, *, trainable: bool = False, exact: bool = False
) -> PeftModel:
    """Add the adapter in `folder` to a base, under a name; it is not switched to.

    One that is refused is taken off again: the base is as it was.

    Args:
        base: a model, or one that has adapters already.
        folder: what `save_pretrained` of an adapter wrote.
        name: what the adapter is called; the first on a base is the active one.
        trainable: its weights get gradients.
        exact: hold its weights in float32, as training must, whatever the base's number format.

    Raises:
        ValueError: no LoRA adapter there, one that changes the base or more than its updates, or
            one of another base: weights that are missing (and would be those of a new adapter),
            that the base has no place for, or of other shapes; or weights that are not finite.
    """
    check_saved(folder)
    held = {"autocast_adapter_dtype": exact}
    bare = not isinstance(base, PeftModel)
    with _refused(folder):
        _check_updates(folder)
        if bare:
            config = PeftConfig.from_pretrained(str(folder.absolute()))
            config.inference_mode = not trainable
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
        check_loaded(base, name, folder)
    except BaseException:
        if bare:
            base.unload()
        elif name in base.peft_config:
            base.delete_adapter(name)
        raise
    return base


def _check_updates(folder: Path) -> None:
    """Refuse weights of the base beside the updates, as of resized embeddings: they would stay."""
    file = folder / "adapter_model.safetensors"
    if not file.is_file():
        return
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
        with without_bars():
            yield
    except (MemoryError, OutOfMemoryError):
        raise
    except Exception as error:  # a damaged file fails in whatever library reads it
        reason = " ".join(str(error).split())[:300]
        raise ValueError(
            f"adapter {folder}: cannot be put on this base: {reason or type(error).__name__}"
        ) from error
