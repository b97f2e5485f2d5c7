"""Pairs of answers that all objectives agree on, in the format that TRL's trainers take."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import polars as pl

from paretohqd.frames.objectives import (
    ObjectiveColumns,
    ObjectivesLike,
    column,
    refuse_missing,
    refuse_taken,
)
from paretohqd.frames.sources import Source
from paretohqd.selection.dataset import pairs_dataset
from paretohqd.selection.pairs import consistent_pairs

if TYPE_CHECKING:
    from datasets import Dataset


def preference_pairs(
    frame: object,
    objectives: ObjectivesLike | str,
    *,
    prompt: str = "prompt",
    response: str = "response",
    gap: Literal["min", "sum"] = "min",
) -> Dataset:
    """The pair of answers of each prompt whose winner is better in every objective, for TRL.

    Reward Consistency Sampling (Xu et al. 2025, arXiv 2504.11337): see
    `paretohqd.selection.pairs.consistent_pairs`, which gives the same pairs as a frame, with their
    gaps and row numbers. Needs the package `datasets`.

    Args:
        frame: A frame or files, as for `paretohqd.select`: one row per answer, several answers to a
            prompt, which need not be adjacent. Scores and texts of all rows are held in memory.
        objectives: Column names (larger is better), or {name: "max" | "min"}.
        prompt: The column of prompts, which are texts.
        response: The column of answers, which are texts.
        gap: The pair with the largest gap is taken: the smallest ("min") difference
            among the objectives, or their "sum", in deviations of the frame's scores.

    Returns:
        A dataset with the columns prompt, chosen and rejected, each a list of messages
        ({role, content}), as DPOTrainer and RewardTrainer take it; one row for each prompt that has
        such a pair.

    Raises:
        ValueError: No such column, no prompt has two different answers, none has such a pair, or a
            score is null, NaN or infinite or the same in all rows.
        ImportError: The package `datasets` is not installed.

    Example:
        >>> import polars as pl
        >>> import paretohqd as pq
        >>> frame = pl.DataFrame(
        ...     {"prompt": ["Tea?"] * 3, "response": ["No.", "Yes, gladly.", "Why?"],
        ...      "kind": [0.0, 2.0, 1.0], "words": [1, 0, 2]})
        >>> pairs = pq.preference_pairs(frame, {"kind": "max", "words": "min"})
        >>> pairs["chosen"][0]
        [{'role': 'assistant', 'content': 'Yes, gladly.'}]
    """
    source = Source.of(frame)
    scores = ObjectiveColumns.of(source.schema, objectives)
    scores.refuse_absent(source.absent)
    refuse_missing(source.names, prompt, "prompt")
    refuse_missing(source.names, response, "response")
    refuse_taken(scores.names, ["prompt", "response"])
    needed = dict.fromkeys([*scores.columns, prompt, response])
    held = source.collect(source.frame.lazy().select(map(column, needed)))
    numbers = scores.numbers(held).collect()
    falling = [name for name, up in zip(scores.names, scores.larger, strict=True) if not up]
    pairs = consistent_pairs(
        numbers.with_columns(-column(name).cast(pl.Float64) for name in falling).with_columns(
            held[prompt].alias("prompt"), held[response].alias("response")
        ),
        scores.names,
        gap=gap,
    )
    return pairs_dataset(pairs)
