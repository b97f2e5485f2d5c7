"""A finished run's folder, read and never written: its models, measures and answers."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from paretohqd.models import base
from paretohqd.models.names import is_local, named_model
from paretohqd.models.spec import Model
from paretohqd.models.template_files import find_template
from paretohqd.runs import layout
from paretohqd.runs.config_reader import from_mapping
from paretohqd.runs.metrics import Facts, Metrics, ModelMeasures
from paretohqd.runs.sections import Generation
from paretohqd.runs.trusted import refuse_links
from paretohqd.runs.yaml_reader import read_yaml_file

READ = ("response", "finished", "tokens", "words", "short", "repetitive", "echo")
"""Columns of measured answers, beside the prompt and the objectives."""


@dataclass(frozen=True)
class FinishedRun:
    """What a run's folder says, with its adapters of one stage.

    Attributes:
        folder: The run's.
        stage: The stage whose adapters are meant.
        model: The base.
        generation: How the run samples.
        seed: The run's.
        metrics: What was measured on the held-out prompts.
        facts: What it took.
        adapters: A folder per preference.
    """

    folder: Path
    stage: int
    model: Model
    generation: Generation
    seed: int
    metrics: Metrics
    facts: Facts
    adapters: tuple[Path, ...]

    @property
    def objectives(self) -> tuple[str, ...]:
        """Their names."""
        return self.metrics.objectives

    @property
    def preferences(self) -> tuple[tuple[float, ...], ...]:
        """The trained ones."""
        return self.metrics.preferences

    @property
    def names(self) -> tuple[str, ...]:
        """The preferences' names, if they have any."""
        return self.facts.names

    def measures(self, preference: int | None) -> ModelMeasures:
        """What the model of a preference reached; of the base for None."""
        stage = 0 if preference is None else self.stage
        name = layout.model_name(stage, preference)
        return next(model for model in self.metrics.models if model.model == name)

    def answers(self, preference: int | None) -> pl.DataFrame:
        """Measured answers of a preference's model to the held-out prompts; of the base for None.

        Returns:
            prompt, the objectives, and the columns of READ.
        """
        name = layout.model_name(0 if preference is None else self.stage, preference)
        file = layout.find(self.folder, layout.evaluate(name)) / layout.ANSWERS
        return pl.read_parquet(file, columns=["prompt", *self.objectives, *READ])

    @cached_property
    def rewards(self) -> np.ndarray:
        """(P, N, M) rewards of the trained models on the N held-out prompts."""
        frames = [self.answers(number) for number in range(len(self.adapters))]
        return np.stack([frame.select(self.objectives).to_numpy() for frame in frames])


def open_run(
    folder: str | Path, *, stage: int | None = None, model: str | None = None
) -> FinishedRun:
    """Read a finished run.

    Args:
        folder: The run's.
        stage: Which stage's adapters; the last one's if not given.
        model: The base, where it does not lie any more where the run's configuration says.

    Raises:
        ValueError: The run is not finished (what is missing), has no such stage, its folder holds
            links or was written by an older version, or the base is another one than it was.
    """
    run = Path(folder)
    if not run.is_dir():
        raise ValueError(f"{run}: no such folder")
    refuse_links(run)
    metrics_file = run / layout.SUMMARY / layout.METRICS
    missing = [
        name
        for name in (layout.CONFIG, layout.FACTS, f"{layout.SUMMARY}/{layout.METRICS}")
        if not (run / name).is_file()
    ]
    if missing:
        raise ValueError(
            f"{run} is not a finished run: {', '.join(missing)} missing; finish it with "
            "`paretohqd run`"
        )
    metrics = Metrics.from_json(metrics_file.read_text(encoding="utf-8"))
    facts = Facts.from_json((run / layout.FACTS).read_text(encoding="utf-8"))
    last = max(model.stage for model in metrics.models)
    chosen = last if stage is None else stage
    if not 1 <= chosen <= last:
        raise ValueError(f"stage: {run} has stages 1 to {last}, not {stage}")
    fits = [
        layout.find(run, layout.fit(chosen, number)) for number in range(len(metrics.preferences))
    ]
    gone = [fit for fit in fits if not (fit / layout.ADAPTER).is_dir()]
    if gone:
        raise ValueError(
            f"{run}: {len(gone)} of {len(fits)} adapters are missing (first: "
            f"{gone[0].relative_to(run)}): run `paretohqd run` again"
        )
    plain = read_yaml_file(run / layout.CONFIG)
    manifest = json.loads((fits[0] / "manifest.json").read_text(encoding="utf-8"))
    trained: dict[str, Any] = json.loads(manifest["inputs"]["model"])
    spec = _model(run, from_mapping(Model, plain.get("model") or {}), model)
    if not is_local(spec.name):  # a name on the hub, at the commit that was trained on
        spec = replace(spec, revision=trained.get("revision"))
    _check_base(run, trained, spec)
    return FinishedRun(
        folder=run,
        stage=chosen,
        model=spec,
        generation=from_mapping(Generation, plain.get("generation") or {}),
        seed=int(plain.get("seed", 0)),
        metrics=metrics,
        facts=facts,
        adapters=tuple(fit / layout.ADAPTER for fit in fits),
    )


def _model(run: Path, written: Model, given: str | None) -> Model:
    """The base as it is to be found now."""
    folders = (Path.cwd(), run, run.parent)
    try:
        name = named_model(given or written.name, "model.name", folders)
    except ValueError as error:
        raise ValueError(
            f"{error}: name the base of this run with model= (--model on the command line)"
        ) from None
    spec = replace(written, name=name, chat_template=find_template(written.chat_template, run))
    day = run / layout.TEMPLATE
    if day.is_file():
        spec = replace(spec, date=json.loads(day.read_text(encoding="utf-8"))["date"])
    return spec


def _check_base(run: Path, trained: dict[str, Any], spec: Model) -> None:
    """Refuse a base that is not what the adapters were trained on.

    Raises:
        ValueError: What differs: its files, its name or the chat template.
    """
    now = base.identity(spec)
    differs = sorted(key for key in {*trained, *now} if trained.get(key) != now.get(key))
    if differs:
        what = {"content": "its files", "chat_template": "its chat template", "name": "its name"}
        said = " and ".join(what.get(key, key) for key in differs)
        raise ValueError(
            f"{run}: the base is not what the adapters were trained on ({said} changed since): "
            "give the right one with model= (--model on the command line), or train again"
        )
