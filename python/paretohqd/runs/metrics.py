"""What a finished run has measured: the content of metrics.json, facts.json and summary.json."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, Self, TypeVar

from paretohqd.runs.config_reader import from_mapping

Verdict = Literal["wins", "loses", "open"]
"""Beyond two standard errors, or not."""

Content = TypeVar("Content")


@dataclass(frozen=True)
class SampleMean:
    """A mean over prompts and its standard error; one prompt has none."""

    mean: float
    se: float | None

    @property
    def significant(self) -> bool:
        """Whether it differs from 0 by more than two standard errors."""
        return self.se is not None and abs(self.mean) > 2 * self.se


@dataclass(frozen=True, kw_only=True)
class Collapse:
    """Shares of a model's answers that say nothing."""

    short: float
    repetitive: float
    any: float


@dataclass(frozen=True, kw_only=True)
class ModelMeasures:
    """What one model reached on the held-out prompts."""

    model: str
    stage: int
    preference: int | None
    """The preference; None for the base."""
    weights: tuple[float, ...] | None
    n: int
    """Prompts."""
    reward: Mapping[str, SampleMean]
    gain: Mapping[str, SampleMean] | None
    """Gain over the base, prompt by prompt."""
    collapse: Collapse
    echo: float
    words: float
    tokens: float
    finished: float


@dataclass(frozen=True, kw_only=True)
class SetValues:
    """A figure of sets of models: of the base, of each stage's models, of the best single one."""

    sets: Mapping[str, float]
    best_single_model: str


@dataclass(frozen=True, kw_only=True)
class Rival:
    """How a corner's model compares with another one in the corner's objective."""

    text: str
    """The other model's weights, or `base`."""
    verdict: Verdict
    mean: float
    """Difference in reward, larger when the corner's own model is better."""
    se: float | None


@dataclass(frozen=True, kw_only=True)
class Finding:
    """Whether a corner's model is the best in its objective."""

    objective: str
    corner: str
    """The corner's weights."""
    verdict: Verdict
    rivals: tuple[Rival, ...]
    """The other corners."""
    base: Rival


@dataclass(frozen=True, kw_only=True)
class Metrics:
    """All that the report and the table show of a run's models."""

    objectives: tuple[str, ...]
    preferences: tuple[tuple[float, ...], ...]
    models: tuple[ModelMeasures, ...]
    bounds: Mapping[str, tuple[float, float]]
    """The rewards that are 0 and 1 on the data's scale, for each objective."""
    utility: SetValues
    hypervolume: SetValues
    findings: tuple[Finding, ...]
    rank_correlation: Mapping[str, Mapping[str, float | None]]
    """Rank correlations of weights and rewards, by stage and objective."""

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Read metrics.json.

        Raises:
            ValueError: It is another file, or one of an older version.
        """
        return _read(cls, text)

    def to_json(self) -> str:
        """The text of metrics.json."""
        return json.dumps(dataclasses.asdict(self), indent=1, allow_nan=False)


@dataclass(frozen=True, kw_only=True)
class Facts:
    """What a run took and ran on. Resuming a run changes this, never its results."""

    seconds: Mapping[str, float]
    """By stage."""
    versions: Mapping[str, str]
    machine: str
    seed: int
    names: tuple[str, ...] = ()
    """The preferences' names, if they have any."""
    loading: tuple[str, ...] = ()
    """Lines that load an adapter; none in folders of older versions."""

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Read facts.json."""
        return _read(cls, text)


@dataclass(frozen=True, kw_only=True)
class SelectionSummary:
    """What the report needs to know of a selection."""

    objectives: tuple[str, ...]
    through: tuple[tuple[float, ...], ...]
    """A point of each preference's ray, in units of the box."""
    r_min: tuple[float, ...]
    r_max: tuple[float, ...]
    n: int
    pool: int
    layers: tuple[int, ...]
    overlap: tuple[tuple[float, ...], ...]
    k: int
    bounds: str
    """"pool", "all" or "given"."""
    scale: str
    rank: str = "ray"

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Read a selection's summary.json."""
        return _read(cls, text)

    def to_json(self) -> str:
        """The text of summary.json."""
        return json.dumps(dataclasses.asdict(self), indent=1)


def _read(kind: type[Content], text: str) -> Content:
    return from_mapping(kind, json.loads(text))
