"""Typed stubs of the Rust kernels; the public functions wrap them."""

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "DEBUG_BUILD",
    "__version__",
    "crowding_distance",
    "crowding_distance_in_groups",
    "epsilon_additive",
    "hypervolume",
    "hypervolume_contributions",
    "hypervolume_estimate",
    "hypervolume_in_groups",
    "hypervolume_subset",
    "igd_plus",
    "least_achievement",
    "least_achievement_in_groups",
    "nearest_in_groups",
    "nearest_to_rays",
    "non_finite",
    "pareto_layers",
    "pareto_layers_by_group",
    "r2_indicator",
    "unbeaten",
    "within_bounds",
]

__version__: Final[str]
DEBUG_BUILD: Final[bool]

_Column = NDArray[np.float64] | NDArray[np.float32]
_Points = NDArray[np.float64] | NDArray[np.float32] | Sequence[_Column]
"""One (n, m) array that is contiguous in either order, or a column for each objective."""

def non_finite(
    input: _Points, n_threads: int | None, /
) -> list[tuple[int, int | None, int, int | None]] | None: ...
def pareto_layers(
    input: _Points,
    larger: Sequence[bool],
    checked: bool,
    upto: int | None,
    at_least: int | None,
    n_threads: int | None,
    /,
) -> NDArray[np.int32]: ...
def pareto_layers_by_group(
    input: _Points,
    larger: Sequence[bool],
    checked: bool,
    ids: NDArray[np.uint32],
    groups: int,
    upto: int | None,
    at_least: int | None,
    n_threads: int | None,
    /,
) -> NDArray[np.int32]: ...
def unbeaten(
    input: _Points,
    larger: Sequence[bool],
    others: NDArray[np.float64],
    n_threads: int | None,
    /,
) -> tuple[NDArray[np.int64], NDArray[np.float64], NDArray[np.float64]]: ...
def within_bounds(
    input: _Points,
    larger: Sequence[bool],
    rank: str,
    ideal: NDArray[np.float64],
    units: NDArray[np.float64],
    weights: NDArray[np.float64],
    bounds: NDArray[np.float64],
    n_threads: int | None,
    /,
) -> tuple[NDArray[np.int64], NDArray[np.float64], NDArray[np.float64]]: ...
def hypervolume(
    input: _Points,
    larger: Sequence[bool],
    checked: bool,
    reference: Sequence[float],
    n_threads: int | None,
    /,
) -> float: ...
def hypervolume_in_groups(
    input: _Points,
    larger: Sequence[bool],
    checked: bool,
    ids: NDArray[np.uint32],
    groups: int,
    reference: Sequence[float],
    n_threads: int | None,
    /,
) -> NDArray[np.float64]: ...
def hypervolume_contributions(
    input: _Points,
    larger: Sequence[bool],
    checked: bool,
    reference: Sequence[float],
    n_threads: int | None,
    /,
) -> NDArray[np.float64]: ...
def hypervolume_estimate(
    input: _Points,
    larger: Sequence[bool],
    checked: bool,
    reference: Sequence[float],
    samples: int,
    seed: int,
    n_threads: int | None,
    /,
) -> tuple[float, float]: ...
def nearest_in_groups(
    input: _Points,
    starts: NDArray[np.uint32],
    spans: NDArray[np.float64],
    weights: NDArray[np.float64],
    k: int,
    n_threads: int | None,
    /,
) -> tuple[NDArray[np.int64], NDArray[np.float64]]: ...
def nearest_to_rays(
    input: _Points,
    origins: NDArray[np.float64],
    through: NDArray[np.float64],
    k: int,
    n_threads: int | None,
    /,
) -> tuple[NDArray[np.int64], NDArray[np.float64]]: ...
def least_achievement(
    input: _Points,
    larger: Sequence[bool],
    ideal: NDArray[np.float64],
    directions: NDArray[np.float64],
    k: int,
    n_threads: int | None,
    /,
) -> tuple[NDArray[np.int64], NDArray[np.float64]]: ...
def least_achievement_in_groups(
    input: _Points,
    larger: Sequence[bool],
    checked: bool,
    starts: NDArray[np.uint32],
    ideals: NDArray[np.float64],
    units: NDArray[np.float64],
    directions: NDArray[np.float64],
    k: int,
    n_threads: int | None,
    /,
) -> tuple[NDArray[np.int64], NDArray[np.float64]]: ...
def crowding_distance(
    input: _Points, larger: Sequence[bool], checked: bool, n_threads: int | None, /
) -> NDArray[np.float64]: ...
def crowding_distance_in_groups(
    input: _Points,
    larger: Sequence[bool],
    checked: bool,
    ids: NDArray[np.uint32],
    groups: int,
    n_threads: int | None,
    /,
) -> NDArray[np.float64]: ...
def igd_plus(
    input: _Points,
    larger: Sequence[bool],
    checked: bool,
    reference: _Points,
    known: bool,
    n_threads: int | None,
    /,
) -> float: ...
def epsilon_additive(
    input: _Points,
    larger: Sequence[bool],
    checked: bool,
    reference: _Points,
    known: bool,
    n_threads: int | None,
    /,
) -> float: ...
def r2_indicator(
    input: _Points,
    larger: Sequence[bool],
    checked: bool,
    weights: NDArray[np.float64],
    ideal: Sequence[float],
    n_threads: int | None,
    /,
) -> float: ...
def hypervolume_subset(
    input: _Points,
    larger: Sequence[bool],
    checked: bool,
    k: int,
    reference: Sequence[float],
    n_threads: int | None,
    /,
) -> tuple[NDArray[np.int64], float]: ...
