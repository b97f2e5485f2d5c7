"""The training set of each preference: rows of the best Pareto layers nearest to its ray."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from inspect import signature
from typing import Unpack

import polars as pl

from paretohqd.frames.noise import Epsilon
from paretohqd.frames.objectives import ObjectivesLike
from paretohqd.frames.sources import Source
from paretohqd.frames.streaming import UNLIMITED, Progress, Resources
from paretohqd.selection.all_rows import choose_among_all
from paretohqd.selection.gathering import rows_of, selection_of
from paretohqd.selection.nearest import NearestRows, nearest_rows
from paretohqd.selection.options import SelectOptions, refuse_unknown
from paretohqd.selection.pool import Pool, Rows, pool_of
from paretohqd.selection.preferences import Directions, Preferences
from paretohqd.selection.ranks import Rank
from paretohqd.selection.request import ADDED, Request
from paretohqd.selection.result import Selection
from paretohqd.selection.rule import Bounds, Duplicates, Nan, Rule, Scale
from paretohqd.selection.within_groups import choose_within_groups

__all__ = ["ADDED", "choose", "choose_by_rule", "select"]


def select(
    frame: object,
    objectives: ObjectivesLike | str,
    preferences: Preferences = None,
    **options: Unpack[SelectOptions],
) -> pl.DataFrame:
    """Choose a training set for each preference from a frame of scored answers, as a frame.

    Args:
        frame: One row per answer, with a numeric column per objective: see `choose`.
        objectives: Column names (larger is better), or {name: "max" | "min"}.
        preferences: How many, or their weights; by default 11 with two objectives.
        **options: Those of `choose`, which says more of each:
            k: Rows per preference.
            upto: The pool is this many layers.
            at_least: The pool is the fewest layers that hold this many rows.
            rank: By what rows are ranked.
            bounds: The rows that r_min and r_max refer to, or these points.
            scale: Units of the distance.
            directions: Which way the rays run.
            where: Which rows take part.
            epsilon: Differences below this are noise, by which no row is better.
            distinct: One or more columns of which each preference gets no value twice.
            at_most: How many rows with the same value of a column each preference may get.
            exclusive: Whether a row serves one preference at most.
            diverse: A column of embeddings by which rows far apart are chosen.
            sample: The seed by which rows are drawn among the best.
            duplicates: Whether copies of an answer may be chosen too.
            by: Columns within whose values rows are chosen.
            nan: Whether null and NaN scores are refused, or their rows left out.
            prefix: What the names of the added columns begin with.
            memory_limit: Bytes that the pool and a batch may take.
            progress: Called with how many rows have been read.
            n_threads: Threads of the kernels.

    Returns:
        The `rows` of the selection that `choose` returns: P * k rows with the input's columns and
        `preference`, `weights`, `position`, `distance`, `layer`, `row`.

    Warns:
        SameRowsWarning: All preferences get the same rows.

    Raises:
        ValueError: As `choose`.

    Example:
        >>> import polars as pl
        >>> import paretohqd as pq
        >>> frame = pl.DataFrame({"help": [1.0, 0.8, 0.0, 0.1], "safe": [0.0, 0.7, 1.0, 0.1]})
        >>> chosen = pq.select(frame, ["help", "safe"], preferences=3, k=1)
        >>> chosen.select("help", "safe", "preference", "layer", "row").rows()
        [(1.0, 0.0, 0, 0, 0), (0.8, 0.7, 1, 0, 1), (0.0, 1.0, 2, 0, 2)]
    """
    refuse_unknown("select", options, SelectOptions)
    return choose(frame, objectives, preferences, **options).rows


def choose(
    frame: object,
    objectives: ObjectivesLike | str,
    preferences: Preferences = None,
    *,
    k: int = 100,
    upto: int | None = None,
    at_least: int | None = None,
    rank: Rank = "ray",
    bounds: Bounds = "pool",
    scale: Scale = "box",
    directions: Directions = "paper",
    where: pl.Expr | str | None = None,
    epsilon: Epsilon | None = None,
    distinct: str | Sequence[str] | None = None,
    at_most: Mapping[str, int] | None = None,
    exclusive: bool = False,
    diverse: str | None = None,
    sample: int | None = None,
    duplicates: Duplicates = "keep",
    by: str | Sequence[str] | None = None,
    nan: Nan = "raise",
    prefix: str = "",
    memory_limit: int | None = None,
    progress: Progress | None = None,
    n_threads: int | None = None,
) -> Selection:
    """Choose a training set for each preference from a frame of scored answers.

    ParetoHqD (arXiv 2504.16628): the pool is the first Pareto layers; preference w runs from the
    ideal point r_max through r_min + w (r_max - r_min) and takes the k rows of the pool nearest to
    that ray. Which layers make the pool, what r_min refers to, the distance and the scaling are
    this project's choices where the paper's are unknown.

    Args:
        frame: One row per answer, with a numeric column per objective; other columns are kept. A
            Polars DataFrame or LazyFrame; a path, folder or pattern of Parquet, CSV or JSONL files
            (also "s3://..", "hf://..", as Polars reads them); a pandas or Arrow table, a DuckDB
            relation, a Hugging Face Dataset. What is lazy or in files is streamed: only scores
            of the first layers stay in memory, other columns are read for the chosen rows alone.
        objectives: Column names (larger is better), or {name: "max" | "min"}. A column of
            fixed-size arrays (`pl.Array`) stands for all its components.
        preferences: How many, spread evenly on the simplex from (1, 0, ..) to (.., 0, 1); or the
            weights themselves, shape (P, M), each row at least 0 and summing to 1; or weights by
            the objectives' names, {"helpful": 7, "harmless": 3}, of any sum; or {name: weights},
            either way; or a frame with a column per objective. By default 11 with two objectives,
            else the even lattice of nearly as many; see `paretohqd.selection.preferences`.
        k: Rows per preference; with `by`, at most, in each group.
        upto: The pool is this many layers.
        at_least: The pool is the fewest layers that hold this many rows. By default P * k, since
            neighbouring preferences get nearly the same rows of a small pool; and if an objective
            has one value in these, as whole-number scores may have, the fewest in which none has.
        rank: By what the rows of a preference are ranked. "ray", the paper's: the distance to its
            ray, among the rows of the pool. The others look at all rows, know no pool (`upto` and
            `at_least` are refused), and choose no row that is dominated by one they leave out.
            "achievement": how far one must go down the ray until a row is at least as good in
            every objective (Wierzbicki 1980); "sum": the weighted sum of the shortfalls from
            r_max, which finds nothing in the hollow of a front; "ideal": the weighted distance from
            r_max. `distance` is that number then.
        bounds: r_min and r_max over the "pool" or over "all" rows, or the two points themselves,
            in the order of the objectives: the same rays tomorrow. Where `rank` is not "ray" the
            pool is the front (more layers if an objective has one value on it): the field's ideal
            and nadir point.
        scale: Units of the distance: "box" divides each objective by r_max - r_min, "none" leaves
            the rewards as they are, numbers are what the objectives are divided by (for z-scores:
            the standard deviations). With two objectives the ranking is the same for all.
        directions: Which way the ray of preference w runs from r_max. "paper": the shortfalls of
            the objectives are as 1 - w. "tchebycheff": as 1 / w, along which the weighted
            Tchebycheff utility is equal in all objectives; where weights are 0 only these fall.
            With two objectives the two are the same; with three or more the paper's rays reach
            only a part of all directions.
        where: Which rows take part, before anything else is looked at: an expression such as
            `pl.col("safe") >= 5`, or text as in SQL, "safe >= 5 AND source <> 'web'". It looks at
            its own row alone; where it is null, the row takes no part. `row` and messages keep the
            numbers of the input.
        epsilon: The noise of a score, in its units: one number for all objectives, or one each, or
            {name: number}. Layers are those of the scores counted in whole units of it, rounded
            towards worse, so that no row is beaten by less than the noise lets one tell (rows on
            two sides of a unit's end are told apart). Distances are of the scores themselves.
        distinct: One or more columns, such as the prompt, of which each preference gets no value
            twice: the same as `at_most` of 1.
        at_most: {column: how many} rows with the same value of a column each preference may get,
            in its order: a row is passed over where one of its values has reached its quota. Unless
            `upto` or `at_least` is given, the pool is then the fewest layers that hold P * k rows,
            and k within the quotas if they are taken layer by layer; twice as many, and so on, if a
            preference goes short, as it may within several quotas.
        exclusive: A row serves one preference at most. They take turns: in each of k rounds every
            preference, in their order, takes the first row that is left to it. Within groups, each
            group's pool is then the fewest layers with P * k rows.
        diverse: A column of embeddings, arrays of numbers. Of its first 4 k rows (all, if the pool
            has fewer) a preference gets the first and then k - 1 times the one farthest from all
            that it has: greedy k-center (Gonzalez 1985), Euclidean. They are given in their order.
        sample: A seed. Of its first 4 k rows a preference gets k that are drawn without
            replacement, the one at place i with a chance as 1 / (i + 1) (rank-based priority,
            Schaul et al. 2016), in their order. The same seed draws the same.
        duplicates: "keep", or "drop": of rows with the same prompt and answer, whatever their
            scores, only the first of the best layer can be chosen. These are the columns named as
            `Selection.to_dataset` looks for them and those beside them, such as `input` and
            `system`; where there are none, copies are equal in all columns. Numbers of rows
            (`at_least`, P * k) do not count copies then. With `by`: copies in one group.
        by: One or more columns within whose values rows are chosen, such as the prompt: each group
            has its own layers, bounds and rays, as if it were alone. Its pool is the fewest layers
            that hold k rows unless `upto` or `at_least` is given. An objective with one value in a
            group trades nothing there, and a group with fewer than k rows gives all it has. Scores
            and keys of all rows are held in memory.
        nan: "raise" refuses null and NaN scores, "drop" leaves such rows out and counts them
            (`Selection.dropped`).
        prefix: What the names of the added columns begin with, so that a selection can be selected
            from again: with `prefix="first_"` they are `first_preference`, `first_row`, ..
        memory_limit: Bytes that the pool and a batch may take together, when scores are read and
            again when the chosen rows are; batches follow it (and a default of 256 MB), a pool
            that needs more is refused. On top come the chosen rows themselves and what Polars
            reads ahead on its own: row groups of up to 16 numbers a row, and of a LazyFrame, a
            CSV, JSONL or Arrow file as much as it needs.
        progress: Called with how many rows have been read, batch by batch, while they are streamed.
        n_threads: Threads; RAYON_NUM_THREADS or all cores by default. The result is the same.

    Returns:
        The chosen rows, their pool and its layers, the bounds, and how much preferences share. Its
        `rows` are a frame of P * k rows, preference by preference (with `by`, then group by group
        in the order of their first rows), nearest first: the input's columns and `preference`
        (index), `weights`, `position` (0..k-1), `distance` (in the scaled units), `layer`, `row`
        (index in the input); also `preference_name` if they have names. Equal distances go to the
        better layer, then to the earlier row, so that no row is taken before one that beats it at
        the same distance. Distances that differ by their rounding alone (no more than 16 M times
        2.2e-16 of the box's largest side) are equal, and are given as one. A row may serve several
        preferences.

    Warns:
        SameRowsWarning: All preferences get the same rows.

    Raises:
        ValueError: A missing, non-numeric, constant or infinite score column, null or NaN, weights
            off the simplex, fewer rows than k, a column name that the result needs; files that
            cannot be read or differ; a pool beyond the memory limit.

    Example:
        >>> import polars as pl
        >>> import paretohqd as pq
        >>> frame = pl.DataFrame({"help": [1.0, 0.8, 0.0, 0.1], "safe": [0.0, 0.7, 1.0, 0.1]})
        >>> chosen = pq.choose(frame, ["help", "safe"], preferences=3, k=1)
        >>> chosen.rows["row"].to_list(), chosen.layer.tolist()
        ([0, 1, 2], [0, 0, 0, -1])
        >>> chosen.r_min, chosen.r_max
        (array([0., 0.]), array([1., 1.]))
    """
    return choose_by_rule(
        Rule(
            k=k,
            upto=upto,
            at_least=at_least,
            rank=rank,
            bounds=bounds,
            scale=scale,
            directions=directions,
            where=where,
            epsilon=epsilon,
            distinct=distinct,
            at_most=at_most,
            exclusive=exclusive,
            diverse=diverse,
            sample=sample,
            duplicates=duplicates,
            by=by,
            nan=nan,
            prefix=prefix,
        ),
        frame,
        objectives,
        preferences,
        resources=Resources(memory_limit=memory_limit, progress=progress, n_threads=n_threads),
    )


# What help() and notebooks show: the options one by one.
select.__signature__ = signature(choose).replace(return_annotation=pl.DataFrame)  # type: ignore[attr-defined]


def choose_by_rule(
    rule: Rule,
    frame: object,
    objectives: ObjectivesLike | str,
    preferences: Preferences = None,
    *,
    resources: Resources = UNLIMITED,
) -> Selection:
    """Choose by a rule that is made already; see `choose`.

    Raises:
        ValueError: As `choose`.
    """
    if rule.by is not None and resources.memory_limit is not None:
        raise ValueError("memory_limit cannot be combined with by: all scores are held")
    source = Source.of(frame)
    request = Request.of(source, objectives, preferences, rule)
    if request.keys is not None:
        return choose_within_groups(source, request, request.keys, resources)
    if rule.rank == "ray":
        pool, nearest = _choose_of_pool(source, request, resources)
    else:
        pool, nearest = choose_among_all(source, request, resources)

    def rows_at(places: Rows) -> pl.DataFrame:
        return rows_of(source, pool, places, memory_limit=resources.memory_limit)

    return selection_of(request, pool, nearest, rows_at, frame=source.frame)


def _choose_of_pool(
    source: Source, request: Request, resources: Resources
) -> tuple[Pool, NearestRows]:
    """The rows nearest to each ray, of a pool that has enough of them within the quotas."""
    while True:
        pool = pool_of(source, request, resources)
        nearest = nearest_rows(pool, request, n_threads=resources.n_threads)
        if nearest is not None:
            return pool, nearest
        request = request.further()
