"""What a comparison will do, in which order; what cannot work is refused before all work."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from paretohqd.compare.config import Comparison, Entry
from paretohqd.compare.method import Family
from paretohqd.compare.methods import METHODS
from paretohqd.exceptions import check_keys
from paretohqd.models.adapter_keys import NOT_ADDED
from paretohqd.trainers import conditioned, dpo, grpo, ham, heads, values

REFERENCE = "paretohqd"
"""The method whose tokens are the matched budget, and whose cost the others are measured by."""
SCALED = ("half", "two")
"""Budgets under which it takes other than its usual steps itself."""
HERE = ("mavis", "guided")
"""Methods whose answers only the run itself can sample."""


@dataclass(frozen=True)
class Job:
    """One method with one seed and one budget."""

    entry: Entry
    budget: str
    seed: int

    @property
    def label(self) -> str:
        """Its name on the screen."""
        return f"{self.entry.title} ({self.budget}, seed {self.seed})"

    @property
    def failure(self) -> str:
        """Name of the file that says why it failed; titles that differ have different files."""
        plain = re.sub(r"[^A-Za-z0-9]+", "-", self.label).strip("-")
        mark = hashlib.sha256(self.label.encode()).hexdigest()[:6]
        return f"failed-{plain}-{mark}.txt"


def plan(settings: Comparison) -> Iterator[Job]:
    """What is to be done, seed by seed, in an order in which budgets are known when needed.

    Raises:
        ValueError: An unknown method or option, a value that an option cannot have, or a matched
            budget without the method that it is measured from.
    """
    entries = settings.entries()
    for place, entry in enumerate(entries):
        check_keys([entry.method], METHODS, f"methods[{place}]")
        budgets = entry.budgets or settings.budgets
        METHODS[entry.method].read(
            entry.options, f"methods[{place}]", name=entry.method, budgets=budgets
        )
    measure = next((e for e in entries if e.title == e.method == REFERENCE and not e.options), None)
    order = [entry for entry in (measure, *entries) if entry is not None]
    _check_measured(measure, settings)
    done = set()
    for seed in dict.fromkeys(s for e in entries for s in e.seeds or settings.seeds):
        for entry in order:
            budgets = entry.budgets or settings.budgets
            if entry is measure:
                budgets = tuple(sorted(budgets, key=lambda budget: budget in SCALED))
            for budget in budgets:
                if seed not in (entry.seeds or settings.seeds):
                    continue
                if (
                    budget != "own"
                    and entry.method != "base"  # which spends nothing
                    and (measure is None or seed not in (measure.seeds or settings.seeds))
                ):
                    what = (
                        "a matched budget is as many tokens as"
                        if budget == "matched"
                        else f"budget {budget} is measured by what"
                    )
                    raise ValueError(
                        f"methods: {what} {REFERENCE} takes, so "
                        f"name {REFERENCE} without options and with seed {seed}, or set "
                        f"budgets: [own] for {entry.title}"
                    )
                job = Job(entry, budget, seed)
                key = (entry.title, budget, seed)
                if key not in done:
                    done.add(key)
                    yield job


def _check_measured(measure: Entry | None, settings: Comparison) -> None:
    """Refuse to measure a cost by a method that is not run as it usually is."""
    if measure is None:
        return
    budgets = measure.budgets or settings.budgets
    if set(budgets) <= set(SCALED):
        raise ValueError(
            f"budgets: {' and '.join(budgets)} {'is' if len(budgets) == 1 else 'are'} measured by "
            f"what {REFERENCE} usually takes: name one as well"
        )


def check_together(settings: Comparison, jobs: Sequence[Job]) -> None:
    """Refuse settings that some method cannot work with, before the others have worked for hours.

    Raises:
        ValueError: A setting that a trainer does not follow, adapters that cannot be summed, or
            reinforcement learning under a budget of tokens with settings that need a number of
            steps.
    """
    grpo.check_settings(settings.reinforcement, settings.lora, "reinforcement")
    dpo.check_settings(settings.pairs, settings.lora, "pairs")
    if any(job.entry.method == "ham" for job in jobs):
        ham.check_settings(settings.train, settings.lora)
    if any(job.entry.method in ("mahdpo", "npdpo") for job in jobs):
        heads.KIND.check_all(settings.pairs, settings.lora, "pairs")
    if any(job.entry.method == "psl" for job in jobs):
        conditioned.KIND.check_all(settings.train, settings.lora, "train")
    if any(job.entry.method == "mavis" for job in jobs):
        values.KIND.check_all(settings.train, settings.lora, "train")
    if settings.generation.endpoint is not None:
        for method in HERE:
            if any(job.entry.method == method for job in jobs):
                raise ValueError(
                    f"generation.endpoint: {method} acts on each answer while it is sampled, which "
                    f"a server does not allow: leave one of the two out"
                )
    for name in NOT_ADDED:
        for method in (job.entry.method for job in jobs if settings.lora.get(name) and _adds(job)):
            raise ValueError(
                f"lora.{name}: {method} add adapters up, which it makes wrong: leave off"
            )
    if any(job.budget != "own" and _family(job) == "rl" for job in jobs):
        grpo.check_budgeted(settings.reinforcement, "reinforcement")


def _adds(job: Job) -> bool:
    """Whether its policies are sums of adapters."""
    heads = job.entry.method == "ham" and bool(job.entry.options.get("heads"))
    return heads or job.entry.method in ("soups", "mahdpo", "psl", "npdpo")


def _family(job: Job) -> Family | None:
    """How the method of a job trains, with its options."""
    entry, method = job.entry, METHODS[job.entry.method]
    return method.family_of(method.read(entry.options, entry.title, name=entry.method))
