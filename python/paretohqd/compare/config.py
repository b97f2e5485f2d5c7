"""What a comparison is: a run's settings, the methods to compare, their seeds and budgets."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Literal

from paretohqd.runs.config import Config
from paretohqd.runs.config_reader import from_mapping
from paretohqd.runs.sections import LATER, within

Budget = Literal["own", "matched", "half", "one", "two"]

FORMULA = ("=", "+", "-", "@")
READABLE = re.compile(rf"(?![{re.escape(''.join(FORMULA))}])\S(.*\S)?")
"""A method's name in tables."""

TAKEN = (
    *("budget", "method", "seed", "n", "collapse", "group"),
    *("policy", "weights", "part", "position"),
)
"""Columns that a comparison makes besides those of a run: no objective can have these names."""


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One line of the comparison: a method with its options."""

    method: str
    """The name of a method; what it has no key for here are its own options."""
    name: str | None = None
    """What the table calls it; the method's own name where there is none."""
    seeds: tuple[int, ...] | None = None
    """Seeds of this entry, where they are not the comparison's."""
    budgets: tuple[Budget, ...] | None = None
    """Budgets of this entry, where they are not the comparison's."""
    block: Literal["methods", "ablations"] = "methods"
    """The part of the table that holds it."""
    against: str | None = None
    """The name of the method that it is compared with, where that is not the comparison's
    `reference`: an ablation is read against what it ablates."""
    options: Mapping[str, Any] = field(default_factory=dict)
    """The method's own options, which `Method.read` checks."""

    @property
    def title(self) -> str:
        """Its name in tables."""
        return self.name or self.method


@dataclass(frozen=True, kw_only=True)
class Comparison(Config):
    """A whole comparison: the settings of a run, shared by all methods, and what is compared.

    `train`, `lora`, `selection` and `generation` hold for every method; `train_stage2` for those
    with a second stage. `stages` has no meaning here.
    """

    methods: tuple[str | Mapping[str, Any], ...]
    """Names of methods, or sections: `method`, `name`, `seeds`, `budgets`, `block`,
    `against` and the method's own options."""
    seeds: tuple[int, ...] = (0,)
    """Every method is trained once with each."""
    budgets: tuple[Budget, ...] = ("matched",)
    """`matched`: each method trains on and generates as many tokens as `paretohqd` does in all, to
    the nearest step; `own`: each takes its usual steps; `half`, `one` and `two`: each costs half of
    what `paretohqd` usually costs with the same seed, as much, or twice as much, at fixed prices
    for tokens, however it spends it."""
    reference: str = "paretohqd"
    """The name of the method that the others are compared with."""
    pairs: Mapping[str, Any] = field(default_factory=dict)
    """DPOConfig of the methods that train on pairs."""
    reinforcement: Mapping[str, Any] = field(default_factory=dict)
    """GRPOConfig of the methods that train on rewards."""
    validation: int = 0
    """The first so many of the held-out prompts, in the order in which they were drawn, are for
    choices (which policy of a method serves a preference best) and enter no table; the others are
    the test prompts. With the same seed the first 40 are those that `held_out: 40` holds out."""
    sample_pairs: int = 4
    """Answers per prompt sampled from the base where the data hold one per prompt and a method
    needs several; 0 refuses instead."""

    def __post_init__(self) -> None:
        """Refuse what no comparison could make sense of."""
        super().__post_init__()
        if not self.methods:
            raise ValueError("methods: name at least one")
        if not self.seeds or len(set(self.seeds)) < len(self.seeds):
            raise ValueError(f"seeds: must differ, and be at least one, got {list(self.seeds)}")
        _check_seeds(self.seeds, "seeds")
        if not self.budgets or len(set(self.budgets)) < len(self.budgets):
            raise ValueError(f"budgets: must differ, and be at least one, got {self.budgets}")
        for place, objective in enumerate(self.objectives):
            if objective.name in TAKEN:
                raise ValueError(
                    f"objectives[{place}].name: {objective.name!r} is a column of the comparison's "
                    "own: choose another name"
                )
        if not self.selection.plain:
            raise ValueError(
                f"selection: {', '.join(LATER)} are for runs: methods of a comparison choose by "
                "rules of their own, which would not follow them"
            )
        server = self.generation.endpoint
        if server is not None and server.lora == "names":
            raise ValueError(
                "generation.endpoint.lora: names is for runs: a comparison samples sums of "
                "adapters too, which no server has by a name"
            )
        for section in ("train", "train_stage2", "pairs"):
            _check_steps(getattr(self, section), section)
        within(self, "", 0, None, "sample_pairs", "validation")
        if self.validation and self.evaluation.prompts is not None:
            raise ValueError(
                "evaluation.prompts: with validation all other held-out prompts are test prompts: "
                "set data.held_out"
            )
        if self.validation >= self.data.held_out:
            raise ValueError(
                f"validation: {self.validation} of {self.data.held_out} held-out prompts leave "
                "none to test: raise data.held_out"
            )
        if self.sample_pairs == 1:
            raise ValueError("sample_pairs: a pair needs 2 answers or more; 0 samples none")

    def entries(self) -> list[Entry]:
        """The methods as entries.

        Raises:
            ValueError: A section without a method, two entries of one name, or one to compare with
                that is none of them or never under the same budget and seed.
        """
        entries = [
            _entry(section, f"methods[{place}]") for place, section in enumerate(self.methods)
        ]
        names = [entry.title for entry in entries]
        alike = [unicodedata.normalize("NFKC", name) for name in names]
        if len(set(alike)) < len(alike):
            twice = next(
                name for name, as_seen in zip(names, alike, strict=True) if alike.count(as_seen) > 1
            )
            raise ValueError(f"methods: two are called {twice!r}: give one another name")
        if self.reference not in (*names, type(self).reference):
            raise ValueError(f"reference: no method is called {self.reference!r}")
        for place, entry in enumerate(entries):
            if entry.against is None:
                continue
            where = f"methods[{place}].against"
            if entry.against not in names:
                raise ValueError(f"{where}: no method is called {entry.against!r}")
            self._check_comparable(entry, entries[names.index(entry.against)], where)
        return entries

    def uncompared(self) -> list[str]:
        """Titles of the methods that no budget puts beside the comparison's reference."""
        entries = self.entries()
        rival = next((entry for entry in entries if entry.title == self.reference), None)
        if rival is None:
            return []
        theirs = set(rival.budgets or self.budgets)
        return [
            entry.title
            for entry in entries
            if entry.against is None
            and entry.method != "base"
            and not theirs & set(entry.budgets or self.budgets)
        ]

    def _check_comparable(self, entry: Entry, rival: Entry, where: str) -> None:
        """Refuse two that never have the same budget, or never the same seed."""
        for name in ("budgets", "seeds"):
            own, other = (getattr(e, name) or getattr(self, name) for e in (entry, rival))
            if not set(own) & set(other):
                raise ValueError(
                    f"{where}: {entry.title} has {name} {_listed(own)}, and {rival.title} "
                    f"{_listed(other)}: with none in common nothing is compared"
                )


