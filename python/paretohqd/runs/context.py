"""What a run works with: its settings, folder, machine, rewards, and the model in memory."""

from __future__ import annotations

import dataclasses
import gc
import importlib.util
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import polars as pl
import torch
from peft import PeftModel

from paretohqd.models import base, consent, loading
from paretohqd.models.adapter_settings import check_modules
from paretohqd.models.adapters import Weighted, load_mixture
from paretohqd.models.library_calls import kept
from paretohqd.plots.progress import Advance, Screen
from paretohqd.rewards import scoring
from paretohqd.runs import config, layout, rewards
from paretohqd.runs.folder import RunFolder, Work
from paretohqd.runs.forecast import Forecast
from paretohqd.runs.launched import join
from paretohqd.runs.manifest import Settings, Stage
from paretohqd.runs.origins import keep_consent, model_names, pin
from paretohqd.runs.place import run_path
from paretohqd.runs.preflight import check_room, settled_machine
from paretohqd.runs.scoring import Block, blocks_of, score_in_parts
from paretohqd.runs.servers import Servers
from paretohqd.runs.written import read_before, written, yaml_text
from paretohqd.safety.secrets import redacted
from paretohqd.selection.preferences import preference_weights
from paretohqd.trainers import sft
from paretohqd.trainers.settings import merged

PAGE_PACKAGES = ("altair", "jinja2", "vl_convert")
"""What the page needs, which is drawn and loaded last: a run says at once that it is missing."""


