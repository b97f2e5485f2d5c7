"""Indicators: how good a set of points is beside a reference set, or for many weightings."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import numpy as np
from numpy.typing import ArrayLike

from paretohqd.kernels import _core
from paretohqd.kernels.inputs import KernelInput
from paretohqd.kernels.points import Objectives, optional_count


def igd_plus(
    points: object,
    *,
    ref: object,
    maximize: bool | Sequence[bool] = True,
    n_threads: int | None = None,
) -> float:
    """Compute the modified inverted generational distance, IGD+; smaller is better.

    The mean, over the reference points r, of the least d+(a, r) of all points a, where
    d+(a, r) = sqrt(sum_j max(r_j - a_j, 0)^2) counts the objectives in which a is worse than r
    (Ishibuchi, Masuda, Tanigaki, Nojima 2015, "Modified distance calculation in generational
    distance and inverted generational distance"; written for larger is better). Unlike IGD it never
    prefers a set that another one dominates. Objectives are not scaled: divide by their ranges
    first if these differ.

    Points that a few others beat in every objective are left out; of the rest, in a k-d tree with
    exact bounds, each reference point looks at few. In many objectives all pairs are looked at.

    Args:
        points: n points in m objectives, finite; as for `paretohqd.pareto_layers`.
        ref: The reference set: r points, at least one, in the same objectives and units, in any
            form that `points` may have.
        maximize: Whether larger is better, in both sets: one bool, or one per objective.
        n_threads: Threads to use; by default RAYON_NUM_THREADS, else one per core.

    Returns:
        The distance, in the unit of the objectives; 0 if every reference point is matched or
        beaten, infinite if there is no point. The same bytes for any number of threads.

    Raises:
        ValueError: A value is null, NaN or infinite, `ref` has no row or other objectives, or
            `maximize` does not fit.

    Example:
        >>> import paretohqd as pq
        >>> pq.igd_plus([[3, 1]], ref=[[2, 1], [6, 5]])
        2.5
        >>> pq.igd_plus([[1, 2]], ref=[[1, 1]], maximize=False)
        1.0
    """
    return _beside(_core.igd_plus, "IGD+", points, ref, maximize, n_threads)


def epsilon_additive(
    points: object,
    *,
    ref: object,
    maximize: bool | Sequence[bool] = True,
    n_threads: int | None = None,
) -> float:
    """Compute the additive epsilon indicator; smaller is better.

    The least number by which all points must be raised in every objective for each reference point
    to have one that is at least as good: max over r of min over a of max_j (r_j - a_j) (Zitzler,
    Thiele, Laumanns, Fonseca, Grunert da Fonseca 2003, "Performance assessment of multiobjective
    optimizers"; written for larger is better). It is found as `igd_plus` is.

    Args:
        points: n points in m objectives, finite; as for `paretohqd.pareto_layers`.
        ref: The reference set: r points, at least one, in the same objectives and units, in any
            form that `points` may have.
        maximize: Whether larger is better, in both sets: one bool, or one per objective.
        n_threads: Threads to use; by default RAYON_NUM_THREADS, else one per core.

    Returns:
        The number, in the unit of the objectives: 0 if the sets reach equally far, negative if the
        points are better throughout, infinite if there is no point.

    Raises:
        ValueError: As for `igd_plus`.

    Example:
        >>> import paretohqd as pq
        >>> pq.epsilon_additive([[3, 1]], ref=[[2, 1], [6, 5]])
        4.0
    """
    return _beside(_core.epsilon_additive, "epsilon", points, ref, maximize, n_threads)


def r2_indicator(
    points: object,
    *,
    weights: ArrayLike,
    ideal: ArrayLike,
    maximize: bool | Sequence[bool] = True,
    n_threads: int | None = None,
) -> float:
    """Compute the R2 indicator with weighted Tchebycheff utilities; smaller is better.

    The mean, over the weight vectors w, of the least `max_j w_j |ideal_j - a_j|` of all points a
    (Hansen, Jaszkiewicz 1998; Brockhoff, Wagner, Trautmann 2012, "On the properties of the R2
    indicator"). It is found as `igd_plus` is.

    Args:
        points: n points in m objectives, finite; as for `paretohqd.pareto_layers`.
        weights: Weight vectors, shape (w, m), w at least 1: finite, none negative, one positive in
            each vector; `paretohqd.preference_grid` makes an even set. They need not sum to 1.
        ideal: The ideal or a utopian point, one value per objective, in the units of the points and
            at least as good as every point; to compare sets, one for all of them.
        maximize: Whether larger is better: one bool, or one per objective.
        n_threads: Threads to use; by default RAYON_NUM_THREADS, else one per core.

    Returns:
        The mean distance, in the unit of the objectives times that of the weights; infinite if
        there is no point. The same bytes for any number of threads.

    Raises:
        ValueError: A value is null, NaN or infinite; a point is better than `ideal` in an
            objective; `ideal` is not m finite numbers; or `weights` are not vectors as above.

    Example:
        >>> import paretohqd as pq
        >>> pq.r2_indicator([[3, 1], [1, 2]], weights=[[1, 0], [0.5, 0.5]], ideal=[4, 4])
        1.25
        >>> pq.r2_indicator([[0.5, 0.25]], weights=pq.preference_grid(2, 4), ideal=[1, 1])
        0.5125
    """
    threads = optional_count("n_threads", n_threads)
    given = KernelInput.of(points, maximize, n_threads=threads)
    with given.refused(finite="R2"):
        best, vectors = given.point("ideal", ideal), _weights(weights, given.m)
        try:
            return _core.r2_indicator(*given[:3], vectors, best, threads)
        except ValueError:
            _refuse_beyond(best, given.objectives())
            raise


def _refuse_beyond(ideal: list[float], objectives: Objectives) -> None:
    """Raise a ValueError if points are better than the ideal."""
    for name, column, limit in zip(objectives.names, objectives.columns, ideal, strict=True):
        beyond = column > limit
        if count := int(beyond.sum()):
            raise ValueError(
                f"column {name!r} holds {count} values better than ideal (first at row "
                f"{int(beyond.argmax())}); pass an ideal that is at least as good as every point"
            )


def _beside(
    kernel: Callable[..., float],
    purpose: str,
    points: object,
    ref: object,
    maximize: bool | Sequence[bool],
    n_threads: int | None,
) -> float:
    """An indicator of points beside a reference set in the same objectives."""
    threads = optional_count("n_threads", n_threads)
    given = KernelInput.of(points, maximize, n_threads=threads)
    with given.refused(finite=purpose):
        with _about_ref():
            reference = KernelInput.of(ref, n_threads=threads)
        try:
            _refuse_unlike(reference, given)
            arrays, checked = reference.arrays, reference.checked
            return kernel(*given[:3], arrays, checked, threads)
        except ValueError:
            with _about_ref():
                reference.objectives().require_finite(purpose, n_threads=threads)
            raise


@contextmanager
def _about_ref() -> Iterator[None]:
    """Errors from within say that they are about the reference set."""
    try:
        yield
    except ValueError as error:
        raise ValueError(f"ref: {error}") from error


def _refuse_unlike(reference: KernelInput, points: KernelInput) -> None:
    """Raise a ValueError if a reference set is empty or has other objectives than the points."""
    if reference.m != points.m:
        raise ValueError(
            f"ref has {reference.m} objectives but the points have {points.m}; pass the same "
            "objectives of both"
        )
    ours, theirs = points.names, reference.names
    if ours != theirs and set(ours) == set(theirs):
        raise ValueError(
            f"ref has the columns {list(theirs)} and the points {list(ours)}: the same objectives "
            "in another order; select them in one order"
        )
    if not reference.n:
        raise ValueError("ref has no row; pass at least one reference point")


def _weights(weights: ArrayLike, m: int) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    """Weight vectors, one after another."""
    try:
        vectors = np.asarray(weights, dtype=np.float64)
    except (TypeError, ValueError, OverflowError) as error:
        raise ValueError(f"weights must hold vectors of {m} numbers, got {weights!r}") from error
    if vectors.ndim != 2 or vectors.shape[1] != m or not len(vectors):
        raise ValueError(
            f"weights has shape {vectors.shape}; pass at least one vector of {m} weights, one per "
            f"objective: shape (w, {m})"
        )
    good = np.isfinite(vectors).all(axis=1) & (vectors >= 0).all(axis=1) & vectors.any(axis=1)
    if not good.all():
        first = int(good.argmin())
        raise ValueError(
            f"weights must be finite, none negative and one positive in each vector, but vector "
            f"{first} is {vectors[first].tolist()}"
        )
    return vectors.ravel()
