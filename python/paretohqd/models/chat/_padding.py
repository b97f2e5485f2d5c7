"""Rows of token ids laid side by side: prompts padded on the left, answers on the right."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True, kw_only=True)
class AnswerBatch:
    """Prompts with their answers as token ids, right padded: what teacher forcing reads."""

    tokens: torch.Tensor
    """(rows, width) ids of prompt, answer and end token."""
    attention: torch.Tensor
    """(rows, width): 1 where a token stands, 0 for padding."""
    answer: torch.Tensor
    """(rows, width): True at the answer's tokens and its end token."""


def pad_answers(
    rows: Sequence[tuple[list[int], list[int]]], tokenizer: Any, device: Any
) -> AnswerBatch:
    """Lay rows of `encode_answers` side by side, padded on the right."""
    import torch

    width = max(len(prompt) + len(answer) for prompt, answer in rows)
    tokens, attention, answers = [], [], []
    for prompt, answer in rows:
        empty = width - len(prompt) - len(answer)
        tokens.append(prompt + answer + [tokenizer.pad_token_id] * empty)
        attention.append([1] * (width - empty) + [0] * empty)
        answers.append([False] * len(prompt) + [True] * len(answer) + [False] * empty)
    return AnswerBatch(
        tokens=torch.tensor(tokens, device=device),
        attention=torch.tensor(attention, device=device),
        answer=torch.tensor(answers, device=device),
    )


def pad_prompts(
    rows: Sequence[list[int]], tokenizer: Any, device: Any
) -> tuple[torch.Tensor, torch.Tensor]:
    """Lay rows of `encode_prompts` side by side, padded on the left: tokens and their mask."""
    import torch

    width = max(map(len, rows))
    pad = tokenizer.pad_token_id
    tokens = [[pad] * (width - len(row)) + row for row in rows]
    mask = [[0] * (width - len(row)) + [1] * len(row) for row in rows]
    return torch.tensor(tokens, device=device), torch.tensor(mask, device=device)
