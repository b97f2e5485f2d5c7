"""Answers to several requests side by side, token by token, each with its own end."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Literal

import numpy as np
import torch

from paretohqd.models.answer_batch import next_tokens
from paretohqd.models.chat import answer_text, check_room, context_tokens, find_form, pad_prompts
from paretohqd.models.chat import stop_tokens as end_tokens
from paretohqd.models.decode_loop import decode
from paretohqd.models.merging import merged
from paretohqd.models.nucleus import NucleusSampler

End = Literal["stop", "length", "cancelled"]
"""Why an answer ended: by itself or at a text that was asked for, at its longest, or because nobody
wants it any more."""

COLDEST = 1e-3
"""Temperature below which the likeliest token is taken: scores divided by less overflow."""

HALF = "\N{REPLACEMENT CHARACTER}"
"""Ends a text whose last character has tokens that are still to come."""


@dataclass(kw_only=True)
class Request:
    """What is to be answered, and how."""

    ids: Sequence[int]
    """Tokens of the prompt, as `encode_prompts` has them."""
    max_tokens: int
    seed: int = 0
    """With it the answer is that of `generate` to this prompt alone, in bfloat16 up to rounding:
    sums over several rows are rounded otherwise there than over one."""
    stop: tuple[str, ...] = ()
    """Texts at which the answer ends, without them."""
    said: Callable[[str], None] | None = None
    """Gets each further piece of the answer."""
    cancelled: Callable[[], bool] = field(default=lambda: False)
    """Whether nobody wants the answer any more."""


@dataclass(frozen=True, kw_only=True)
class Reply:
    """An answer."""

    text: str
    tokens: int
    end: End


@torch.inference_mode()
def reply(
    model: Any,
    tokenizer: Any,
    requests: Sequence[Request],
    *,
    temperature: float,
    top_p: float,
) -> list[Reply]:
    """Answer requests that are sampled alike, side by side.

    Args:
        model: A causal language model, with or without adapters, in eval mode.
        tokenizer: Its tokenizer, with a chat template.
        requests: One or more.
        temperature: 0 takes the likeliest token, as does any below COLDEST.
        top_p: The share of probability that may be drawn from.

    Raises:
        ValueError: A prompt with its longest answer exceeds the model's context, or an architecture
            that generates in a way of its own.
    """
    room = context_tokens(model.config)
    for request in requests:
        check_room([len(request.ids)], request.max_tokens, room)
    steps = max(request.max_tokens for request in requests)
    ends = end_tokens(model, tokenizer)
    sampler = None
    if temperature >= COLDEST:
        # Row 0 of a prompt alone, as `generate` draws it, however long others' answers may be.
        drawn = [np.random.default_rng([request.seed, 0]).random(steps) for request in requests]
        sampler = NucleusSampler(np.stack(drawn), temperature=temperature, top_p=top_p)
    talkers = [_Talker(request, tokenizer, ends) for request in requests]
    with merged(model):
        replies = decode(
            model,
            *pad_prompts([list(r.ids) for r in requests], tokenizer, model.device),
            samples=1,
            steps=steps,
            stop=ends,
            choose=partial(_choose, sampler, talkers, ends[0]),
        )
    if replies is None:
        raise ValueError(f"{type(model).__name__} generates in a way of its own: not served here")
    return [talker.reply() for talker in talkers]


def _choose(
    sampler: NucleusSampler | None,
    talkers: Sequence[_Talker],
    over: int,
    scores: torch.Tensor,
    rows: torch.Tensor,
    step: int,
) -> torch.Tensor:
    """The next tokens; an answer that is over by its request gets an end token."""
    drawn = next_tokens(sampler, scores, rows, step)
    for place, (row, token) in enumerate(zip(rows.tolist(), drawn.tolist(), strict=True)):
        if not talkers[row].hear(token):
            drawn[place] = over
    return drawn


class _Talker:
    """One answer while it grows."""

    def __init__(self, request: Request, tokenizer: Any, ends: Sequence[int]) -> None:
        self.request, self.tokenizer, self.ends = request, tokenizer, set(ends)
        self.form = find_form(tokenizer)
        self.tokens: list[int] = []
        self.text, self.told, self.end = "", 0, "length"

    def hear(self, token: int) -> bool:
        """Take the next token; returns whether the answer goes on."""
        if self.request.cancelled():
            self.end = "cancelled"
            return False
        self.tokens.append(token)
        if token in self.ends:
            self.end = "stop"
            self._tell(whole=True)
            return False
        self.text = answer_text(self.tokenizer, self.tokens, form=self.form)
        found = [at for text in self.request.stop if (at := self.text.find(text)) >= 0]
        if found:
            self.text, self.end = self.text[: min(found)], "stop"
        over = bool(found) or len(self.tokens) >= self.request.max_tokens
        self._tell(whole=over)
        return not over

    def _tell(self, *, whole: bool) -> None:
        """Pass on what is certain by now: no half characters, nothing that may be a stop text."""
        text = self.text
        if not whole:
            text = text.rstrip(HALF)
            if self.form.gap.strip().startswith(text):
                return  # it may be what the template writes, and is then no part of the answer
            held = max((len(stop) for stop in self.request.stop), default=1) - 1
            text = text[: max(0, len(text) - held)]
        if self.request.said is not None and len(text) > self.told:
            self.request.said(text[self.told :])
            self.told = len(text)

    def reply(self) -> Reply:
        """What it has become."""
        return Reply(text=self.text, tokens=len(self.tokens), end=self.end)  # type: ignore[arg-type]
