"""Where models run here, and in which number format this machine computes well."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from pathlib import Path

import torch

from paretohqd.models.cores import usable_cores

DRIVER = Path("/proc/driver/nvidia/version")
"""There where a driver for GPUs of NVIDIA is loaded."""


TURNS = 20
"""Times that a product is tried in each number format: a third of a second in all."""


@dataclass(frozen=True, kw_only=True)
class Machine:
    """Where the models run and in which number format."""

    device: str
    """"cpu" or "cuda"."""
    bfloat16: bool
    """Train under bfloat16 autocast and sample in bfloat16; float32 otherwise."""
    threads: int

    @property
    def dtype(self) -> torch.dtype:
        """The number format for sampling."""
        return torch.bfloat16 if self.bfloat16 else torch.float32

    def describe(self) -> str:
        """One line for people."""
        where = f"{self.threads} CPU thread{'s' * (self.threads > 1)}"
        if self.device == "cuda":
            where = torch.cuda.get_device_name()
        return f"{where}, {'bfloat16' if self.bfloat16 else 'float32'}"


def find_machine(
    device: str = "auto", precision: str = "auto", threads: int | None = None
) -> Machine:
    """Decide where to run, and probe rather than assume bfloat16.

    Args:
        device: "auto", "cpu" or "cuda".
        precision: "auto", "float32" or "bfloat16".
        threads: Number of torch's threads on a CPU. None: what OMP_NUM_THREADS says, else torch's
            own number, but no more than `usable_cores`.

    Raises:
        ValueError: A GPU is asked for and there is none; or there is one, and torch cannot use it.
    """
    if threads is None and "OMP_NUM_THREADS" not in os.environ:
        threads = min(torch.get_num_threads(), usable_cores())
    if threads is not None:
        torch.set_num_threads(threads)
    if device == "cuda" and not torch.cuda.is_available():
        raise ValueError("device: cuda is asked for, but torch finds no GPU: use auto or cpu")
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
        if device == "cpu":
            _refuse_lost_gpu()
    if precision == "auto":
        bfloat16 = (
            torch.cuda.is_bf16_supported(including_emulation=False)
            if device == "cuda"
            else _cpu_likes_bfloat16()
        )
    else:
        bfloat16 = precision == "bfloat16"
    return Machine(device=device, bfloat16=bfloat16, threads=torch.get_num_threads())


def _refuse_lost_gpu() -> None:
    """Say that a GPU is not used before hours of work are done without it."""
    if os.environ.get("CUDA_VISIBLE_DEVICES") in ("", "-1") or not DRIVER.exists():
        return
    try:
        torch.cuda.init()  # type: ignore[no-untyped-call]
        reason = "no reason given"
    except (RuntimeError, AssertionError) as error:
        reason = " ".join(str(error).split())
    raise ValueError(
        "device: auto: this machine has an NVIDIA driver, but torch "
        f"{torch.__version__} finds no GPU ({reason}): install a torch that fits the driver, or "
        "set device: cpu"
    )


def _cpu_likes_bfloat16() -> bool:
    """Time one product both ways: without hardware for it bfloat16 is two or three times slower.

    By turns, and the best of many: where other programs work, all times of one format might be bad.
    """
    formats = (torch.float32, torch.bfloat16)
    left = {dtype: torch.ones(256, 1024, dtype=dtype) for dtype in formats}
    right = {dtype: torch.ones(1024, 1024, dtype=dtype) for dtype in formats}
    best = dict.fromkeys(formats, float("inf"))
    for _ in range(TURNS):
        for dtype in formats:
            start = time.perf_counter()
            left[dtype] @ right[dtype]
            best[dtype] = min(best[dtype], time.perf_counter() - start)
    return best[torch.bfloat16] < 0.7 * best[torch.float32]
