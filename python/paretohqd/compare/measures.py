"""What is measured of a comparison: of each run, and of each method over its seeds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Literal

from paretohqd.compare.crossed import Crossed
from paretohqd.compare.records import RunRecord
from paretohqd.runs.metrics import SampleMean


@dataclass(frozen=True, kw_only=True)
class MeanPoint:
    """A policy of a method, averaged over its seeds."""

    weights: tuple[float, ...] | None
    reward: Mapping[str, SampleMean]
    """By objective, in the scorers' own units."""


@dataclass(frozen=True, kw_only=True)
class Point(MeanPoint):
    """A policy of a run: its mean rewards, and shares and means over its answers."""

    n: int
    """Answers."""
    short: float | None
    repetitive: float | None
    collapse: float | None
    """Share of the answers that are short or repetitive."""
    echo: float | None
    entropy: float | None
    words: float | None
    tokens: float | None
    finished: float | None


@dataclass(frozen=True, kw_only=True)
class Measures:
    """What is known of one run, or of a method as the plain mean of its runs; None: not known."""

    utility: float | None = None
    utility_adjusted: float | None = None
    """The utility with echoed answers at no more than the base's scores."""
    utility_tchebycheff: float | None = None
    """The utility that counts the objective which falls short most, see `serving.tchebycheff`."""
    following: float | None = None
    """How much an objective rises with its weight, see `serving.following`."""
    missteering: float | None = None
    """The utility of the policies that are best on validation prompts, less the utility."""
    hypervolume: float | None = None
    echo_adjusted: float | None = None
    """The hypervolume with echoed answers at no more than the base's scores."""
    best_single: float | None = None
    """The hypervolume of its best point alone."""
    front: float | None = None
    """Points on its own front."""
    sparsity: float | None = None
    short: float | None = None
    repetitive: float | None = None
    collapse: float | None = None
    echo: float | None = None
    entropy: float | None = None
    words: float | None = None
    tokens: float | None = None
    finished: float | None = None
    rank_mean: float | None = None
    """The mean of the rank correlations of weights and rewards."""
    models: float | None = None
    trained_tokens: float | None = None
    generated_tokens: float | None = None
    cost: float | None = None
    """Its tokens at fixed prices, in seconds: see `prices`."""
    scored: float | None = None
    seconds_all: float | None = None

    def values(self, names: Sequence[str]) -> dict[str, float | None]:
        """Some of them by name."""
        return {name: getattr(self, name) for name in names}


AVERAGED = tuple(f.name for f in fields(Measures))
"""What is plainly averaged over a method's runs."""


@dataclass(frozen=True, kw_only=True)
class RunResult(Measures):
    """A run and what was measured of it; of one that failed only its costs are known."""

    run: RunRecord
    n: int | None = None
    """Prompts."""
    utility_se: float | None = None
    hypervolume_low: float | None = None
    hypervolume_high: float | None = None
    rank_correlation: Mapping[str, float | None] = field(default_factory=dict)
    """Rank correlation of each objective's weight and mean reward, over the policies."""
    seconds: Mapping[str, float] = field(default_factory=dict)
    """Seconds of each phase."""
    points: tuple[Point, ...] = ()

    @property
    def status(self) -> str:
        """`ok` or `failed`."""
        return "failed" if self.run.failed else "ok"


@dataclass(frozen=True, kw_only=True)
class Interval:
    """The ends of a 95 % interval over prompts and seeds."""

    low: float
    high: float


@dataclass(frozen=True, kw_only=True)
class WinRate:
    """Of prompt, preference and seed, the share in which a method has the larger w . z.

    Where both have the same it counts half, so that .5 is what equal methods have.
    """

    name: str
    """The other method."""
    mean: float
    low: float | None
    """The ends of the 95 % interval over prompts and seeds."""
    high: float | None


