"""A finished run's folder, read and never written: its models, measures and answers."""

from __future__ import annotations

import json
from collections.abc import Mapping
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
        metrics: What was measured on the held-out prompts.
        facts: What it took.
    """

    folder: Path
    stage: int
    metrics: Metrics
    facts: Facts

    @cached_property
    def settings(self) -> Mapping[str, Any]:
        """What `config.yaml` holds.

        Raises:
            ValueError: It is no configuration.
        """
        settings = read_yaml_file(self.folder / layout.CONFIG)
        if not isinstance(settings, dict):
            raise ValueError(f"{self.folder / layout.CONFIG} is damaged: expected settings")
        return settings

    @property
    def generation(self) -> Generation:
        """How the run samples."""
        return from_mapping(Generation, self.settings.get("generation") or {})

    @property
    def precision(self) -> str:
        """The number format that the run sampled in; float32 where it does not say."""
        file = self.folder / layout.MACHINE
        if not file.is_file():
            return "float32"
        return str(json.loads(file.read_text(encoding="utf-8"))["precision"])

    @property
    def adapters(self) -> tuple[Path, ...]:
        """A folder per preference."""
        fits = (layout.fit(self.stage, number) for number in range(len(self.preferences)))
        return tuple(layout.find(self.folder, fit) / layout.ADAPTER for fit in fits)

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


def open_run(folder: str | Path, *, stage: int | None = None) -> FinishedRun:
    """Read a finished run.

    Args:
        folder: The run's.
        stage: Which stage's adapters; the last one's if not given.

    Raises:
        ValueError: The run is not finished (what is missing), has no such stage, its folder holds
            links or was written by an older version.
    """
    run = Path(folder)
    if not run.is_dir():
        raise ValueError(f"{run}: no such folder")
    refuse_links(run)
    measures = f"{layout.SUMMARY}/{layout.METRICS}"
    missing = [n for n in (layout.CONFIG, layout.FACTS, measures) if not (run / n).is_file()]
    if missing:
        raise ValueError(
            f"{run} is not a finished run: {', '.join(missing)} missing; finish it with "
            "`paretohqd run`"
        )
    metrics = Metrics.from_json((run / measures).read_text(encoding="utf-8"))
    last = max(model.stage for model in metrics.models)
    chosen = last if stage is None else stage
    if not 1 <= chosen <= last:
        raise ValueError(f"stage: {run} has stages 1 to {last}, not {stage}")
    return FinishedRun(
        folder=run,
        stage=chosen,
        metrics=metrics,
        facts=Facts.from_json((run / layout.FACTS).read_text(encoding="utf-8")),
    )


def find_base(finished: FinishedRun, given: str | None = None) -> Model:
    """The base that a run's adapters were trained on, as it is to be found now.

    Args:
        finished: The run.
        given: Where it lies, if elsewhere than the run's configuration says.

    Raises:
        ValueError: Adapters that are missing, no such base, or one that is another than it was: its
            files, its name or the chat template.
    """
    run, adapters = finished.folder, finished.adapters
    gone = [adapter for adapter in adapters if not adapter.is_dir()]
    if gone:
        raise ValueError(
            f"{run}: {len(gone)} of {len(adapters)} adapters are missing (first: "
            f"{gone[0].parent.relative_to(run)}): run `paretohqd run` again"
        )
    written = from_mapping(Model, finished.settings.get("model") or {})
    try:
        name = named_model(given or written.name, "model.name", (Path.cwd(), run, run.parent))
    except ValueError as error:
        raise ValueError(
            f"{error}: name the base of this run with model= (--model on the command line)"
        ) from None
    spec = replace(written, name=name, chat_template=find_template(written.chat_template, run))
    day = run / layout.TEMPLATE
    if day.is_file():
        spec = replace(spec, date=json.loads(day.read_text(encoding="utf-8"))["date"])
    manifest = json.loads((adapters[0].parent / "manifest.json").read_text(encoding="utf-8"))
    trained: dict[str, Any] = json.loads(manifest["inputs"]["model"])
    if not is_local(name):  # a name on the hub, at the commit that was trained on
        spec = replace(spec, revision=trained.get("revision"))
    now = base.identity(spec)
    differs = sorted(key for key in {*trained, *now} if trained.get(key) != now.get(key))
    if differs:
        what = {"content": "its files", "chat_template": "its chat template", "name": "its name"}
        said = " and ".join(what.get(key, key) for key in differs)
        raise ValueError(
            f"{run}: the base is not what the adapters were trained on ({said} changed since): "
            "give the right one with model= (--model on the command line), or train again"
        )
    return spec
