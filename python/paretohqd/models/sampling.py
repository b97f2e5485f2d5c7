"""Sampling answers: one base model, many adapters, in batches of like length, seeded per row."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol

import numpy as np
import polars as pl

from paretohqd.models.answer_batch import ANSWERS, decode_batch
from paretohqd.models.chat import check_room, context_tokens, encode_prompts
from paretohqd.models.memory import Room, token_bytes
from paretohqd.models.spec import Sampling

Progress = Callable[[int, int], None]

DEFAULT = Sampling()


class Kept(Protocol):
    """Keeps answers as they come."""

    def done(self, n: int) -> np.ndarray:
        """Which of n rows have their answers."""

    def takes(self, piece: int) -> bool:
        """Whether a numbered batch is to be sampled here."""

    def add(self, rows: pl.DataFrame) -> None:
        """Take the answers of a batch, all of them or none."""

    def frame(self, schema: dict[str, Any]) -> pl.DataFrame:
        """All answers."""


class _InMemory:
    def __init__(self) -> None:
        self._frames: list[pl.DataFrame] = []

    def done(self, n: int) -> np.ndarray:
        return np.zeros(n, dtype=bool)

    def takes(self, piece: int) -> bool:
        return True

    def add(self, rows: pl.DataFrame) -> None:
        self._frames.append(rows)

    def frame(self, schema: dict[str, Any]) -> pl.DataFrame:
        return pl.concat([pl.DataFrame(schema=schema), *self._frames])


def generate(
    model: Any,
    tokenizer: Any,
    prompts: Sequence[str],
    *,
    system_prompt: Sequence[str] | None = None,
    seed: int = 0,
    samples: int = 1,
    sampling: Sampling = DEFAULT,
    progress: Progress | None = None,
    kept: Kept | None = None,
) -> pl.DataFrame:
    """Sample `samples` answers to every prompt.

    Args:
        model: A causal language model, with or without adapters, in eval mode.
        tokenizer: Its tokenizer, with a chat template.
        prompts: n prompts: what a user says, or a conversation as `write_prompt` writes it.
        system_prompt: A further system message for each of them; an empty one is none.
        seed: Together with the row's number it fixes the row's random numbers, so an answer
            depends neither on the batch size nor on the other prompts (up to the rounding of
            the model's own arithmetic).
        samples: Answers per prompt; the prompt is read once for all of them where the model's cache
            can be repeated.
        sampling: Length, temperature, top_p and batch size: on a GPU as many answers of a batch at
            a time as its memory holds.
        progress: Called with (answers done, answers in all).
        kept: Keeps each batch; rows that it has kept before are not sampled again, whatever the
            size of the batches was then.

    Returns:
        Frame of n * samples rows, in the prompts' order: prompt, response, sample (0-based),
        tokens (generated, with the end token), finished (it ended by itself).

    Raises:
        ValueError: A prompt leaves no room for an answer within the model's context, or the
            model's scores of the next token are not finite.
    """
    ids = encode_prompts(tokenizer, prompts, system_prompt)
    lengths = [len(row) for row in ids]
    check_room(lengths, sampling.max_new_tokens, context_tokens(model.config))
    kept = kept or _InMemory()
    before = kept.done(len(ids))
    done = int(before.sum())

    def tell() -> None:
        if progress and ids:
            progress(done * samples, len(ids) * samples)

    tell()
    room = room_for(model, samples)
    plan = plan_batches(lengths, samples=samples, batch_size=sampling.batch_size)
    for number, batch in enumerate(plan):
        # With another batch size than before, some of a batch may be done.
        if not (batch := [i for i in batch if not before[i]]):
            continue
        if kept.takes(number):
            made = decode_fitting(
                model,
                tokenizer,
                [prompts[i] for i in batch],
                [ids[i] for i in batch],
                batch,
                room=room,
                seed=seed,
                samples=samples,
                sampling=sampling,
            )
            kept.add(made)
        done += len(batch)
        tell()
    # Back to the prompts' order.
    return kept.frame(ANSWERS).sort("row", "sample").drop("row")


def plan_batches(lengths: Sequence[int], *, samples: int, batch_size: int) -> list[list[int]]:
    """Row numbers of prompts that are decoded side by side: neighbours of like length.

    The longest come first: what memory does not hold is known at once, not after hours.

    Example:
        >>> plan_batches([9, 3, 9, 4], samples=2, batch_size=4)
        [[0, 2], [1, 3]]
    """
    order = sorted(range(len(lengths)), key=lambda i: (lengths[i], i))
    size = max(1, batch_size // samples)
    return [order[start : start + size] for start in range(0, len(order), size)][::-1]


def room_for(model: Any, samples: int) -> Room:
    """Room for prompts with that many answers each, where a model lies."""
    return Room(model.device, samples * token_bytes(model.config, model.dtype))


def decode_fitting(
    model: Any,
    tokenizer: Any,
    prompts: Sequence[str],
    ids: Sequence[list[int]],
    rows: Sequence[int],
    *,
    room: Room,
    seed: int,
    samples: int,
    sampling: Sampling,
) -> pl.DataFrame:
    """Answers to one batch as `decode_batch` gives them, as many at a time as memory holds."""

    def answered(some: Sequence[int]) -> pl.DataFrame:
        return decode_batch(
            model,
            tokenizer,
            [prompts[i] for i in some],
            [ids[i] for i in some],
            [rows[i] for i in some],
            seed=seed,
            samples=samples,
            sampling=sampling,
        )

    width = max(map(len, ids)) + sampling.max_new_tokens
    return pl.concat(room.pieces(range(len(rows)), width, answered))


def trim_unfinished(answers: pl.DataFrame) -> pl.DataFrame:
    """Cut answers that did not finish after their last whole sentence, if they have one.

    An answer that stops in the middle of a sentence, trained on with an end token, teaches the
    model to stop there.

    Example:
        >>> frame = pl.DataFrame({"response": ["One. Two. Thr", "On"], "finished": [False, False]})
        >>> trim_unfinished(frame)["response"].to_list()
        ['One. Two.', 'On']
    """
    whole = pl.col("response").str.extract(r"(?s)^(.*[.!?…])", 1).fill_null(pl.col("response"))
    return answers.with_columns(
        pl.when(pl.col("finished")).then(pl.col("response")).otherwise(whole).alias("response")
    )
