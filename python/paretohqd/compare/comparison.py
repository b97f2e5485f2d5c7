"""Methods side by side: each on the same data, prompts and scorers, for some seeds and budgets.

Every training, sampling and scoring is a stage of the run folder, so that an interrupted
comparison goes on; the tables and the page are made anew from what the stages hold.
"""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from paretohqd.compare import tables
from paretohqd.compare.budget import Tokens, allowance
from paretohqd.compare.choosing import with_choices
from paretohqd.compare.config import Comparison
from paretohqd.compare.evaluating import HeldOut, evaluate, prompts_to_choose_by, prompts_to_test
from paretohqd.compare.measures import ComparisonResult
from paretohqd.compare.measuring import measure_record
from paretohqd.compare.methods import METHODS
from paretohqd.compare.plan import REFERENCE, SCALED, Job, check_together, plan
from paretohqd.compare.records import (
    ChanceShape,
    ComparisonRecord,
    FrontRecord,
    PolicyRecord,
    RunRecord,
    answers_of,
    load,
)
from paretohqd.compare.report import write_comparison
from paretohqd.compare.scores import SCORES, published
from paretohqd.compare.words import BUDGETS, asked_high_or_low, kept, limits, uncompared
from paretohqd.compare.workbench import Workbench
from paretohqd.frames.new_files import write_parquet
from paretohqd.frames.writing import csv_for_people
from paretohqd.kernels.hull import front_shape, shapes_by_chance
from paretohqd.models.consent import consenting
from paretohqd.plots.progress import Screen, duration
from paretohqd.runs import failures, layout, pipeline
from paretohqd.runs.context import RunContext
from paretohqd.runs.manifest import Stage, versions
from paretohqd.runs.utility import data_bounds
from paretohqd.safety.places import shown_name
from paretohqd.safety.secrets import redacted

CLOUDS = 200
"""How many clouds of no special shape the data's front is compared with."""
PROGRAMS = 20_000
"""At most as many linear programs are solved for them, one per point of a front."""
TABLES = {
    "methods": tables.methods_table,
    "points": tables.points_table,
    "summary": tables.summary_table,
    "costs": tables.cost_table,
}
"""The files that a comparison ends with."""


def compare(
    settings: Comparison,
    *,
    screen: Screen | None = None,
    verify: bool = False,
    unsafe_settings: bool = False,
    trust_remote_code: Iterable[str] = (),
    allow_code: Iterable[str] = (),
    send_to: Iterable[str] = (),
) -> Path:
    """Do the comparison that `settings` describes, or what is left of it.

    Args:
        settings: The comparison.
        screen: What shows how it goes.
        verify, unsafe_settings, trust_remote_code, allow_code, send_to: As for `paretohqd.run`.

    Returns:
        The run folder: `methods.csv`, `points.csv`, `summary.csv`, `costs.csv`, `scores.parquet`,
        `results.json`, `report.html`, and the stages.

    Raises:
        ValueError: Bad settings or data. A method that fails does not end the comparison: the
            tables say which and why.
        OSError: The folder cannot be written, or the disk is full.
    """
    with consenting(
        unsafe_settings=unsafe_settings,
        trust_remote_code=trust_remote_code,
        allow_code=allow_code,
        send_to=send_to,
    ):
        return _compare(settings, screen, verify)


