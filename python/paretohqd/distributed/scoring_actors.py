"""Scoring on several machines: the same function, in Ray actors.

An actor loads its models once and then takes one batch after the other; one that dies is replaced,
and its batch is done again.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from paretohqd.distributed.actors import actor_pool, done, table
from paretohqd.distributed.cluster import pa, packed
from paretohqd.frames.objectives import column
from paretohqd.frames.reading.other_libraries import frame_of_table
from paretohqd.rewards import scoring
from paretohqd.rewards.judge import JudgeReward
from paretohqd.rewards.protocols import ColumnReward, Reward, Scorer, named_rewards

SMALLEST, LARGEST = 1024, 16_384
"""Rows that an actor scores at a time, where it is not said."""


def score(
    data: Any,
    rewards: Sequence[Scorer] | Mapping[str, Scorer],
    *,
    prompt: str = "prompt",
    response: str = "response",
    allow_empty: bool = False,
    batch_size: int | None = None,
    concurrency: int | None = None,
    num_gpus: float | None = None,
) -> Any:
    """Add a column of scores for each reward, as `scoring.score` does, on a Ray cluster.

    Args:
        data: A Polars frame, of which only the texts travel and the columns that a reward reads, or
            a `ray.data.Dataset`.
        rewards: What to score by, as `scoring.score` takes it. Rewards are copied to the actors
            without their loaded models; what such a copy counts, as a `ClassifierReward` does
            over-long texts, stays there.
        prompt: Column of the prompts.
        response: Column of the answers.
        allow_empty: Score blank answers too.
        batch_size: Rows that an actor is given at a time. Reward models score rows of one length
            together, which meet in large batches: 16,384 by default, fewer down to 1,024 where a
            frame would not give every actor four.
        concurrency: Actors; one per GPU, or per CPU where there is no GPU, by default.
        num_gpus: GPUs that each actor needs; 1 if the cluster has any, else 0.

    Returns:
        The frame with one Float64 column per reward after its own; for a Dataset, one that
        is as lazy as it was, with these columns. A score that does not depend on the other pairs,
        as that of an embedded scorer, has the bytes that `scoring.score` gives it; a
        `ClassifierReward` rounds by the batch (about 1e-6 of the score) unless its `batch_size` is
        1.

    Raises:
        ValueError: As `scoring.score`. For a Dataset such an error is raised when it runs, within
            an error of Ray's.
        ImportError: Ray is not installed.
    """
    texts: dict[str, Any] = {"prompt": prompt, "response": response, "allow_empty": allow_empty}
    bare = {name: _bare(reward) for name, reward in named_rewards(rewards)}
    if len(bare) < len(rewards):
        scoring.check_names(pl.DataFrame(), [name for name, _ in named_rewards(rewards)])
    if not isinstance(data, pl.DataFrame):
        work = {"fn_constructor_args": (bare, texts)}
        actors = actor_pool(concurrency, num_gpus) | work
        return data.map_batches(
            _Scorer, batch_size=batch_size or LARGEST, batch_format="pyarrow", **actors
        )
    # Whatever is wrong with the texts is said at once, and with the row's number in the frame.
    whole = scoring.score(data, [_Nothing(name) for name in bare], **texts)
    columns = scoring.read_texts(data, **texts)
    others = [name for name in data.columns if name not in (prompt, response)]
    read = dict.fromkeys(
        name
        for reward in bare.values()
        if isinstance(reward, ColumnReward)
        for name in reward.reads(others)
        if name not in columns.columns
    )
    if missing := [name for name in read if name not in data.columns]:
        raise ValueError(
            f"rewards read the column(s) {', '.join(missing)}, which the frame has not"
        )
    columns = columns.with_columns(data[name] for name in read)
    actors = actor_pool(concurrency, num_gpus)
    if batch_size is None:
        share = -(-len(data) // (4 * actors["compute"].max_size))
        batch_size = max(SMALLEST, min(LARGEST, share))
    starts = range(0, len(data), batch_size)
    work = {"fn_constructor_args": (bare, {"allow_empty": allow_empty, "plain": True})}
    scores = [pl.DataFrame(schema=dict.fromkeys(bare, pl.Float64))]
    blocks = [table(columns[start : start + batch_size]) for start in starts]
    actors = actor_pool(concurrency, num_gpus, len(blocks)) | work
    start = 0
    try:
        for scores_of_batch in done(blocks, _FrameScorer, actors):
            scores.append(scores_of_batch)
            start += len(scores_of_batch)
    except ValueError as error:
        where = f"in the batch that begins at row {start}: " if start else ""
        raise ValueError(f"{where}{error}") from None
    return whole.with_columns(pl.concat(scores).iter_columns())


def _bare(reward: Reward) -> Reward:
    """A copy without a loaded model, which would travel to every actor; all load one commit."""
    if isinstance(reward, JudgeReward):
        raise ValueError(
            f"reward {reward.name!r}: a judge is asked by one process, which keeps its replies and "
            "its budget: use paretohqd.score"
        )
    bare = copy.copy(reward)
    if hasattr(bare, "unload"):
        bare.unload()
    if isinstance(bare, scoring.ClassifierReward):
        bare.pin()
    return bare


class _Nothing:
    """A reward that is yet to come."""

    def __init__(self, name: str) -> None:
        self.name = name

    def score(self, prompts: Sequence[str], _: Sequence[str]) -> NDArray[np.float64]:
        return np.zeros(len(prompts))

    def manifest(self) -> dict[str, Any]:
        return {}


class _Scorer:
    """An actor's work on a block: the same with scores."""

    def __init__(self, rewards: Mapping[str, Reward], texts: dict[str, Any]) -> None:
        self.rewards, self.texts = rewards, texts

    def scored(self, block: pa.Table) -> pl.DataFrame:
        # Models stay in memory for the next block.
        return scoring.score(frame_of_table(block), self.rewards, keep_loaded=True, **self.texts)

    def __call__(self, block: pa.Table) -> pa.Table:
        return table(self.scored(block))


class _FrameScorer(_Scorer):
    """The scores alone, or what is wrong."""

    def __call__(self, block: pa.Table) -> pa.Table:
        return packed(lambda: self.scored(block).select(map(column, self.rewards)))
