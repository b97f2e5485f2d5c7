"""Choosing from rows that were added in parts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from paretohqd.frames.first_layers import FirstLayers
from paretohqd.frames.sources import Source
from paretohqd.kernels.points import optional_count
from paretohqd.selection.all_rows import choose_among_kept
from paretohqd.selection.gathering import selection_of
from paretohqd.selection.nearest import nearest_rows
from paretohqd.selection.pool import first_layers_of
from paretohqd.selection.preferences import Directions, Preferences
from paretohqd.selection.ranks import Rank
from paretohqd.selection.request import Request
from paretohqd.selection.result import Selection
from paretohqd.selection.rule import Bounds, Duplicates, Rule, Scale


def choose_from(
    state: FirstLayers,
    preferences: Preferences = None,
    *,
    k: int = 100,
    rank: Rank = "ray",
    bounds: Bounds = "pool",
    scale: Scale = "box",
    directions: Directions = "paper",
    distinct: str | Sequence[str] | None = None,
    at_most: Mapping[str, int] | None = None,
    exclusive: bool = False,
    diverse: str | None = None,
    sample: int | None = None,
    duplicates: Duplicates = "keep",
    prefix: str = "",
    n_threads: int | None = None,
) -> Selection:
    """Choose as `select` does, from rows that were added in parts.

    Args:
        state: The first layers of all rows so far; its layers are the pool, which does not grow.
            Copies count among its rows (`at_least`), also where duplicates are dropped here.
        preferences: As for `select`, as are the further options.
        k: Rows per preference.
        rank: By what rows are ranked. All but "ray" have the front alone for a pool, and need a
            state that keeps a layer more than the chosen rows are in.
        bounds: r_min and r_max over the "pool" or over "all" rows that were ever added, or these
            points.
        scale: Units of the distance.
        directions: Which way the rays run.
        distinct: One or more columns of which each preference gets no value twice.
        at_most: How many rows with the same value of a column each preference may get.
        exclusive: Whether a row serves one preference at most.
        diverse: A column of embeddings by which rows far apart are chosen.
        sample: The seed by which rows are drawn.
        duplicates: Whether copies of a row may be chosen too.
        prefix: What the names of the added columns begin with.
        n_threads: Threads.

    Returns:
        The selection that `choose` makes from all rows with the same stop; its rows have the
        columns that were added.

    Raises:
        ValueError: As `select`, or the state must be read again (see `FirstLayers`).

    Example:
        >>> import polars as pl
        >>> import paretohqd as pq
        >>> state = pq.FirstLayers(["help", "safe"], at_least=2)
        >>> monday = pl.DataFrame({"help": [1.0, 0.8], "safe": [0.0, 0.7]})
        >>> tuesday = pl.DataFrame({"help": [0.0, 0.1], "safe": [1.0, 0.1]})
        >>> chosen = pq.choose_from(state.add(monday).add(tuesday), preferences=3, k=1)
        >>> chosen.rows.select("help", "safe", "preference", "row").rows()
        [(1.0, 0.0, 0, 0), (0.8, 0.7, 1, 1), (0.0, 1.0, 2, 2)]
    """
    if not isinstance(state, FirstLayers):
        raise ValueError(
            f"state: expected a FirstLayers, got {type(state).__name__}: choose takes frames"
        )
    layers = state.layers.answer()
    rule = Rule(
        k=k,
        upto=max(1, state.needed()) if rank == "ray" else None,
        rank=rank,
        bounds=bounds,
        scale=scale,
        directions=directions,
        distinct=distinct,
        at_most=at_most,
        exclusive=exclusive,
        diverse=diverse,
        sample=sample,
        duplicates=duplicates,
        prefix=prefix,
        where=state.where,
        epsilon=state.epsilon,
        nan=state.nan,
    )
    request = Request.of(Source(layers.frame), state.objectives, preferences, rule)
    if not state.finite():
        raise ValueError("a score is infinite, but a preference's ray needs a finite range")
    threads = optional_count("n_threads", n_threads)
    if rank != "ray":
        chosen = choose_among_kept(state.layers, request, n_threads=threads)
        if chosen is None:
            raise ValueError(
                f"rank={rank!r}: rows beyond the {state.limit} layers that are kept might come "
                "among the first: keep more (upto)"
            )
        pool, nearest = chosen
        return selection_of(request, pool, nearest, pool.rows_read)
    whole = first_layers_of(state.layers, request).ended(request)
    assert whole is not None, "a pool of so many layers ends with them"
    of_pool = nearest_rows(whole, request, n_threads=threads)
    assert of_pool is not None, "such a pool does not grow"
    return selection_of(request, whole, of_pool, whole.rows_read)