def _compare(settings: Comparison, screen: Screen | None, verify: bool) -> Path:
    jobs = list(plan(settings))
    if int(os.environ.get("WORLD_SIZE", "1")) > 1:
        raise ValueError("a comparison is one process: start it without accelerate launch")
    check_together(settings, jobs)
    s = RunContext(settings, screen=screen, verify=verify)
    try:
        s.screen.line(f"paretohqd compare in {s.folder.folder}")
        s.screen.line(f"machine: {s.machine.describe()}")
        for line in uncompared(settings.uncompared(), settings.reference):
            s.screen.line(f"! {line}")
        data = pipeline.split(s, drawn=settings.validation > 0)
        offline = scores_of(s, pipeline.score(s, 1, data))
        parts = prompts_to_test(s, settings), prompts_to_choose_by(s, settings)
        bounds = data_bounds(offline)  # fixed before anything is trained
        ends = (f"{name} from {low:.3g} to {high:.3g}" for name, (low, high) in bounds.items())
        s.screen.line(f"scale of the rewards, 0 to 1: {', '.join(ends)}")
        budgets: dict[int, Tokens] = {}
        runs, before = [], sum(s.folder.seconds().values())
        for number, job in enumerate(jobs, 1):
            runs.append(attempt(s, job, budgets, *parts))
            # Work of an earlier start counts with what it took then.
            spent = sum(s.folder.seconds().values()) - before
            left = spent / number * (len(jobs) - number)
            s.screen.line(f"{number} of {len(jobs)} done: {job.label}, about {duration(left)} left")
        return finish(s, settings, runs, bounds, shape_of_front(s, offline), parts)
    finally:
        s.folder.close()


def attempt(
    s: RunContext,
    job: Job,
    budgets: dict[int, Tokens],
    test: HeldOut,
    validation: HeldOut | None,
) -> RunRecord:
    """Run one method and evaluate its policies; a failure becomes a line of the table."""
    entry, method = job.entry, METHODS[job.entry.method]
    # What budgets are measured by takes its usual steps, unless it is to cost half or twice that.
    itself = entry.method == REFERENCE and not entry.options
    measured_from = itself and job.budget not in SCALED
    limited = job.budget != "own" and not measured_from and entry.method != "base"
    measured = budgets.get(job.seed) if limited else None
    allowed = (
        None
        if measured is None
        else allowance(job.budget, measured, itself=entry.method == REFERENCE)
    )
    bench = Workbench(s, title=entry.title, seed=job.seed, allowed=allowed)
    error, family = None, None
    try:
        if limited and allowed is None:
            raise ValueError(f"no budget to match: {REFERENCE} failed with seed {job.seed}")
        options = method.read(entry.options, entry.title, name=entry.method)
        family = method.family_of(options)
        policies = method.run(bench, options)
        records = [
            PolicyRecord(
                weights=policy.weights,
                system_prompt=policy.system_prompt,
                answers=evaluate(s, bench, policy, test, place),
                validation=evaluate(s, bench, policy, validation, place) if validation else None,
            )
            for place, policy in enumerate(policies)
        ]
    except (OSError, MemoryError):
        raise  # a full disk or host is not the method's fault, and would be the next one's too
    except Exception as failure:
        s.free()
        error = redacted(failures.sentence(failure))
        s.folder.write_text(job.failure, failures.described(failure))
        s.screen.line(f"{job.label} failed: {error} (more in {job.failure})")
        policies, records = [], []
    else:
        (s.folder.folder / job.failure).unlink(missing_ok=True)
        if measured_from:
            budgets[job.seed] = Tokens(bench.trained, bench.generated)
    if any(policy.system_prompt for policy in policies):
        answers = [s.folder.folder / record.answers for record in records]
        tests = asked_high_or_low(s.names, policies, answers)
        bench.notes["asked high against asked low"] = tests
        for name, text in tests.items():
            s.screen.line(f"  {job.label}: {name} asked high against asked low: {text}")
    if any(policy.least for policy in policies):
        answers = [s.folder.folder / record.answers for record in records]
        bench.notes["constraints on held-out prompts"] = kept(policies, answers)
    return RunRecord(
        method=entry.title,
        kind=entry.method,
        ablation=entry.block == "ablations",
        against=entry.against,
        options=dict(entry.options),
        budget=job.budget,
        seed=job.seed,
        error=error,
        **method.words,
        reconstructed=method.reconstructed,
        family=family,
        chosen=None,
        policies=tuple(records),
        models=len(set().union(*(policy.folders for policy in policies))),
        passes=max((policy.passes for policy in policies), default=1.0),
        sees_scorers=any(policy.choice is not None for policy in policies),
        notes=bench.notes,
        costs=tuple(bench.costs),
        seconds=bench.seconds(),
        trained_tokens=bench.trained,
        generated_tokens=bench.generated,
        scored=sum(cost.scored for cost in bench.costs),
        allowed=bench.allowed,
    )


