"""Scores of a run's answers, kept as they come: a kill costs a minute of them at most.

Answers are scored in pieces of fixed rows, so that a score is the same whenever a run was killed
and however many rows are in memory. A reward model's pieces are its batches: rows of one length
among all of a block, of which there are many. One network after another takes all rows.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import count
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
"""Rows among which a reward model finds those of one length."""
PIECE = 256
"""Rows that any other reward scores before it is asked whether to keep them."""

Progress = Callable[[int, int], None]

Rows = NDArray[np.int64]
"""Numbers of rows within a block."""

Left = Callable[[Rows], NDArray[np.bool_]]
"""Asked for the rows of each piece in turn: which of them are to be scored here."""

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
    told, whole = _Told(progress, n * len(rewards)), 0
    for together in _groups(rewards):
        names = [reward.name for reward in together]
        parts = Parts(work, f"{rewards.index(together[0]):02d}", processes)
        kept, begun = parts.done(n), False
        for block in blocks():
            here = kept[block.start : block.start + len(block.frame)]
            if not here.all():
                if not begun:
                    begin(together)
                    begun = True
                left = _left(together, parts, here)
                for rows, made in _scored(block, together, left, allow_empty, told.within):
                    parts.add(made.with_columns(row=pl.Series(block.start + rows, dtype=pl.Int64)))
                    told.reach(told.done + len(rows) * len(together))
            whole += len(block.frame) * len(together)
            told.reach(whole)
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


def _left(together: Together, parts: Parts, kept: NDArray[np.bool_]) -> Left:
    """Which rows of a block's pieces are neither another process's nor kept already.

    Pieces are counted within the block, whichever blocks a process has found whole.
    """
    turns = count()

    def left(rows: Rows) -> NDArray[np.bool_]:
        # A judge's block is one piece, and one process asks it.
        turn = 0 if isinstance(together[0], JudgeReward) else next(turns)
        return ~kept[rows] & parts.takes(turn)

    return left


def _scored(
    block: Block,
    together: Together,
    left: Left,
    allow_empty: bool,
    progress: Progress,
) -> Iterator[tuple[Rows, pl.DataFrame]]:
    """The rows of each piece of a block that are left, and their scores."""
    group = [each for each in together if isinstance(each, scoring.ClassifierReward)]
    if group:
        yield from _by_models(block, group, left, allow_empty)
        return
    # A judge keeps each reply itself, and unreadable ones are a share of many.
    size = BLOCK if isinstance(together[0], JudgeReward) else PIECE
    for start in range(0, len(block.frame), size):
        rows = np.arange(start, min(start + size, len(block.frame)))
        if len(rows := rows[left(rows)]):
            yield rows, _by_another(block, rows, together, allow_empty, progress)


def _by_models(
    block: Block,
    group: Sequence[scoring.ClassifierReward],
    left: Left,
    allow_empty: bool,
) -> Iterator[tuple[Rows, pl.DataFrame]]:
    with _rows_from(block.start):
        texts = scoring.read_texts(
            block.frame, prompt="prompt", response="response", allow_empty=allow_empty, plain=True
        )
    prompts, responses = texts["prompt"].to_list(), texts["response"].to_list()
    for rows, made in classifier.score_batches(group, prompts, responses, left=left):
        for reward, values in zip(group, made.T, strict=True):
            scoring.refuse_infinite(reward.name, values, block.start + rows)
        columns = {reward.name: made[:, i] for i, reward in enumerate(group)}
        yield rows, pl.DataFrame(columns)


def _by_another(
    block: Block,
    rows: Rows,
    together: Together,
    allow_empty: bool,
    progress: Progress,
) -> pl.DataFrame:
    with _rows_from(block.start + int(rows[0])):
        scored = scoring.score(
            block.frame[rows], together, plain=True, allow_empty=allow_empty, progress=progress
        )
    return scored.select(reward.name for reward in together)


@contextmanager
def _rows_from(first: int) -> Iterator[None]:
    """Say in errors which row of all is the first."""
    try:
        yield
    except ValueError as error:
        if not first:
            raise
        raise ValueError(f"{error} (rows counted from row {first} on)") from error


class _Told:
    """What is told of progress, each number once."""

    def __init__(self, progress: Progress | None, total: int) -> None:
        self.done, self._last = 0, 0
        self._progress, self._total = progress, total

    def within(self, now: int, _: int) -> None:
        """So many scores of the piece at hand are done."""
        if self._progress is not None and self.done + now != self._last:
            self._last = self.done + now
            self._progress(self._last, self._total)

    def reach(self, done: int) -> None:
        """So many scores are done in all."""
        self.done = done
        self.within(0, 0)
