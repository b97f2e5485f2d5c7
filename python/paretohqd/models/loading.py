"""How the weights of a base are loaded, beyond where they are: `model.kwargs`."""

from __future__ import annotations

import importlib.util
from typing import Any

import torch
from transformers import BitsAndBytesConfig

from paretohqd.models.spec import Kwargs


def check(given: Kwargs | None, *, processes: int = 1) -> None:
    """Refuse what cannot be followed here, before any work.

    Args:
        given: How the base is to be loaded.
        processes: Those that each hold a whole base.

    Raises:
        ValueError: A package that is missing, or a base spread over the GPUs of each of several
            processes.
    """
    if given is None:
        return
    if given.quantization is not None and importlib.util.find_spec("bitsandbytes") is None:
        raise ValueError(
            "model.kwargs.quantization: bitsandbytes is not installed: pip install "
            "'paretohqd[quantized]'"
        )
    attention = given.attn_implementation or ""
    if attention.startswith("flash_attention") and not torch.cuda.is_available():
        raise ValueError(f"model.kwargs.attn_implementation: {attention} needs a GPU: take sdpa")
    if given.device_map is not None and processes > 1:
        raise ValueError(
            f"model.kwargs.device_map: {processes} processes hold a whole base each, on a GPU of "
            "their own: start one process, which takes all GPUs"
        )


def options(given: Kwargs | None, *, device: str, dtype: torch.dtype) -> dict[str, Any]:
    """Arguments for `from_pretrained`.

    Args:
        given: How the base is to be loaded.
        device: Where it is to lie.
        dtype: The number format where none is given.

    Example:
        >>> options(Kwargs(dtype="bfloat16"), device="cpu", dtype=torch.float32)
        {'dtype': torch.bfloat16}
        >>> options(None, device="cuda", dtype=torch.bfloat16)["device_map"]
        {'': 'cuda'}
    """
    given = given or Kwargs()
    numbers = getattr(torch, given.dtype) if given.dtype else dtype
    found: dict[str, Any] = {"dtype": numbers}
    if given.attn_implementation is not None:
        found["attn_implementation"] = given.attn_implementation
    if given.quantization is not None:
        found["quantization_config"] = _quantized(given.quantization, numbers)
    if given.device_map is not None:
        found["device_map"] = given.device_map
    elif given.quantization is not None or device != "cpu":
        found["device_map"] = {"": device}  # straight to where it belongs, not by way of memory
    return found


def _quantized(how: str, numbers: torch.dtype) -> BitsAndBytesConfig:
    if how == "int8":
        return BitsAndBytesConfig(load_in_8bit=True)
    return BitsAndBytesConfig(
        load_in_4bit=True,
        bnb_4bit_quant_type=how,
        bnb_4bit_compute_dtype=numbers,
        bnb_4bit_use_double_quant=True,
    )