def finish(
    s: RunContext,
    settings: Comparison,
    runs: Sequence[RunRecord],
    bounds: Mapping[str, Sequence[float]],
    front: FrontRecord | None,
    parts: tuple[HeldOut, HeldOut | None],
) -> Path:
    """Write the results, the tables and the page."""
    folder, (test, validation) = s.folder.folder, parts
    record = ComparisonRecord(
        objectives=tuple(s.names),
        preferences=tuple(tuple(row) for row in s.weights.tolist()),
        runs=with_choices(folder, runs, bounds=bounds, preferences=s.weights.tolist()),
        positions={"test": test.positions, "validation": validation.positions}
        if validation
        else {},
        bounds={name: tuple(ends) for name, ends in bounds.items()},
        front=front,
        reference=settings.reference,
        budgets=BUDGETS,
        limits=tuple(
            limits(
                shown_name(settings.model.name),
                front,
                uncompared(settings.uncompared(), settings.reference),
            )
        ),
        seed=settings.seed,
        machine=s.machine.describe(),
        versions=versions(),
    )
    result = measure_record(record, answers_of(folder, record))
    # Written last: without it the folder is not finished, and scores never lie beside another's.
    (folder / layout.RESULTS).unlink(missing_ok=True)
    write_parquet(published(folder, record), folder / SCORES)
    for name, table in TABLES.items():
        s.folder.write_text(f"{name}.csv", csv_for_people(table(result)))
    s.folder.write_json(layout.RESULTS, record.to_mapping())
    write_comparison(folder, folder / layout.REPORT)
    return folder


def scores_of(s: RunContext, scored: Stage) -> pl.DataFrame:
    """One column per objective: the scores of the offline answers."""
    return pl.read_parquet(scored.path / layout.SCORED, columns=s.names).select(s.names)


def shape_of_front(s: RunContext, offline: pl.DataFrame) -> FrontRecord | None:
    """The data's front below its hull, beside fronts of clouds without a shape of their own.

    Returns:
        None where the shape cannot be found. With three objectives it takes a linear program per
        point, so it is kept.
    """

    def work(out: Path) -> Mapping[str, Any]:
        try:
            own = front_shape(offline)
            front = FrontRecord(points=own.points, unreached=own.unreached, depth=own.depth)
            clouds = CLOUDS if len(s.names) < 3 else min(CLOUDS, PROGRAMS // own.points)
            if clouds >= 40:  # fewer have no 95 % range
                shapes = list(shapes_by_chance(offline, draws=clouds, seed=s.settings.seed))
                chance = ChanceShape(
                    clouds=clouds,
                    seed=s.settings.seed,
                    unreached=_median_and_range([shape.unreached for shape in shapes]),
                    depth=_median_and_range([shape.depth for shape in shapes]),
                )
                front = dataclasses.replace(front, chance=chance)
        except ValueError as error:
            s.screen.line(f"{unknown}: {error}")
            return {"front": None}
        return {"front": dataclasses.asdict(front)}

    unknown = "the shape of the data's front is not known"
    try:
        made = s.folder.stage(
            "front",
            work,
            settings={"objectives": s.names, "clouds": CLOUDS, "seed": s.settings.seed},
            inputs={"scores": s.folder.hash_frame(offline)},
        )
    except (RuntimeError, ImportError) as error:
        # A sentence of the page: no reason to lose the others, and another time it may be found.
        s.screen.line(f"{unknown}: {error}")
        return None
    assert made is not None, "a comparison is one process"
    front = made.notes["front"]
    return None if front is None else FrontRecord.of(front)


def _median_and_range(values: Sequence[float]) -> tuple[float, ...]:
    return tuple(np.quantile(values, [0.5, 0.025, 0.975]).tolist())


def measure_folder(folder: Path) -> ComparisonResult:
    """What is measured of a finished comparison, see `measuring.measure_runs`."""
    return measure_record(*load(folder))
