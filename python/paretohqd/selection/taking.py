"""What each preference takes of the rows that are ranked for it: within quotas, in turns."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from paretohqd.frames.keys import Keys

Rows = NDArray[np.int64]
Taken = NDArray[np.bool_]


class Quota(NamedTuple):
    """How many rows with the same value a preference may get."""

    ids: Keys
    """(n,) a number for each row, equal for rows with the same value."""
    most: int

    def of(self, rows: Rows) -> Quota:
        """The same of some rows."""
        return Quota(self.ids[rows], self.most)

    def room(self) -> int:
        """How many of the rows a preference may get, by this quota alone."""
        counts = np.unique(self.ids, return_counts=True)[1]
        return int(np.minimum(counts, self.most).sum())


def taken(
    ranked: Sequence[Rows],
    k: int,
    quotas: Sequence[Quota] = (),
    *,
    exclusive: bool = False,
    same: Keys | None = None,
    starts: Rows | None = None,
) -> list[Taken]:
    """Which of its ranked rows each preference takes: the first k that quotas leave it.

    A row is taken if none of its values has reached its quota among those taken before. Where
    preferences share no row, they take turns: in each round, every preference in their order takes
    the first row that is left to it.

    Args:
        ranked: Rows for each preference, the best first; with groups, group after group, and as
            many for each preference.
        k: How many a preference takes at most; with groups, of each.
        quotas: Of all rows.
        exclusive: Whether no row is taken by two preferences.
        same: A number for each row: rows with the same one are one row then.
        starts: (G + 1,) where each group starts, and the end; None: there is one.

    Returns:
        Whether it takes each of the ranked rows, for each preference.

    Example:
        >>> ranked = [np.array([0, 1, 2, 3]), np.array([0, 2, 1, 3])]
        >>> [np.flatnonzero(mine).tolist() for mine in taken(ranked, 2)]
        [[0, 1], [0, 1]]
        >>> prompt = Quota(np.array([7, 7, 8, 9], dtype=np.uint32), 1)
        >>> [np.flatnonzero(mine).tolist() for mine in taken(ranked, 2, [prompt])]
        [[0, 2], [0, 1]]
        >>> [np.flatnonzero(mine).tolist() for mine in taken(ranked, 2, exclusive=True)]
        [[0, 1], [1, 3]]
    """
    found = [np.zeros(len(rows), dtype=np.bool_) for rows in ranked]
    if exclusive:
        longest = max(map(len, ranked), default=0)
        ends = [0, longest] if starts is None else starts.tolist()
        for start, end in pairwise(ends):
            lists = [rows[start:end].tolist() for rows in ranked]
            _in_turns(lists, k, quotas, same, [mine[start:end] for mine in found])
        return found
    for rows, mine in zip(ranked, found, strict=True):
        ends = np.array([0, len(rows)]) if starts is None else starts
        within = _within_all if len(quotas) > 1 else _within_one
        within(rows, k, quotas, ends, mine)
    return found


def positions(sizes: Rows) -> Rows:
    """0, 1, .. within each of some runs, whose lengths are given."""
    ends = np.cumsum(sizes)
    return np.arange(int(ends[-1:].sum())) - np.repeat(ends - sizes, sizes)


def _within_one(rows: Rows, k: int, quotas: Sequence[Quota], ends: Rows, mine: Taken) -> None:
    """Mark the first k of each group that are within a quota, if there is one."""
    sizes = np.diff(ends)
    allowed = np.ones(len(rows), dtype=np.bool_)
    for quota in quotas:
        ids = quota.ids[rows].astype(np.int64)
        group = np.repeat(np.arange(len(sizes)), sizes)
        allowed = _nth(group * (int(ids.max(initial=0)) + 1) + ids) < quota.most
    so_far = np.concatenate(([0], np.cumsum(allowed)))
    mine[:] = allowed & (so_far[1:] - np.repeat(so_far[ends[:-1]], sizes) <= k)


def _nth(keys: Rows) -> Rows:
    """How many of the same value came before each.

    Example:
        >>> _nth(np.array([5, 5, 3, 5])).tolist()
        [0, 1, 0, 2]
    """
    order = np.argsort(keys, kind="stable")
    ordered = keys[order]
    place = np.arange(len(keys))
    first = np.ones(len(keys), dtype=np.bool_)
    first[1:] = ordered[1:] != ordered[:-1]
    nth = np.empty(len(keys), dtype=np.int64)
    nth[order] = place - np.maximum.accumulate(np.where(first, place, 0))
    return nth


class _Hand:
    """What one preference has taken of each value so far."""

    def __init__(self, quotas: Sequence[Quota]) -> None:
        self._most = [quota.most for quota in quotas]
        self._counts: list[dict[int, int]] = [{} for _ in quotas]

    def take(self, values: Sequence[int]) -> bool:
        """Take a row with these values, if no quota is reached."""
        for count, most, value in zip(self._counts, self._most, values, strict=True):
            if count.get(value, 0) >= most:
                return False
        for count, value in zip(self._counts, values, strict=True):
            count[value] = count.get(value, 0) + 1
        return True


def _within_all(rows: Rows, k: int, quotas: Sequence[Quota], ends: Rows, mine: Taken) -> None:
    """Mark the first k of each group that are within several quotas, one after the other."""
    values = np.column_stack([quota.ids[rows] for quota in quotas]).tolist()
    for start, end in pairwise(ends.tolist()):
        hand, left = _Hand(quotas), k
        for at in range(start, end):
            if hand.take(values[at]):
                mine[at] = True
                left -= 1
                if not left:
                    break


def _in_turns(
    lists: Sequence[list[int]],
    k: int,
    quotas: Sequence[Quota],
    same: Keys | None,
    found: Sequence[Taken],
) -> None:
    """Let preferences take rows in turns, each row once; what they take becomes True in `found`."""
    hands, places = [_Hand(quotas) for _ in lists], [0] * len(lists)
    gone: set[int] = set()
    for _ in range(k):
        before = len(gone)
        for number, rows in enumerate(lists):
            # Whom a quota or another preference kept from a row once is kept from it for good.
            for at in range(places[number], len(rows)):
                row = rows[at]
                one = row if same is None else int(same[row])
                if one not in gone and hands[number].take([int(q.ids[row]) for q in quotas]):
                    gone.add(one)
                    found[number][at] = True
                    places[number] = at + 1
                    break
            else:
                places[number] = len(rows)
        if len(gone) == before:
            break
