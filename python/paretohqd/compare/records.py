"""What a comparison leaves in `results.json`: its runs, before anything is measured."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any

import polars as pl

from paretohqd.compare import prices
from paretohqd.compare.budget import Cost, Tokens
from paretohqd.plots.page import file_of
from paretohqd.runs import layout
from paretohqd.runs.config_reader import from_mapping

WORDS = ("about", "source", "exact", "ours")
"""What a method says of itself."""


@dataclass(frozen=True, kw_only=True)
class PolicyRecord:
    """A policy and where its held-out answers are."""

    weights: tuple[float, ...] | None
    """The preference; None where the method takes none."""
    system_prompt: str = ""
    answers: str
    """The stage of its answers to test prompts, below the folder of the comparison."""
    validation: str | None = None
    """The stage of its answers to validation prompts; None where there are none."""

    @classmethod
    def of(cls, policy: Mapping[str, Any], where: str) -> PolicyRecord:
        """Read a policy as `results.json` has it; older ones call the system prompt `before`."""
        given = {"system_prompt": policy.get("before", "")}
        given |= {f.name: policy[f.name] for f in fields(cls) if f.name in policy}
        return from_mapping(cls, given, where)


@dataclass(frozen=True, kw_only=True)
class RunRecord:
    """One method with one seed under one budget."""

    method: str
    """What tables call it."""
    kind: str
    """A key of `methods.METHODS`."""
    ablation: bool | None = None
    against: str | None = None
    """The method that it is compared with, where that is not the comparison's reference."""
    options: Mapping[str, Any] = field(default_factory=dict)
    budget: str
    seed: int
    error: str | None
    """Why it failed; None where it did not."""
    about: str | None = None
    source: str | None = None
    exact: str | None = None
    ours: str | None = None
    reconstructed: bool = False
    family: str | None = None
    """Methods of one family train alike: their seeds are pooled. None: not known, or the base."""
    policies: tuple[PolicyRecord, ...] = ()
    chosen: tuple[int, ...] | None = None
    """The number of the policy that is best on validation prompts for each preference; None where
    there are none."""
    models: int | None = None
    """Adapters that must be stored."""
    passes: float = 1.0
    """Forward passes for each token of an answer, at use."""
    sees_scorers: bool = False
    """Whether the scorers that evaluate choose what is answered."""
    notes: Mapping[str, Any] = field(default_factory=dict)
    """What the method wrote down."""
    costs: tuple[Cost, ...] = ()
    seconds: Mapping[str, float] = field(default_factory=dict)
    """Seconds of each phase; where none are given, they are summed from the costs."""
    trained_tokens: int | None = None
    generated_tokens: int | None = None
    scored: int | None = None
    allowed: Tokens | None = None

    @classmethod
    def of(cls, run: Mapping[str, Any]) -> RunRecord:
        """Read a run as `results.json` has it."""
        where = f"the run of {run.get('method')}"
        policies = tuple(
            PolicyRecord.of(policy, f"{where}.policies[{place}]")
            for place, policy in enumerate(run.get("policies", ()))
        )
        names = [f.name for f in fields(cls) if f.name != "policies"]
        given = {name: run[name] for name in names if name in run}
        return replace(from_mapping(cls, given, where), policies=policies)

    def to_mapping(self) -> dict[str, Any]:
        """The run as `results.json` has it.

        What a method does not say of itself is left out, and of what older folders have not, what
        says nothing: so an older folder's results are read and written as they were.
        """
        whole = asdict(self)
        for name in (*WORDS, "family", "chosen"):
            _drop(whole, name, None)
        for name, usual in (("reconstructed", False), ("passes", 1.0), ("sees_scorers", False)):
            _drop(whole, name, usual)
        for policy in whole["policies"]:
            _drop(policy, "validation", None)
        for cost in whole["costs"]:
            _drop(cost, "passed", 0)
        if whole["allowed"] is not None:
            _drop(whole["allowed"], "seconds", None)
        return whole

    @property
    def failed(self) -> bool:
        """Whether it has nothing to measure."""
        return self.error is not None

    @property
    def untrained(self) -> bool:
        """Whether nothing was trained for it, so that it answers alike whatever the seed."""
        return self.kind == "base" or (self.models == 0 and not self.failed)

    @property
    def cost(self) -> float | None:
        """Its tokens at fixed prices, in seconds; passes count where its steps say so."""
        if self.trained_tokens is None or self.generated_tokens is None:
            return None
        passed = sum(cost.passed for cost in self.costs)
        return prices.cost(self.trained_tokens, self.generated_tokens, passed)

    def seconds_by_phase(self) -> dict[str, float]:
        """Seconds of each phase, as given or else summed from the costs."""
        seconds = {phase: float(value) for phase, value in self.seconds.items()}
        for cost in () if seconds else self.costs:
            seconds[cost.phase] = seconds.get(cost.phase, 0.0) + cost.seconds
        return seconds


