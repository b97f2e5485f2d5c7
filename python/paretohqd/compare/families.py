"""How far seeds lie apart, pooled over the methods of a family of trainings.

Two or three seeds of one method say little of their spread, and an interval that knows no more is
wide. Methods that train alike (see `method.Family`) spread alike, so their seeds are put
together.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from paretohqd.compare.crossed import Floats, SeedSquare
from paretohqd.compare.records import RunRecord


@dataclass(frozen=True, kw_only=True)
class Spread:
    """The variance of a run's mean from seed to seed, and its degrees of freedom."""

    variance: float
    degrees: float

    def of_sum(self, methods: int) -> Spread:
        """Of the sum of some methods that share it: one estimate, however often it counts.

        Example:
            >>> Spread(variance=0.25, degrees=4.0).of_sum(2)
            Spread(variance=0.5, degrees=4.0)
        """
        return replace(self, variance=methods * self.variance)


def pooled(tables: Iterable[Floats]) -> Spread | None:
    """The spread that several methods share.

    Args:
        tables: (N, S) of each method, one value per prompt and seed; those of one seed tell
            nothing.

    Returns:
        None where no method has two seeds.

    Example:
        >>> import numpy as np
        >>> pooled([np.array([[0.0, 0.2]]), np.array([[0.1, 0.1, 0.1]]), np.array([[0.7]])])
        Spread(variance=0.006666666666666668, degrees=3.0)
    """
    squares, degrees = 0.0, 0.0
    for table in tables:
        means = table.mean(axis=0)
        squares += float(((means - means.mean()) ** 2).sum())
        degrees += len(means) - 1
    return Spread(variance=squares / degrees, degrees=degrees) if degrees else None


def square_of(spreads: Sequence[Spread], prompts: int) -> SeedSquare:
    """The mean square of seeds of a method, or of the difference of two.

    Seeds of two methods count as independent: pairing them was not seen to gain anything. Where
    they do go together, as of a method that begins with another's adapters, the interval is too
    wide rather than too short. The degrees of freedom of a sum are Satterthwaite's.

    Args:
        spreads: One for each method that has seeds, estimated apart; `Spread.of_sum` of those that
            share one.
        prompts: N.

    Example:
        >>> one, other = Spread(variance=0.01, degrees=4.0), Spread(variance=0.01, degrees=4.0)
        >>> square_of([one, other], 100), square_of([one.of_sum(2)], 100)
        (SeedSquare(square=2.0, degrees=8.0), SeedSquare(square=2.0, degrees=4.0))
    """
    total = sum(spread.variance for spread in spreads)
    doubt = sum(spread.variance**2 / spread.degrees for spread in spreads)
    degrees = total**2 / doubt if doubt else sum(spread.degrees for spread in spreads)
    return SeedSquare(square=prompts * total, degrees=degrees)


class Families:
    """What is known of the seeds of each family, under each budget."""

    def __init__(self, methods: Mapping[str, Sequence[tuple[RunRecord, Floats]]]) -> None:
        """Pool the seeds.

        Args:
            methods: For each measure, a run of each method (its seeds' runs are of one family), and
                the method's (N, S) values.
        """
        self._spreads: dict[tuple[str, ...], Spread] = {}
        for name, each in methods.items():
            tables: dict[tuple[str, ...], list[Floats]] = {}
            for run, table in each:
                if (key := _key(run)) is not None:
                    tables.setdefault((name, *key), []).append(table)
            for place, some in tables.items():
                if (spread := pooled(some)) is not None:
                    self._spreads[place] = spread

    def square(self, name: str, runs: Sequence[RunRecord], prompts: int) -> SeedSquare | None:
        """The mean square of seeds of a measure of a method, or of the difference of two.

        Args:
            name: The measure.
            runs: A run of each of the methods.
            prompts: N.

        Returns:
            None where a method's family is not known: its own seeds must do.
        """
        # What is not trained, no seed of its own moves.
        keys = Counter(_key(run) for run in runs if not run.untrained)
        spreads = []
        for key, methods in keys.items():
            if key is None or (shared := self._spreads.get((name, *key))) is None:
                return None
            spreads.append(shared.of_sum(methods))
        return square_of(spreads, prompts) if spreads else None


def _key(run: RunRecord) -> tuple[str, ...] | None:
    """What the methods have in common whose seeds are put together.

    An ablation, which may train at another rate, has its own seeds alone.
    """
    if run.family is None:
        return None
    return (run.budget, run.family, *([run.method] if run.ablation else []))