def _entry(section: str | Mapping[str, Any], where: str) -> Entry:
    """One line of the comparison from its section: what is no field is the method's own option."""
    fields_of_entry = {f.name for f in fields(Entry)} - {"options"}
    given = {"method": section} if isinstance(section, str) else section
    options = {key: value for key, value in given.items() if key not in fields_of_entry}
    plain = {key: value for key, value in given.items() if key in fields_of_entry}
    entry = from_mapping(Entry, {**plain, "options": options}, where)
    if entry.name is not None and not READABLE.fullmatch(entry.name):
        raise ValueError(
            f"{where}.name: expected text on one line that begins and ends with a visible "
            f"character, and with none of {' '.join(FORMULA)}, which would be a formula in a "
            f"spreadsheet, got {entry.name!r}"
        )
    for name, values in (("seeds", entry.seeds), ("budgets", entry.budgets)):
        if values is not None and len(set(values)) < max(1, len(values)):
            raise ValueError(f"{where}.{name}: must differ, and be at least one")
    _check_seeds(entry.seeds or (), f"{where}.seeds")
    return entry


def _listed(values: Iterable[Any]) -> str:
    return ", ".join(map(str, values))


def _check_steps(given: Mapping[str, Any], section: str) -> None:
    """Refuse what would not say in whole numbers how long a training is."""
    if "num_train_epochs" in given:
        raise ValueError(
            f"{section}.num_train_epochs: a comparison counts steps: give {section}.max_steps"
        )
    for name in ("packing", "train_sampling_strategy", "dataloader_drop_last"):
        if name in given:
            raise ValueError(
                f"{section}.{name}: a comparison puts rows in order and counts their tokens: leave "
                "it out"
            )
    for name in ("max_steps", "per_device_train_batch_size", "gradient_accumulation_steps"):
        value = given.get(name, 1)
        if not isinstance(value, int) or isinstance(value, bool) or value < 1:
            raise ValueError(
                f"{section}.{name}: a comparison needs a whole number from 1 on, got {value!r}"
            )


def _check_seeds(seeds: tuple[int, ...], where: str) -> None:
    bad = [seed for seed in seeds if not 0 <= seed < 2**31]
    if bad:
        raise ValueError(f"{where}: from 0 to 2147483647, got {bad[0]}")