@dataclass(frozen=True, kw_only=True)
class ChanceShape:
    """How hollow chance makes a front: median and 95 % range over clouds without a shape."""

    clouds: int
    seed: int = 0
    unreached: tuple[float, ...]
    depth: tuple[float, ...]


@dataclass(frozen=True, kw_only=True)
class FrontRecord:
    """The data's front beside its convex hull, see `kernels.hull.Shape`."""

    points: int
    unreached: float
    depth: float
    chance: ChanceShape | None = None
    """None where the clouds would take too long."""

    @classmethod
    def of(cls, front: Mapping[str, Any]) -> FrontRecord:
        """Read a front as `results.json` has it."""
        return from_mapping(cls, front, "front")


@dataclass(frozen=True, kw_only=True)
class ComparisonRecord:
    """A finished comparison."""

    objectives: tuple[str, ...]
    preferences: tuple[tuple[float, ...], ...]
    runs: tuple[RunRecord, ...]
    bounds: Mapping[str, tuple[float, ...]]
    """The rewards that are 0 and 1 on the scale, for each objective."""
    positions: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    """Of the prompts of `test` and of `validation`, in the order of their answers, where they stand
    in the order in which they were drawn; empty where there is no validation."""
    front: FrontRecord | None = None
    reference: str
    """The method that the others are compared with."""
    budgets: Mapping[str, str] = field(default_factory=dict)
    """What each budget means."""
    limits: tuple[str, ...] = ()
    """What no figure can tell, in sentences."""
    seed: int = 0
    machine: str | None = None
    versions: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, results: Mapping[str, Any]) -> ComparisonRecord:
        """Read what `results.json` holds."""
        names = [f.name for f in fields(cls) if f.name != "runs"]
        given = {name: results[name] for name in names if name in results}
        runs = tuple(map(RunRecord.of, results["runs"]))
        plain = from_mapping(cls, {**given, "runs": ()})
        return cls(**{**{name: getattr(plain, name) for name in names}, "runs": runs})

    def to_mapping(self) -> dict[str, Any]:
        """What `results.json` holds."""
        whole = asdict(self) | {"runs": [run.to_mapping() for run in self.runs]}
        return {name: value for name, value in whole.items() if name != "positions" or value}


def _drop(mapping: dict[str, Any], name: str, empty: object) -> None:
    """Leave out a value that says nothing."""
    if mapping[name] == empty:
        del mapping[name]


def load(folder: Path) -> tuple[ComparisonRecord, dict[str, pl.DataFrame]]:
    """What a comparison left: its results, and each policy's answers to test prompts.

    Raises:
        ValueError: A file is missing, or the comparison was finished by a version that kept no
            scale.
    """
    results = json.loads(_file(folder, layout.RESULTS).read_text("utf-8"))
    if "bounds" not in results:
        raise ValueError(
            f"{folder / layout.RESULTS} has no scale of the rewards, which older versions took "
            "from the methods themselves: run `paretohqd compare` again; it keeps what is done"
        )
    record = ComparisonRecord.of(results)
    return record, answers_of(folder, record)


def answers_of(folder: Path, record: ComparisonRecord) -> dict[str, pl.DataFrame]:
    """Each policy's answers to test prompts, by their name in the record.

    Raises:
        ValueError: A file is missing.
    """
    keys = sorted({policy.answers for run in record.runs for policy in run.policies})
    return {key: pl.read_parquet(_file(folder, f"{key}/{layout.ANSWERS}")) for key in keys}


def _file(folder: Path, name: str) -> Path:
    return file_of(folder, name, kind="comparison", command="compare")
