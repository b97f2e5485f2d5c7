"""Batches that fit into memory: as many rows as there is room for, and half of them where not.

Beside the weights, what a batch takes is what the model remembers of each token (its cache of keys
and values) while it answers: 2 x layers x heads x their width numbers a token, 512 KB for a Llama 2
of 7 billion weights in bfloat16.
"""

from __future__ import annotations

import gc
import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeVar

import torch
from numpy.typing import NDArray

Rows = TypeVar("Rows", bound="Sequence[Any] | NDArray[Any]")
Made = TypeVar("Made")

SHARE = 0.5
"""Of the free memory that remembered tokens may take: a cache that grows is held twice while it is
copied, and what a step computes lies beside it."""

CPU_FULL = "DefaultCPUAllocator"
"""In the text of torch's error where a CPU's memory is full."""


def token_bytes(config: Any, dtype: torch.dtype) -> int:
    """Bytes that a model remembers of a token; 0 where its configuration does not say.

    Args:
        config: A causal language model's, of transformers.
        dtype: The number format of its cache.

    Example:
        >>> from transformers import LlamaConfig
        >>> token_bytes(LlamaConfig(), torch.bfloat16)  # of 7 billion weights
        524288
    """
    text = config.get_text_config() if hasattr(config, "get_text_config") else config
    layers, heads = getattr(text, "num_hidden_layers", 0), getattr(text, "num_attention_heads", 0)
    if not layers or not heads:
        return 0
    width = getattr(text, "head_dim", None) or text.hidden_size // heads
    shared = getattr(text, "num_key_value_heads", None) or heads
    return int(2 * layers * shared * width * dtype.itemsize)


def free_bytes(device: torch.device) -> float:
    """Memory of a GPU that is free, with what torch holds of it unused; no limit elsewhere."""
    if device.type != "cuda":
        return math.inf
    free, _ = torch.cuda.mem_get_info(device)
    return float(free + torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device))


class Room:
    """How many rows are worked on side by side, learned from memory that ran out."""

    def __init__(self, device: torch.device, bytes_per_token: int = 0) -> None:
        """Take where the work is done.

        Args:
            device: A GPU's free memory is a limit; elsewhere there is none beforehand.
            bytes_per_token: What a row takes for each of its tokens; 0 where nobody knows.
        """
        self._device, self._bytes = device, bytes_per_token
        self._most = math.inf
        """Tokens of a batch at most."""

    def rows(self, width: int) -> int:
        """How many rows of so many tokens fit; one at least."""
        most = self._most
        if self._bytes:
            most = min(most, SHARE * free_bytes(self._device) / self._bytes)
        return max(1, math.floor(min(most / max(1, width), 2**31)))

    def pieces(self, rows: Rows, width: int, work: Callable[[Rows], Made]) -> Iterator[Made]:
        """Do work on rows, in as few pieces as there is memory for.

        Where memory runs out, what the piece held is let go and half of it is tried again; pieces
        that come later are no larger.

        Args:
            rows: What the work takes some of at a time; what it makes of a row may not depend on
                the others.
            width: Tokens of each row, padded to the same.
            work: Takes some of the rows.

        Yields:
            What the work makes of each piece, in the rows' order.

        Raises:
            torch.OutOfMemoryError: There is no memory for a single row; or the CPU's RuntimeError.
        """
        start = 0
        while start < len(rows):
            piece: Any = rows[start : start + self.rows(width)]
            try:
                made = work(piece)
            except RuntimeError as error:
                if not ran_out(error) or len(piece) == 1:
                    raise
                made = None
            if made is None:  # outside the handler: the error holds all that was computed
                self._most = width * math.ceil(len(piece) / 2)
                gc.collect()
                if self._device.type == "cuda":
                    torch.cuda.empty_cache()
                continue
            yield made
            start += len(piece)


def ran_out(error: BaseException) -> bool:
    """Whether an error says that memory is full."""
    return isinstance(error, torch.OutOfMemoryError) or CPU_FULL in str(error)
