"""Sampling with a value model that reads along: see `guide`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import polars as pl
import torch

from paretohqd.models.answer_batch import answers_frame, next_tokens, sampler_of
from paretohqd.models.chat import (
    check_room,
    context_tokens,
    encode_prompts,
    pad_prompts,
    stop_tokens,
)
from paretohqd.models.decode_loop import decode
from paretohqd.models.finite import check_logits
from paretohqd.models.guide import Guide
from paretohqd.models.sampling import DEFAULT, Progress, plan_batches
from paretohqd.models.spec import Sampling


@torch.inference_mode()
def generate_guided(
    model: Any,
    tokenizer: Any,
    prompts: Sequence[str],
    guide: Guide,
    *,
    system_prompt: Sequence[str] | None = None,
    seed: int = 0,
    sampling: Sampling = DEFAULT,
    progress: Progress | None = None,
) -> pl.DataFrame:
    """Sample an answer to every prompt from a policy and a value model.

    The next token is drawn from exp(z / T + strength w . V) over the candidates, z being the
    policy's scores and T the temperature; top_p is of that distribution. At temperature 0 the
    likeliest is taken, with T = 1.

    Args:
        model: The policy, in eval mode; the value model has a base of its own.
        tokenizer: Its tokenizer, with a chat template.
        prompts: n prompts, as for `generate`.
        guide: The value model with a preference.
        system_prompt: A further system message for each prompt.
        seed: As for `generate`: with strength 0 and as many candidates as there are tokens, the
            answers are those of `generate`.
        sampling: Length, temperature, top_p, and answers side by side.
        progress: Called with (answers done, answers in all).

    Returns:
        The columns of `generate`, and entropy: the mean over the answer's tokens of the entropy of
        that distribution at temperature 1, in nats.

    Raises:
        ValueError: A prompt leaves no room for an answer, scores that are not finite, or an
            architecture that cannot be guided.
    """
    ids = encode_prompts(tokenizer, prompts, system_prompt)
    lengths = [len(row) for row in ids]
    check_room(lengths, sampling.max_new_tokens, context_tokens(model.config))
    stop, frames, done = stop_tokens(model, tokenizer), [], 0
    with guide.at_work():
        for batch in plan_batches(lengths, samples=1, batch_size=sampling.batch_size):
            tokens, mask = pad_prompts([ids[i] for i in batch], tokenizer, model.device)
            guide.begin(tokens, mask)
            chooser = _Chooser(guide, batch, seed, sampling)
            replies = decode(
                model,
                tokens,
                mask,
                samples=1,
                steps=sampling.max_new_tokens,
                stop=stop,
                choose=chooser,
            )
            if replies is None:
                raise ValueError(
                    f"{type(model).__name__} cannot be guided: its way to generate is its own: "
                    "take another base"
                )
            frame = answers_frame(
                tokenizer, replies, [prompts[i] for i in batch], batch, samples=1, stop=stop
            )
            frames.append(
                frame.with_columns(entropy=pl.Series(chooser.entropy(), dtype=pl.Float64))
            )
            done += len(batch)
            if progress:
                progress(done, len(ids))
    return pl.concat(frames).sort("row").drop("row")


class _Chooser:
    """Takes the next tokens, and adds up how sure it was of each."""

    def __init__(self, guide: Guide, batch: Sequence[int], seed: int, sampling: Sampling) -> None:
        self.guide, self.scale = guide, sampling.temperature or 1.0
        self.sampler = sampler_of(batch, seed=seed, samples=1, sampling=sampling)
        self.nats = [0.0] * len(batch)
        self.counts = [0] * len(batch)

    def __call__(self, scores: torch.Tensor, rows: torch.Tensor, step: int) -> torch.Tensor:
        check_logits(scores)
        tokens, top, word = self.guide.look(scores, rows)
        certain = torch.special.entr((top + word).softmax(dim=-1)).sum(dim=-1)
        for row, nats in zip(rows.tolist(), certain.tolist(), strict=True):
            self.nats[row] += nats
            self.counts[row] += 1
        tilted = torch.full_like(scores, -torch.inf).scatter_(-1, tokens, top + self.scale * word)
        drawn = next_tokens(self.sampler, tilted, rows, step)
        self.guide.took(drawn)
        return drawn

    def entropy(self) -> list[float | None]:
        """Nats for each token of each answer; None for one without any."""
        return [
            nats / count if count else None
            for nats, count in zip(self.nats, self.counts, strict=True)
        ]