@dataclass(frozen=True, kw_only=True)
class Difference:
    """A method's utility less another's, over the seeds that both have."""

    name: str
    """The other method."""
    budget: str
    """The other method's budget."""
    mean: float
    seeds: tuple[int, ...]
    whole: Crossed | None = None
    """What prompts and seeds tell of it; None: fewer than two of either."""
    corrected: float | None = None
    """p after Holm, over all tested differences of the comparison."""
    verdict: str = ""
    """See `crossed.verdict`, or why nothing is tested; empty where there is no verdict."""

    @property
    def low(self) -> float | None:
        """The lower end of its 95 % interval over prompts and seeds."""
        return self.whole.low if self.whole else None

    @property
    def high(self) -> float | None:
        """The upper end of its 95 % interval over prompts and seeds."""
        return self.whole.high if self.whole else None

    @property
    def p(self) -> float | None:
        """p for no difference, not corrected."""
        return self.whole.p if self.whole else None


@dataclass(frozen=True, kw_only=True)
class Against:
    """How a method differs from others; None where there is nothing to compare with."""

    reference: Difference | None = None
    echo_adjusted: Difference | None = None
    """The difference to the reference, both with echoes adjusted."""
    tchebycheff: Difference | None = None
    """The difference to the reference in `utility_tchebycheff`."""
    win_rate: WinRate | None = None
    """How often it lies above the reference."""
    base: Difference | None = None


@dataclass(frozen=True, kw_only=True)
class MethodResult(Measures):
    """A method under one budget, over its seeds."""

    budget: str
    method: str
    kind: str
    ablation: bool = False
    family: str | None = None
    """What it has in common with methods that train alike, see `method.Family`."""
    reconstructed: bool = False
    """Whether it was rebuilt without its authors' code."""
    passes: float = 1.0
    """Forward passes for each token of an answer, at use."""
    sees_scorers: bool = False
    """Whether the scorers that evaluate choose what is answered."""
    about: str | None = None
    source: str | None = None
    exact: str | None = None
    ours: str | None = None
    compared_with: str = ""
    """The method that is its reference."""
    places: tuple[int, ...] = ()
    """Its runs, by their place among the comparison's."""
    seeds: tuple[int, ...] = ()
    """Seeds of the runs that did not fail; runs that left the same answers are one."""
    failed: tuple[tuple[int, str], ...] = ()
    """Seed and reason of those that did."""
    policies: int = 0
    steered: bool = False
    """Whether each policy has a preference of its own."""
    chosen_on: Literal["validation", "test"] | None = None
    """The prompts by which its policy for each preference is chosen, where it has several that take
    no weights; on the test prompts themselves utility is too high."""
    low: float | None = None
    """The ends of the 95 % interval of the utility, over prompts and seeds."""
    high: float | None = None
    intervals: Mapping[str, Interval] = field(default_factory=dict)
    """Those of other measures, by name; none of them with one seed."""
    spread: float | None = None
    """Standard deviation of the utility between seeds."""
    rank_correlation: Mapping[str, float | None] = field(default_factory=dict)
    seconds: Mapping[str, float] = field(default_factory=dict)
    points: tuple[MeanPoint, ...] = ()
    against: Against = Against()

    @property
    def flattered(self) -> bool:
        """Whether the very prompts that are measured chose among its policies."""
        return self.chosen_on == "test"

    @property
    def marks(self) -> str:
        """What stands behind its name in tables: * if reconstructed, † if flattered."""
        return " *" * self.reconstructed + " †" * self.flattered

    @property
    def dear_at_use(self) -> bool:
        """Whether an answer takes more than the model once for each token."""
        return self.passes != 1 or self.sees_scorers


@dataclass(frozen=True, kw_only=True)
class ComparisonResult:
    """All that is measured of a comparison."""

    objectives: tuple[str, ...]
    prompts: int
    bounds: Mapping[str, tuple[float, ...]]
    reference: str
    replicates: int
    """Draws of the bootstrap of each run's hypervolume."""
    seed: int
    """Seed of that bootstrap."""
    runs: tuple[RunResult, ...]
    methods: tuple[MethodResult, ...]
