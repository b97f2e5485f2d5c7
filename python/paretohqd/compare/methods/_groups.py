"""Several answers to each prompt, for methods that compare them: the data's own, or sampled."""

from __future__ import annotations

import polars as pl

from paretohqd.compare.policy import Policy
from paretohqd.compare.sampling import sample
from paretohqd.compare.workbench import Workbench


def answer_groups(bench: Workbench, *, rounds: int = 1) -> pl.DataFrame:
    """Scored rows of prompts with two different answers or more.

    The data's own where half of their prompts have several answers, or as many prompts as are
    sampled for usually (`generation.prompts`). Where fewer do, as where two conversations begin
    alike, the answers are sampled from the base, at the method's cost; with `sample_pairs: 0` the
    few are taken as they are.

    Args:
        bench: What all methods work with.
        rounds: Samplings of the method that a budget is for, this one included.

    Raises:
        ValueError: The data have one answer per prompt, and sampling is turned off, the budget pays
            for none, or what is sampled is all alike.
    """
    frame = bench.scored()
    several = _several(frame)
    prompts, count = several["prompt"].n_unique(), bench.settings.sample_pairs
    enough = min(bench.settings.generation.prompts, frame["prompt"].n_unique() / 2)
    if prompts and (prompts >= enough or not count):
        bench.notes["answers compared"] = f"the data's own: {len(several)} to {prompts} prompts"
        return _known_ends(several)
    if not count:
        raise ValueError(
            f"{bench.title} needs two answers or more per prompt, and the data have one: set "
            "sample_pairs to sample them from the base"
        )
    answers = sample(
        bench,
        Policy(),
        bench.prompts_to_answer(),
        label="answers to compare",
        per="once",
        seed=bench.seed + 301,
        samples=count,
        rounds=rounds,
    )
    prompts = answers["prompt"].n_unique()
    bench.notes["answers compared"] = f"of the base: {prompts} prompts x {count} answers"
    if (several := _several(answers)).is_empty():
        raise ValueError(
            f"the {count} answers that the base gave to each of {prompts} prompts are all alike, "
            f"and {bench.title} compares different ones: raise generation.temperature"
        )
    return several


def _several(frame: pl.DataFrame) -> pl.DataFrame:
    return frame.filter(pl.col("response").n_unique().over("prompt") >= 2)


def _known_ends(frame: pl.DataFrame) -> pl.DataFrame:
    """A column of the data called `finished` counts only if it can say which answers ended."""
    if "finished" not in frame.columns:
        return frame
    ends = frame["finished"]
    return frame if ends.dtype == pl.Boolean and not ends.null_count() else frame.drop("finished")
