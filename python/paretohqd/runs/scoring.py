"""Scores of a run's answers, kept as they come: a kill costs a minute of them at most.

Answers are scored in pieces of fixed rows, so that a score is the same whenever a run was killed
and however many rows are in memory. Reward models take rows of like length together, and one
network after another takes all rows.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray

from paretohqd.rewards import classifier, scoring
from paretohqd.rewards.judge import JudgeReward
from paretohqd.runs.parts import Parts
from paretohqd.runs.processes import Processes

BLOCK = 1 << 16
"""Rows that are sorted by length."""
PIECE = 256
"""Rows that are scored before it is asked whether to keep them."""

Progress = Callable[[int, int], None]

Together = Sequence[scoring.Reward]
"""Rewards whose scores come from the same forward passes, or one reward."""


class Block(NamedTuple):
    """Some rows of all, in order."""

    start: int
    frame: pl.DataFrame


def blocks_of(frame: pl.DataFrame) -> Callable[[], Iterator[Block]]:
    """The blocks of a frame in memory."""
    return lambda: (Block(i, frame[i : i + BLOCK]) for i in range(0, len(frame), BLOCK))


def blocks_in(file: Path) -> Callable[[], Iterator[Block]]:
    """The blocks of a Parquet file, of which one at a time is in memory."""
    scan = pl.scan_parquet(file)

    def blocks() -> Iterator[Block]:
        start = 0
        while len(frame := scan.slice(start, BLOCK).collect()):
            yield Block(start, frame)
            start += BLOCK

    return blocks


def count_rows(file: Path) -> int:
    """Rows of a Parquet file."""
    return int(pl.scan_parquet(file).select(pl.len()).collect().item())


def score_in_parts(
    blocks: Callable[[], Iterator[Block]],
    n: int,
    rewards: Sequence[scoring.Reward],
    work: Path,
    *,
    processes: Processes | None = None,
    begin: Callable[[Together], None] = lambda together: None,
    progress: Progress | None = None,
    allow_empty: bool = False,
) -> pl.DataFrame:
    """Scores of n answers, with what an earlier attempt left in the work folder.

    Args:
        blocks: Gives the answers, as often as it is called: columns prompt and response, and what
            functions read.
        n: Rows in all.
        rewards: What to score by.
        work: Folder of the stage's work.
        processes: Those that share the work.
        begin: Called before a network or a reward takes its first row.
        progress: Called with the number of scores done and the number in all.
        allow_empty: As for `scoring.score`.

    Returns:
        A column for each reward, n rows; without rows where another process has them.

    Raises:
        ValueError: As `scoring.score`.
    """
    scores: dict[str, pl.Series] = {}
    done, total = 0, n * len(rewards)
    for together in _groups(rewards):
        names = [reward.name for reward in together]
        parts = Parts(work, f"{rewards.index(together[0]):02d}", processes)
        kept, begun, piece = parts.done(n), False, -1
        for block in blocks():
            for rows in _pieces(block.frame, together):
                numbers, piece = block.start + rows, piece + 1
                # A judge's block is one piece, and one process asks it.
                judge = isinstance(together[0], JudgeReward)
                mine = parts.takes(0 if judge else piece)
                if mine and not kept[numbers[0]]:
                    if not begun:
                        begin(together)
                        begun = True
                    within = _shifted(progress, done, total) if judge else None
                    part = _scores(block.frame[rows], numbers, together, allow_empty, within)
                    parts.add(part.with_columns(row=pl.Series(numbers, dtype=pl.Int64)))
                done += len(rows) * len(together)
                if progress is not None:
                    progress(done, total)
        schema = dict.fromkeys(names, pl.Float64()) | {"row": pl.Int64()}
        scores |= parts.frame(schema).select(names).to_dict()
    return pl.DataFrame({reward.name: scores[reward.name] for reward in rewards})


def _groups(rewards: Sequence[scoring.Reward]) -> list[Together]:
    models = scoring.grouped(rewards)
    heads = {id(group[0]): group for group in models}
    members = {id(reward) for group in models for reward in group}
    return [
        heads.get(id(reward), [reward])
        for reward in rewards
        if id(reward) in heads or id(reward) not in members
    ]


def _pieces(frame: pl.DataFrame, together: Together) -> Iterator[NDArray[np.int64]]:
    """Row numbers of a block in the order in which they are scored."""
    order, size = np.arange(len(frame)), PIECE
    if isinstance(together[0], JudgeReward):
        size = BLOCK  # it keeps each reply itself, and unreadable ones are a share of many
    elif isinstance(together[0], scoring.ClassifierReward):
        lengths = frame["prompt"].str.len_bytes() + frame["response"].str.len_bytes()
        order = np.argsort(lengths.to_numpy(), kind="stable")
    return (order[start : start + size] for start in range(0, len(frame), size))


def _shifted(progress: Progress | None, done: int, total: int) -> Progress | None:
    """Progress within a part of what is done in all."""
    return None if progress is None else lambda now, _: progress(done + now, total)


def _scores(
    frame: pl.DataFrame,
    numbers: NDArray[np.int64],
    together: Together,
    allow_empty: bool,
    progress: Progress | None,
) -> pl.DataFrame:
    names = [reward.name for reward in together]
    if isinstance(together[0], scoring.ClassifierReward):
        group = [reward for reward in together if isinstance(reward, scoring.ClassifierReward)]
        texts = scoring.read_texts(
            frame, prompt="prompt", response="response", allow_empty=allow_empty, plain=True
        )
        prompts, responses = texts["prompt"].to_list(), texts["response"].to_list()
        made = classifier.score_together(group, prompts, responses)
        for name, values in zip(names, made, strict=True):
            scoring.refuse_infinite(name, values, numbers)
        return pl.DataFrame(dict(zip(names, made, strict=True)))
    try:
        scored = scoring.score(
            frame, together, plain=True, allow_empty=allow_empty, progress=progress
        )
    except ValueError as error:
        if not numbers[0]:
            raise
        raise ValueError(f"{error} (rows counted from row {numbers[0]} on)") from error
    return scored.select(names)