class RunContext:
    """One run under way. Opening it checks what can be checked before any work is done."""

    def __init__(
        self, settings: config.Config, *, screen: Screen | None = None, verify: bool = False
    ) -> None:
        """Check the settings, open the folder and find the machine.

        Raises:
            ValueError: settings that no stage could work with, or a folder that is not this run's.
            ModuleNotFoundError: A package that the page needs is not installed.
        """
        for package in PAGE_PACKAGES:
            if importlib.util.find_spec(package) is None:
                raise ModuleNotFoundError(f"No module named {package!r}", name=package)
        self.settings = settings
        self.processes = join(settings.device, together=settings.train_together)
        rank = self.processes.rank
        self.names = [objective.name for objective in settings.objectives]
        preferences = preference_weights(settings.preferences, self.names)
        self.weights = preferences.values
        self.preferences = preferences.named() if preferences.names else preferences.values
        """The weights with the preferences' names, if they have any."""
        self.preference_names = preferences.names or ()
        stage2 = merged(settings.train, settings.train_stage2)
        sft.check_settings(settings.train, settings.lora)
        sft.check_settings(stage2, settings.lora, "train_stage2")
        self.train = {1: dict(settings.train), 2: stage2}
        consent.current().check_models(model_names(settings))
        whole_bases = 1 if self.processes.together else self.processes.world
        loading.check(settings.model.kwargs, processes=whole_bases)
        scorers = rewards.code_scorers(settings.objectives)
        self.screen = screen or Screen(silent=self.processes.rank > 0)
        if scorers:
            self.screen.line(f"this configuration runs code: {', '.join(scorers)}")
        self.rewards = rewards.make_rewards(settings.objectives, settings.device)
        self.servers = Servers(
            settings, self.rewards, layout.models(settings.stages, len(self.weights))
        )
        own = (*config.TAKEN, *(objective.name for objective in settings.objectives))
        asked = (name for name in settings.selection.columns if name not in own)
        self.columns = list(dict.fromkeys([*rewards.columns_read(self.rewards), *asked]))
        """Columns of the data that stay with the prompts."""
        self.told_apart = "conversation" in settings.selection.columns
        """Whether a selection asks which conversation an answer belongs to."""
        try:
            self.folder = RunFolder(
                run_path(settings.run),
                processes=self.processes,
                names=self.preference_names,
                report=self.screen.line,
                watch=kept,
                verify=verify,
            )
        except BaseException as error:
            self.processes.fail(error)
            raise
        self._sampler: tuple[Any, Any] | None = None
        try:
            for line in keep_consent(self.folder, rewards.hashes_of_code(self.rewards)):
                self.screen.line(line)
            self.servers.open(self.folder)
            self.settings, keyed = pin(settings, self.folder)
            for objective, reward in zip(self.settings.objectives, self.rewards, strict=True):
                if isinstance(reward, scoring.ClassifierReward):
                    reward.revision = objective.revision
            self.machine = settled_machine(self.folder, settings)
            self.forecast = Forecast(
                settings,
                len(self.weights),
                self.screen,
                device=self.machine.device,
                workers=whole_bases,
            )
            base.load_config(self.settings.model)
            skeleton = base.skeleton(self.settings.model)
            check_modules(skeleton, settings.lora)
            self._settle_template()
            spec = dataclasses.replace(self.settings.model, revision=keyed.model.revision)
            self.model_id = json.dumps(base.identity(spec, self.folder.hash_path), sort_keys=True)
            rewards.give_tokens(self.rewards, self.settings.model)
            self.objective_settings = {
                objective.name: rewards.identity(
                    objective, reward, self.model_id, self.folder.hash_path
                )
                for objective, reward in zip(keyed.objectives, self.rewards, strict=True)
            }
            """What scores depend on."""
            if rank == 0:
                check_room(self.folder, self.machine, skeleton, self.settings, len(self.weights))
                self._check_models()
                self._write_config()
        except BaseException as error:
            self.processes.fail(error)
            self.folder.close()  # or a caller that goes on would find the folder in use
            raise

    def alone(
        self, name: str, work: Work, *, settings: Settings, inputs: Mapping[str, str]
    ) -> Stage:
        """A stage that the first process does while the others wait."""
        return self._stage(name, work, settings, inputs, owner=0)

    def shared(
        self, name: str, work: Work, *, settings: Settings, inputs: Mapping[str, str]
    ) -> Stage:
        """A stage that all processes work on, in parts; the first one writes the result."""
        return self._stage(name, work, settings, inputs, owner=None)

    def _stage(
        self,
        name: str,
        work: Work,
        settings: Settings,
        inputs: Mapping[str, str],
        owner: int | None,
    ) -> Stage:
        self.folder.stage(name, work, settings=settings, inputs=inputs, owner=owner)
        self.folder.barrier()
        self.forecast.finished(name)
        return self.folder.result(name)

    def sampler(self, *adapters: Weighted) -> tuple[Any, Any]:
        """The base for sampling, kept in memory between models, with adapters put on.

        A base that carries adapters is let go before a bare one is loaded, and whatever else lies
        in memory before any base is loaded.
        """
        if self._sampler is None or not (adapters or self._is_bare()):
            self.free()
            self._sampler = base.load_base(
                self.settings.model, device=self.machine.device, dtype=self.machine.dtype
            )
        model, tokenizer = self._sampler
        if adapters:
            model = load_mixture(model, adapters)
            self._sampler = (model, tokenizer)
        return model, tokenizer

    def trainable(self) -> tuple[Any, Any]:
        """A fresh base to train on, with nothing else in memory."""
        self.free()
        gpu = self.machine.device == "cuda" and self.machine.bfloat16
        return base.load_base(
            self.settings.model,
            device=self.machine.device,
            dtype=torch.bfloat16 if gpu else torch.float32,
        )

    def score(
        self,
        frame: pl.DataFrame,
        only: Sequence[scoring.Reward] | None = None,
        *,
        work: Path,
        progress: Advance | None = None,
        allow_empty: bool = False,
    ) -> pl.DataFrame:
        """Some answers with columns of scores by these rewards, or all.

        What was scored in the work folder before is not scored again.
        """
        chosen = self.rewards if only is None else only
        scores = self.scores(
            blocks_of(frame),
            len(frame),
            chosen,
            work=work,
            progress=progress,
            allow_empty=allow_empty,
        )
        return frame if self.folder.rank else frame.with_columns(scores)

    def scores(
        self,
        blocks: Callable[[], Iterator[Block]],
        n: int,
        chosen: Sequence[scoring.Reward],
        *,
        work: Path,
        progress: Advance | None = None,
        allow_empty: bool = False,
    ) -> pl.DataFrame:
        """Scores of n answers, as `score_in_parts` makes them.

        Reward models find no sampler in memory, and no other reward model unless there is room.
        """
        rewards.settle_messages(self.rewards, self.folder.folder / layout.DATA)
        self.servers.begin()
        scores = score_in_parts(
            blocks,
            n,
            chosen,
            work,
            processes=self.processes,
            begin=self._make_room,
            progress=progress,
            allow_empty=allow_empty,
        )
        for line in self.servers.judged():
            self.screen.line(line)
        return scores

    def _make_room(self, together: Sequence[scoring.Reward]) -> None:
        """Before a reward model takes its first row."""
        if not isinstance(together[0], scoring.ClassifierReward):
            return
        self._sampler = None
        if not rewards.fit_together(self.rewards, self.machine.device):
            for reward in self.rewards:
                if isinstance(reward, scoring.ClassifierReward) and reward not in together:
                    reward.unload()
        self._collect()

    def free(self) -> None:
        """Give back the memory of the sampler and of the reward models."""
        self._sampler = None
        for reward in self.rewards:
            if isinstance(reward, scoring.ClassifierReward):
                reward.unload()
        self._collect()

    def _collect(self) -> None:
        gc.collect()  # a trainer and its model refer to each other, as do a base and its adapters
        if self.machine.device == "cuda":
            torch.cuda.empty_cache()

    def _is_bare(self) -> bool:
        return self._sampler is not None and not isinstance(self._sampler[0], PeftModel)

    def _check_models(self) -> None:
        """Load every model once before any work is done, unless this folder has seen them.

        Otherwise a model that cannot be used would fail when it is first needed: after hours, if
        the first scores are columns of the data. Reward models that are needed at once stay loaded.
        """
        now = redacted({"model": self.model_id, "objectives": self.objective_settings})
        if self.folder.read_json(layout.CHECKED) == json.loads(json.dumps(now)):
            return
        self.servers.probe()
        self.sampler()
        self.free()
        for line in rewards.check_models(self.settings.objectives, self.rewards):
            self.screen.line(line)
        self.folder.write_json(layout.CHECKED, now)

    def _settle_template(self) -> None:
        """Refuse a template that cannot be trained with; the day that it writes stays the run's."""
        spec = base.dated(self.settings.model)
        if spec != self.settings.model:
            if self.folder.rank == 0 and self.folder.read_json(layout.TEMPLATE) is None:
                self.folder.write_json(layout.TEMPLATE, {"date": spec.date})
            self.folder.barrier()
            spec = dataclasses.replace(spec, date=self.folder.read_json(layout.TEMPLATE)["date"])
            self.settings = dataclasses.replace(self.settings, model=spec)
        form = base.check_trainable(spec)
        if form.opening:
            self.screen.line(
                f"the chat template opens every answer with {form.opening!r}: answers, trained and "
                "sampled, go on from there"
            )
        if form.start:
            self.screen.line(
                f"the chat template's prompt lacks {form.start!r}, which stands before an answer: "
                "it is added, in training and sampling"
            )

    def _write_config(self) -> None:
        plain = json.loads(json.dumps(written(self.settings)))
        text = yaml_text(plain)
        path = self.folder.folder / layout.CONFIG
        if path.exists() and path.read_text() != text:
            self.screen.line("settings changed since this folder was last used:")
            for line in _changes(read_before(path), plain):
                self.screen.line(f"  {line}")
            self.screen.line("what they touch is redone; what it replaces is kept in superseded/")
            self.folder.reopen()
        self.folder.write_text(layout.CONFIG, text)


def _changes(before: object, now: object, where: str = "") -> list[str]:
    """One line per setting that differs."""
    if isinstance(before, dict) and isinstance(now, dict):
        keys = [*before, *(key for key in now if key not in before)]
        return [
            line
            for key in keys
            for line in _changes(before.get(key), now.get(key), f"{where}.{key}" if where else key)
        ]
    return [] if before == now else [f"{where}: {before} -> {now}"]
