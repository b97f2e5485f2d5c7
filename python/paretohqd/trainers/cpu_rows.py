"""Rows of a batch one behind another, without padding: what a training on a CPU reads.

A fifth of a usual batch is padding, a third of the rest the system message that a template opens
every row with, and on a CPU products of both cost what those of texts do. So the rows stand in one
line, each with positions of its own; what all begin with stands there once; and attention alone
takes them apart again. Models whose layers look at neighbours in other ways (recurrences,
convolutions, windows) are told by trying, and read padded rows.
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


def read_rows(
    body: Any, tokens: torch.Tensor, kept: torch.Tensor, *, shared: int = 0
) -> torch.Tensor:
    """What a model makes of rows of unequal lengths, read without padding.

    Args:
        body: A causal model without its head, for which `takes_rows` holds.
        tokens: (rows, width) token ids.
        kept: (rows, width) flags of what is read: the beginning of each row, at least one token
            more than are shared.
        shared: The tokens that all rows begin with, which are read in the first row alone.

    Returns:
        (tokens, features) hidden states of the tokens kept, row by row, without those of the
        shared tokens in all rows but the first.
    """
    places = torch.arange(tokens.shape[1], device=tokens.device).expand_as(tokens)
    kept = without_shared(kept, shared)
    lengths = kept.sum(dim=1).tolist()
    with _attention(body.config):
        read = body(
            input_ids=tokens[kept][None],
            position_ids=places[kept][None],
            use_cache=False,
            row_lengths=lengths,
            row_masks=[None, *(_sees(length, shared, tokens.device) for length in lengths[1:])],
        )
    hidden: torch.Tensor = read.last_hidden_state[0]
    return hidden


def without_shared(kept: torch.Tensor, shared: int) -> torch.Tensor:
    """Flags of what is read, where tokens that all rows begin with are read in the first alone."""
    kept = kept.clone()
    kept[1:, :shared] = False
    return kept


def _sees(length: int, shared: int, device: torch.device) -> torch.Tensor | None:
    """(1, 1, length, shared + length): what each token of a row may look at; None: as usual."""
    if not shared:
        return None
    all_pairs = torch.ones(length, shared + length, dtype=torch.bool, device=device)
    return all_pairs.tril(shared)[None, None]


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
    tokens[1, :2] = tokens[0, :2]
    kept = torch.ones_like(tokens, dtype=torch.bool)
    kept[0, 4:] = False
    alone = [body(input_ids=row[None]).last_hidden_state[0] for row in (tokens[0, :4], tokens[1])]
    try:
        return all(_reads_alike(body, tokens, kept, alone, shared=shared) for shared in (0, 2))
    except (TypeError, ValueError, KeyError, RuntimeError):  # it does not pass the lengths on
        return False


def _reads_alike(
    body: Any, tokens: torch.Tensor, kept: torch.Tensor, alone: list[torch.Tensor], *, shared: int
) -> bool:
    """Whether two rows are read as they are alone, and neither changes with the other."""
    expected = torch.cat([alone[0], alone[1][shared:]]).float()
    found, first, second = (
        read_rows(body, rows, kept, shared=shared)
        for rows in (tokens, _with_another(tokens, 1), _with_another(tokens, 0))
    )
    apart = float((found.float() - expected).abs().mean() / expected.std())
    length = len(alone[0])
    # To the last bit: what leaks from row to row may be little at the start of a training.
    return (
        apart <= ROUNDING * torch.finfo(body.dtype).eps ** 0.5
        and torch.equal(found[:length], first[:length])
        and torch.equal(found[length:], second[length:])
    )


def _with_another(tokens: torch.Tensor, row: int) -> torch.Tensor:
    """Rows of which one has other tokens behind the first two."""
    changed = tokens.clone()
    changed[row, 2:] += 1
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
    row_masks: list[torch.Tensor | None],
    **more: Any,
) -> tuple[torch.Tensor, None]:
    """Attention within each row and to what all rows begin with: transformers' own."""
    parts = (torch.split(states, row_lengths, dim=2) for states in (query, key, value))
    rows = list(zip(*parts, strict=True))
    _, first_keys, first_values = rows[0]
    seen = []
    for (row_query, row_key, row_value), mask in zip(rows, row_masks, strict=True):
        if mask is not None:
            shared = mask.shape[-1] - mask.shape[-2]
            row_key = torch.cat([first_keys[:, :, :shared], row_key], dim=2)
            row_value = torch.cat([first_values[:, :, :shared], row_value], dim=2)
        out, _ = sdpa_attention_forward(
            module, row_query, row_key, row_value, mask, is_causal=mask is None, **more
        )
        seen.append(out)
    return torch.cat(seen, dim=1), None


def _no_mask(*given: Any, **more: Any) -> None:
    """There is none: rows are attended to one by one."""


AttentionInterface.register(ATTENTION, _attend)
AttentionMaskInterface.register(ATTENTION, _no_mask)
