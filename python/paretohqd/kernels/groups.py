"""Keys of any kind as small integers, for kernels that work within groups."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Protocol

import numpy as np
import polars as pl
from numpy.typing import NDArray


class Keys(Protocol):
    """A key per row: a list, a 1-D array, or a Polars, pandas or Arrow series."""

    def __len__(self) -> int:
        """How many keys there are."""

    def __iter__(self) -> Iterator[Any]:
        """The keys in the rows' order."""


def keys_of(groups: Keys | None, by: Keys | None) -> Keys | None:
    """The keys, which go by either name.

    Raises:
        ValueError: Both names are used.
    """
    if groups is not None and by is not None:
        raise ValueError("groups and by are two names of one argument: pass one of them")
    return by if groups is None else groups


def group_ids(groups: object, n: int) -> tuple[NDArray[np.uint32], int]:
    """Turn one key per row into small integers.

    Args:
        groups: Integers, strings or any hashable keys, in a Polars, pandas or Arrow series, a 1-D
            array or a list.
        n: The number of keys there must be.

    Returns:
        An id per row, shape (n,), uint32, and a number that all ids are below.

    Raises:
        ValueError: There are not n keys, or one is null or NaN.
    """
    # A copy of an array is made only if it has as many keys as there are rows.
    array = isinstance(groups, np.ndarray) and groups.ndim == 1
    keys: Any = groups if array else _series(groups)
    if len(keys) != n:
        raise ValueError(
            f"groups has {len(keys)} keys but there are {n} rows; pass one key per row"
        )
    keys = _series(groups) if array else keys
    missing = keys.is_null()
    if keys.dtype.is_float():
        missing = missing | keys.is_nan().fill_null(True)
    if holes := int(missing.sum()):
        raise ValueError(
            f"groups holds {holes} null or NaN keys (first at row {missing.arg_max()}); drop these "
            "rows or give them a key"
        )
    if keys.dtype.is_integer() and n:
        low, high = keys.min(), keys.max()
        if isinstance(low, int) and isinstance(high, int) and low >= 0 and high < 4 * n:
            return keys.cast(pl.UInt32).to_numpy(), high + 1
    some = keys.head(1024)
    adjacent = n > 0 and 2 * some.rle_id()[-1] < len(some)
    return (_adjacent_ids(keys) if adjacent else _hashed_ids(keys)), n


def first_rows(ids: NDArray[np.uint32], size: int) -> NDArray[np.int64]:
    """The first row of each group that has one, ascending.

    Example:
        >>> first_rows(np.array([3, 0, 3, 1], dtype=np.uint32), 4)
        array([0, 1, 3])
    """
    n = len(ids)
    first = np.full(size, n)
    # What is written last stays: from the end on, that is the first row of each group.
    first[ids[::-1]] = np.arange(n)[::-1]
    return np.sort(first[first < n])


def group_by_group(
    ids: NDArray[np.uint32], size: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The rows group by group, groups by their first row; where each group starts, and the end.

    Args:
        ids: The group of each row.
        size: A number that all ids are below.

    Example:
        >>> order, starts = group_by_group(np.array([3, 0, 3, 1], dtype=np.uint32), 4)
        >>> order.tolist(), starts.tolist()
        ([0, 2, 1, 3], [0, 2, 3, 4])
    """
    rows = np.arange(len(ids))
    if not _ascend(ids):
        # By the first row instead. Where several rows are written to one place, the last one stays.
        first = np.empty(size, dtype=np.uint32)
        first[ids[::-1]] = rows[::-1]
        ids = first[ids]
    if not _ascend(ids):
        # With the row in its lower half no two keys are equal, so any fast sort is a stable one.
        keys = ids.astype(np.uint64) << np.uint64(32) | rows.astype(np.uint64)
        keys.sort()
        rows = (keys & np.uint64(2**32 - 1)).astype(np.int64)
        ids = ids[rows]
    edges = np.ones(len(ids) + 1, dtype=np.bool_)
    edges[1:-1] = ids[1:] != ids[:-1]
    return rows, np.flatnonzero(edges)


def _ascend(ids: NDArray[np.uint32]) -> bool:
    return bool((ids[1:] >= ids[:-1]).all())


def _hashed_ids(keys: pl.Series) -> NDArray[np.uint32]:
    """The first row of each key as its id: found by hashing, without a sort."""
    rows = keys.to_frame("key").with_row_index("row")
    return rows.select(pl.col("row").first().over("key")).to_series().to_numpy()


def _adjacent_ids(keys: pl.Series) -> NDArray[np.uint32]:
    """The same where equal keys tend to be adjacent: only the first of each run is hashed.

    If no key has two runs, the ids ascend, and the kernel need not move rows.
    """
    runs = keys.rle_id().to_numpy()
    first = np.concatenate(([0], np.flatnonzero(runs[1:] != runs[:-1]) + 1))
    heads = keys.gather(first)
    return runs if heads.n_unique() == len(heads) else _hashed_ids(heads)[runs]


def _series(groups: object) -> pl.Series:
    if isinstance(groups, pl.Series) and groups.dtype != pl.Object:
        return groups.alias("")  # Methods of a series take a name like "^x.*$" for a pattern.
    if isinstance(groups, str | bytes):
        raise ValueError(f"groups must hold one key per row, got {groups!r}")
    try:
        series = pl.Series(groups, strict=True)  # type: ignore[arg-type]
        if series.dtype not in (pl.Object, pl.List):
            return series
    except (TypeError, ValueError, OverflowError, pl.exceptions.PolarsError):
        pass
    # Keys that no column type holds, such as tuples or a mix: numbered one by one.
    numbers: dict[object, int] = {}
    try:
        return pl.Series(
            [None if key is None else numbers.setdefault(key, len(numbers)) for key in groups],  # type: ignore[attr-defined]
            dtype=pl.Int64,
        )
    except TypeError as error:
        raise ValueError(f"groups must hold one hashable key per row ({error})") from error
