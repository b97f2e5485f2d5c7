"""What a run finds out before any work: the machine that it keeps to, and room for adapters."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import torch

from paretohqd.models.adapter_settings import adapter_weights
from paretohqd.models.machine import Machine, find_machine
from paretohqd.models.spec import BYTES, Kwargs
from paretohqd.runs import layout
from paretohqd.runs.config import Config
from paretohqd.runs.folder import RunFolder
from paretohqd.runs.manifest import MANIFEST

NUMBER = 4
"""Bytes of a trained number, which is held in float32."""

IN_TRAINING = 4 * NUMBER
"""Of each: the number, its gradient, and the two means of Adam."""

AT_LEAST = 2_000_000_000
"""Bytes of a GPU beside weights: activations of a small batch."""


def settled_machine(folder: RunFolder, settings: Config) -> Machine:
    """Find the machine; a resumed run keeps the number format that it began with.

    Where it goes on on another kind of device, it keeps it only once an adapter is trained, which
    would have to be trained again: a run whose scores alone were made on a CPU takes the format of
    the GPU.

    Raises:
        ValueError: As `find_machine`.
    """
    before = folder.read_json(layout.MACHINE) or {}
    folder.barrier()
    if folder.rank == 0:
        kept = settings.precision == "auto" and before.get("wish") == settings.device
        precision = before["precision"] if kept else settings.precision
        machine = find_machine(settings.device, precision, settings.threads)
        other = before.get("device", machine.device) != machine.device
        if kept and other and _has_adapters(folder.folder):
            folder.report(
                f"this run began on {before['device']} and goes on on {machine.device}: its "
                f"adapters are trained in {precision}, and so are the others; set precision to "
                "train them all anew"
            )
        elif kept and other:
            machine = find_machine(settings.device, "auto", settings.threads)
        precision = "bfloat16" if machine.bfloat16 else "float32"
        now = {"wish": settings.device, "device": machine.device, "precision": precision}
        folder.write_json(layout.MACHINE, now)
    folder.barrier()
    # What the first process measured holds for all: timings may differ.
    precision = folder.read_json(layout.MACHINE)["precision"]
    return find_machine(settings.device, precision, settings.threads)


def _has_adapters(run: Path) -> bool:
    return any(run.glob(f"stage*/fit/*/{MANIFEST}"))


def check_room(
    folder: RunFolder, machine: Machine, skeleton: Any, settings: Config, preferences: int
) -> None:
    """Refuse a run whose adapters the disk, or whose training the GPU does not hold.

    Args:
        folder: The run's.
        machine: Where models run.
        skeleton: The base without weights.
        settings: The run's.
        preferences: Their number.

    Raises:
        ValueError: Too little is free; the message says how much is needed.
    """
    each = adapter_weights(skeleton, settings.lora)
    fits = preferences * settings.stages - len(list(folder.folder.glob(f"*/fit/*/{MANIFEST}")))
    train = {**settings.train, **settings.train_stage2}
    # A checkpoint has Adam's means too; each finished adapter is a file.
    checkpoint = 3 * each * NUMBER if train.get("save_strategy", "no") != "no" else 0
    needed = max(0, fits) * each * NUMBER + checkpoint
    free = shutil.disk_usage(folder.folder).free
    if free < needed:
        raise ValueError(
            f"the disk of {folder.folder} has {_gigabytes(free)} free, and {fits} adapters take "
            f"{_gigabytes(needed)}: free some, lower lora.r, or give another folder with "
            "--run-folder"
        )
    if machine.device == "cuda":
        how = settings.model.kwargs or Kwargs()
        size: float = 2 if machine.bfloat16 else NUMBER
        size = BYTES[how.quantization] if how.quantization else size
        weights = sum(p.numel() for p in skeleton.parameters()) * size
        gpus = range(torch.cuda.device_count() if how.device_map else 1)
        there = sum(torch.cuda.get_device_properties(gpu).total_memory for gpu in gpus)
        if weights + each * IN_TRAINING + AT_LEAST > there:
            raise ValueError(
                f"the GPU has {_gigabytes(there)} of memory, and training takes more: "
                f"{_gigabytes(weights)} for the base, {_gigabytes(each * IN_TRAINING)} for an "
                "adapter and its optimizer, and batches: take a larger GPU, a smaller base, "
                "model.kwargs.quantization, or a lower lora.r"
            )


def _gigabytes(number: float) -> str:
    """Bytes as people read them.

    Example:
        >>> _gigabytes(13_500_000_000)
        '13.5 GB'
    """
    return f"{number / 1e9:.1f} GB"
