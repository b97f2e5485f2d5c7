"""Data to measure on: clouds of points, fronts, and what else each kernel needs."""

from __future__ import annotations

from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

import paretohqd as pq

Floats = NDArray[np.float64]


class Cloud:
    """n points in m objectives, larger is better, the same for the same name and size.

    Of the names, `uni` is a uniform cube, `corr` a Gaussian with correlation .5, `anti` a
    Dirichlet with noise of .01 (large fronts), `disc` integers 0..10 (ties everywhere), `chain` the
    row's number with noise of 1 (about half as many layers as rows); `sphere` and `simplex` are
    fronts of n points that do not dominate each other, concave and flat.
    A name that ends in " columns" is laid out column by column, one that ends in " f32" is in
    single precision.
    """

    def __init__(self, name: str, n: int, m: int) -> None:
        """Describe the cloud; points are drawn when they are first needed."""
        self.name, self.n, self.m = name, n, m
        self._through: dict[int, Floats] = {}
        self._others: dict[int, NDArray[Any]] = {}
        self._groups: dict[int, NDArray[np.int64]] = {}

    @cached_property
    def points(self) -> NDArray[Any]:
        """The points, shape (n, m)."""
        kind, _, layout = self.name.partition(" ")
        drawn = _draw(kind, self.n, self.m)
        if layout == "f32":
            return drawn.astype(np.float32)
        return np.asfortranarray(drawn) if layout == "columns" else drawn

    @cached_property
    def costs(self) -> NDArray[Any]:
        """The points for packages where smaller is better."""
        return -self.points

    @property
    def reference(self) -> Floats:
        """A reference point a little below every front."""
        return np.full(self.m, -0.1)

    def groups(self, size: int) -> NDArray[np.int64]:
        """Groups of so many rows, one after the other."""
        if size not in self._groups:
            self._groups[size] = np.arange(self.n) // size
        return self._groups[size]

    @cached_property
    def ideal(self) -> Floats:
        """The largest value of each objective, where preference rays start."""
        high: Floats = self.points.max(axis=0)
        return high

    def through(self, rays: int) -> Floats:
        """A point of each ray, from random preferences, as `paretohqd.select` makes them."""
        if rays not in self._through:
            low = self.points.min(axis=0)
            weights = np.random.default_rng(rays).dirichlet(np.ones(self.m), rays)
            self._through[rays] = np.asarray(low + weights * (self.ideal - low))
        return self._through[rays]

    def directions(self, preferences: int) -> Floats:
        """How far each preference lets each objective fall: random shares of its range."""
        return self.ideal - self.through(preferences)

    def others(self, rows: int) -> NDArray[Any]:
        """So many further points drawn in the same way, such as a reference set."""
        if rows not in self._others:
            self._others[rows] = Cloud(self.name, rows, self.m).points
        return self._others[rows]

    def weights(self, count: int) -> Floats:
        """So many weight vectors: in the middle of even steps, or random with more objectives."""
        if self.m == 2:
            return pq.preference_grid(2, 2 * count)[1::2]
        return np.random.default_rng(count).dirichlet(np.ones(self.m), count)


def _draw(kind: str, n: int, m: int) -> Floats:
    rng = np.random.default_rng(n + m)
    if kind == "uni":
        return rng.random((n, m))
    if kind == "corr":
        shared = rng.standard_normal((n, 1))
        return np.asarray(np.sqrt(0.5) * (shared + rng.standard_normal((n, m))))
    if kind == "anti":
        return rng.dirichlet(np.ones(m), n) + rng.normal(0, 0.01, (n, m))
    if kind == "disc":
        return rng.integers(0, 11, (n, m)).astype(float)
    if kind == "chain":
        return rng.normal(0, 1, (n, m)) + np.arange(n)[:, None]
    if kind == "simplex":
        return rng.dirichlet(np.ones(m), n)
    if kind == "sphere":
        away: Floats = np.abs(rng.standard_normal((n, m)))
        away /= np.sqrt((away * away).sum(axis=1, keepdims=True))
        return away
    raise ValueError(f"no data is called {kind!r}")
