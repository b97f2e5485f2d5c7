"""Answers that go on sentence by sentence, from whichever beginning was chosen."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from functools import partial
from typing import Any

import torch

from paretohqd.models.answer_batch import next_tokens, sampler_of
from paretohqd.models.chat import check_room, context_tokens, pad_prompts
from paretohqd.models.decode_loop import decode
from paretohqd.models.merging import merged
from paretohqd.models.sampling import plan_batches
from paretohqd.models.spec import Sampling

ENDS = (".", "!", "?", "…", "\n", "\N{IDEOGRAPHIC FULL STOP}")
"""What ends a sentence where it ends a token."""


def sentence_ends(tokenizer: Any) -> frozenset[int]:
    """Ids of the tokens that end with one of ENDS, in quotes or brackets too."""
    texts = tokenizer.batch_decode([[i] for i in range(len(tokenizer))])
    stripped = (text.rstrip(" \"'”)]") if text.strip() else text for text in texts)
    return frozenset(i for i, text in enumerate(stripped) if text.endswith(ENDS))


@torch.inference_mode()
def continued(
    model: Any,
    tokenizer: Any,
    prompts: Sequence[Sequence[int]],
    begun: Sequence[Sequence[int]],
    rows: Sequence[int],
    *,
    ends: Collection[int],
    candidates: int,
    seed: int,
    sampling: Sampling,
) -> list[list[list[int]]]:
    """Some ways to go on from the beginning of each answer, up to a token that ends a sentence.

    Args:
        model: A causal language model, in eval mode.
        tokenizer: Its tokenizer.
        prompts: n prompts' tokens, as `encode_prompts` has them.
        begun: The tokens of each answer so far; fewer than an answer may have.
        rows: The number of each prompt among all, which with the seed fixes its random numbers.
        ends: Tokens to stop at: those that end a sentence, and those that end an answer.
        candidates: Ways for each.
        seed: Another one for each turn.
        sampling: Length of the whole answer, temperature, top_p, and answers side by side.

    Returns:
        For each prompt the tokens of each of its ways, at least one.

    Raises:
        ValueError: A prompt leaves no room for an answer, scores that are not finite, or an
            architecture that goes on in a way of its own.
    """
    ids = [[*prompt, *answer] for prompt, answer in zip(prompts, begun, strict=True)]
    room = context_tokens(model.config)
    check_room([len(prompt) for prompt in prompts], sampling.max_new_tokens, room)
    left = [sampling.max_new_tokens - len(answer) for answer in begun]
    ways: list[list[list[int]]] = [[] for _ in ids]
    lengths = [len(row) for row in ids]
    with merged(model):
        for batch in plan_batches(lengths, samples=candidates, batch_size=sampling.batch_size):
            sampler = sampler_of(
                [rows[i] for i in batch], seed=seed, samples=candidates, sampling=sampling
            )
            replies = decode(
                model,
                *pad_prompts([ids[i] for i in batch], tokenizer, model.device),
                samples=candidates,
                steps=max(left[i] for i in batch),
                stop=ends,
                choose=partial(next_tokens, sampler),
            )
            if replies is None:
                raise ValueError(
                    f"{type(model).__name__} goes on in a way of its own: answers cannot be chosen "
                    "sentence by sentence: take another base"
                )
            for place, i in enumerate(batch):
                own = replies[place * candidates : (place + 1) * candidates]
                # A batch goes on for as long as one of its answers may.
                ways[i] = [reply[: left[i]] for reply in own]
    return ways
