"""The noise of scores: differences below it tell nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from paretohqd.exceptions import unknown_word
from paretohqd.kernels.points import numbers

Epsilon = float | Sequence[float] | Mapping[str, float]
"""The noise of each objective, in its units: one number for all, or one each."""


def noise_of(epsilon: Epsilon | None, names: Sequence[str]) -> NDArray[np.float64] | None:
    """The noise of each objective, (M,); None where every difference counts.

    Raises:
        ValueError: `epsilon` is no number from 0 on, nor one for each objective.

    Example:
        >>> noise_of({"help": 0.5}, ["help", "length"])
        array([0.5, 0. ])
    """
    if epsilon is None:
        return None
    if isinstance(epsilon, Mapping):
        for name in epsilon:
            if name not in names:
                raise unknown_word("epsilon: no objective", str(name), list(names))
        given: object = [epsilon.get(name, 0) for name in names]
    else:
        given = epsilon
    try:
        sizes = numbers(given)
    except (TypeError, ValueError):
        sizes = np.full(len(names), np.nan)
    if sizes.ndim == 0:
        sizes = np.full(len(names), sizes)
    if sizes.shape != (len(names),) or not (np.isfinite(sizes) & (sizes >= 0)).all():
        raise ValueError(
            f"epsilon: expected a number from 0 on, or {len(names)} of them, got {epsilon!r}"
        )
    return sizes if sizes.any() else None
