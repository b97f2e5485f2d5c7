"""Rows of a batch one behind another, without padding: what a training on a CPU reads.

A fifth of a usual batch is padding, and on a CPU its products cost what those of texts do. So the
rows stand in one line, each with positions of its own, and attention alone takes them apart
again. Models whose layers look at neighbours in other ways (recurrences, convolutions, windows)
are told by trying, and read padded rows.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from transformers import AttentionInterface, AttentionMaskInterface
from transformers.integrations.sdpa_attention import sdpa_attention_forward

from paretohqd.models.decoding import ROUNDING

ATTENTION = "paretohqd_rows"
"""The name of this attention among those of transformers."""


def read_rows(body: Any, tokens: torch.Tensor, kept: torch.Tensor) -> torch.Tensor:
    """What a model makes of rows of unequal lengths, read without padding.

    Args:
        body: A causal model without its head, for which `takes_rows` holds.
        tokens: (rows, width) token ids.
        kept: (rows, width) flags of what is read: the beginning of each row.

    Returns:
        (tokens, features) hidden states of the tokens kept, row by row.
    """
    places = torch.arange(tokens.shape[1], device=tokens.device).expand_as(tokens)
    lengths = [length for length in kept.sum(dim=1).tolist() if length]
    with _attention(body.config):
        read = body(
            input_ids=tokens[kept][None],
            position_ids=places[kept][None],
            use_cache=False,
            row_lengths=lengths,
        )
    hidden: torch.Tensor = read.last_hidden_state[0]
    return hidden


@torch.no_grad()
def takes_rows(body: Any, longest: int | None) -> bool:
    """Whether a model reads rows one behind another as it reads them alone. Puts it in eval mode.

    Args:
        body: A causal model without its head.
        longest: The most tokens of a row; None where there is no limit.
    """
    window = getattr(body.config, "sliding_window", None)
    if body.config._attn_implementation != "sdpa" or (
        window is not None and (longest is None or longest > window)
    ):
        return False
    body.eval()
    tokens = torch.arange(12, device=body.device).reshape(2, 6) % (body.config.vocab_size - 1)
    kept = torch.ones_like(tokens, dtype=torch.bool)
    kept[0, 3:] = False
    alone = [body(input_ids=tokens[:1, :3]), body(input_ids=tokens[1:])]
    expected = torch.cat([read.last_hidden_state[0] for read in alone]).float()
    try:
        found = read_rows(body, tokens, kept)
        first, second = (read_rows(body, _with_another(tokens, row), kept) for row in (1, 0))
    except (TypeError, ValueError, KeyError, RuntimeError):  # it does not pass the lengths on
        return False
    apart = float((found.float() - expected).abs().mean() / expected.std())
    # To the last bit: what leaks from row to row may be little at the start of a training.
    return (
        apart <= ROUNDING * torch.finfo(body.dtype).eps ** 0.5
        and torch.equal(found[3:], second[3:])
        and torch.equal(found[:3], first[:3])
    )


def _with_another(tokens: torch.Tensor, row: int) -> torch.Tensor:
    """Rows of which one has other tokens."""
    changed = tokens.clone()
    changed[row] = tokens[row] + 1
    return changed


@contextmanager
def _attention(config: Any) -> Iterator[None]:
    before, config._attn_implementation = config._attn_implementation, ATTENTION
    try:
        yield
    finally:
        config._attn_implementation = before


def _attend(
    module: Any,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: None,
    *,
    row_lengths: list[int],
    **more: Any,
) -> tuple[torch.Tensor, None]:
    """Attention within each row: transformers' own, causal and without a mask."""
    parts = (torch.split(x, row_lengths, dim=2) for x in (query, key, value))
    rows = zip(*parts, strict=True)
    seen = [sdpa_attention_forward(module, *row, None, is_causal=True, **more)[0] for row in rows]
    return torch.cat(seen, dim=1), None


def _no_mask(*given: Any, **more: Any) -> None:
    """There is none: rows are attended to one by one."""


AttentionInterface.register(ATTENTION, _attend)
AttentionMaskInterface.register(ATTENTION, _no_mask)
