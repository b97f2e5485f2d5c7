"""Means and deviations by which methods standardise scores.

There are three rules, because methods need three things. Rows that are ranked or labelled
(`linear`, `ric`) take the plain deviation here, in which a constant objective counts nothing.
Rewards of `morlhf` and `ham` take the deviation within a prompt, `rollouts.standard_constants`.
Pairs (`modpo`, `rcs`) take `selection.pairs.standardise`, which refuses a constant objective: it
would look like one that tells answers apart. The first and the last have the same formula but add
in another order, so one in place of the other would change the last digits of recorded results.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import polars as pl
from numpy.typing import NDArray

from paretohqd.compare.workbench import Workbench
from paretohqd.trainers.rollouts import standard_constants

Floats = NDArray[np.float64]


def reward_constants(bench: Workbench, frame: pl.DataFrame) -> dict[str, tuple[float, float]]:
    """Mean and deviation of each reward, from scored answers of the base; noted for the page.

    Raises:
        ValueError: A reward that cannot be standardised.
    """
    constants = standard_constants(frame, bench.names)
    bench.notes["constants"] = {
        name: {"mean": mean, "deviation": deviation}
        for name, (mean, deviation) in constants.items()
    }
    return constants


def center_and_spread(frame: pl.DataFrame, names: Sequence[str]) -> tuple[Floats, Floats]:
    """(M,) means and (M,) standard deviations (divided by n) by which scores are standardised.

    A constant objective gets the deviation 1, and so the standardised score 0 throughout: it tells
    no two rows apart.

    Example:
        >>> frame = pl.DataFrame({"a": [1.0, 3.0], "b": [2.0, 2.0]})
        >>> mean, deviation = center_and_spread(frame, ["a", "b"])
        >>> mean.tolist(), deviation.tolist()
        ([2.0, 2.0], [1.0, 1.0])
    """
    scores = frame.select(names).to_numpy().astype(np.float64)
    deviation = scores.std(axis=0)
    return scores.mean(axis=0), np.where(deviation > 0, deviation, 1.0)


def standardised(
    frame: pl.DataFrame, names: Sequence[str], mean: Floats, deviation: Floats
) -> Floats:
    """(n, M) scores as distances from the mean in units of the deviation.

    Example:
        >>> frame = pl.DataFrame({"a": [1.0, 3.0], "b": [2.0, 2.0]})
        >>> standardised(frame, ["a", "b"], *center_and_spread(frame, ["a", "b"])).tolist()
        [[-1.0, 0.0], [1.0, 0.0]]
    """
    return np.asarray((frame.select(names).to_numpy().astype(np.float64) - mean) / deviation)
