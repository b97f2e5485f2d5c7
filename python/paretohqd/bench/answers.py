"""When two answers to a task count as the same; AssertionError where they do not."""

from __future__ import annotations

from typing import Any

import numpy as np

import paretohqd as pq
from paretohqd.bench.clouds import Cloud

EXACT_ROWS = 1_000
"""Up to this many points in eight objectives the exact hypervolume takes seconds."""


def equal(ours: Any, theirs: Any, cloud: Cloud) -> str:
    """Every layer or mark is the same."""
    _hold(np.shape(ours) == np.shape(theirs), "answers of different shapes")
    different = np.flatnonzero(np.asarray(ours) != np.asarray(theirs))
    _hold(not len(different), f"{len(different)} rows differ, the first is {different[:1]}")
    return ""


def equal_where_compared(ours: Any, theirs: Any, cloud: Cloud) -> str:
    """The same, on the rows that the other answer covers."""
    return equal(ours[: len(theirs)], theirs, cloud)


def close_where_compared(ours: Any, theirs: Any, cloud: Cloud) -> str:
    """Volumes of groups agree to nine digits, on the groups that the other answer covers."""
    apart = np.abs(ours[: len(theirs)] - theirs)
    _hold(bool((apart <= 1e-9 * np.abs(theirs)).all()), f"volumes are up to {apart.max():g} apart")
    return ""


def close(ours: Any, theirs: Any, cloud: Cloud) -> str:
    """Volumes agree to nine digits."""
    apart = abs(ours - theirs)
    _hold(bool(apart <= 1e-9 * abs(theirs)), f"volumes are {apart:g} apart")
    return ""


def contributions(ours: Any, theirs: Any, cloud: Cloud) -> str:
    """They agree to nine digits of the largest, or to what rounding coordinates near 1 makes."""
    _hold(np.shape(ours) == np.shape(theirs), "answers of different shapes")
    apart = np.abs(ours - theirs)
    limit = max(1e-9 * float(np.abs(theirs).max(initial=0)), 1e-15)
    _hold(bool((apart <= limit).all()), f"contributions are up to {apart.max():g} apart")
    relative = (apart / np.maximum(np.abs(theirs), np.finfo(float).tiny)).max(initial=0)
    return f"single values differ by up to {relative:.0e} of theirs" if relative > 1e-9 else ""


def near(ours: Any, theirs: Any, cloud: Cloud) -> str:
    """A mean over many weights is near the integral over all: to five digits."""
    apart = abs(ours - theirs)
    _hold(bool(apart <= 1e-5 * abs(theirs)), f"means are {apart:g} apart")
    return f"differs by {apart / abs(theirs):.0e}" if apart > 1e-9 * abs(theirs) else ""


def crowding(ours: Any, theirs: Any, cloud: Cloud) -> str:
    """Crowding distances agree to nine digits, on the rows that the other answer covers."""
    # Gaps between values near 1 lose the digits that these have in common.
    same = np.allclose(ours[: len(theirs)], theirs, rtol=1e-9, atol=1e-14)
    _hold(same, "crowding distances differ")
    return ""


def equal_subset(ours: Any, theirs: Any, cloud: Cloud) -> str:
    """The same rows in the same order."""
    return equal(ours.rows, theirs, cloud)


def no_better(ours: Any, theirs: Any, cloud: Cloud) -> str:
    """In two objectives, where ours are the best rows, others have no larger hypervolume."""
    if cloud.m > 2:
        return equal_subset(ours, theirs, cloud)
    _hold(len(theirs) == len(ours.rows), f"{len(theirs)} rows, not {len(ours.rows)}")
    share = pq.hypervolume(cloud.points[theirs], ref=cloud.reference) / ours.volume
    _hold(bool(share <= 1 + 1e-9), f"the other rows have {share:g} times the volume")
    return f"greedy: {100 * share:.2f} % of our volume"


def nearest(ours: Any, theirs: Any, cloud: Cloud) -> str:
    """The same rows in the same order, and their distances to nine digits."""
    if theirs is None:  # reading gives no answer
        return ""
    equal(ours[0].ravel(), theirs[0].ravel(), cloud)
    # Distances are the roots of rounded squares: next to a ray they lose digits.
    _hold(np.allclose(ours[1], theirs[1], rtol=1e-9, atol=1e-14), "distances differ")
    return ""


def estimates(ours: Any, theirs: Any, cloud: Cloud) -> str:
    """Our estimate is within five standard errors, and 1 % for the other, which states none."""
    value, error = ours
    limit = 5 * error + 0.01 * abs(theirs)
    _hold(abs(value - theirs) <= limit, f"estimates {value:g} and {theirs:g} are {limit:g} apart")
    remark = f"standard error {error / value:.1e}"
    if cloud.n <= EXACT_ROWS:
        exact = pq.hypervolume(cloud.points, ref=cloud.reference)
        remark += f"; off by {value / exact - 1:+.1e}, the other by {theirs / exact - 1:+.1e}"
    return remark


def identical(one: Any, other: Any) -> None:
    """Our answer has the same bytes on one thread as on all."""
    one, other = (x if isinstance(x, tuple) else (x,) for x in (one, other))
    for a, b in zip(one, other, strict=True):
        _hold(np.array_equal(a, b), "our answer depends on the number of threads")


def _hold(true: bool, otherwise: str) -> None:
    if not true:
        raise AssertionError(otherwise)
