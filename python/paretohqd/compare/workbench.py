"""What every method works with: the same data, prompts and scorers, and what each step costs.

A step (a training, a sampling, a selection) is a stage of the run folder, named by its content: a
step that two methods share is done once and charged to both, and an interrupted comparison goes on
where it was.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal, Protocol, Unpack

import numpy as np
import polars as pl

from paretohqd.compare.budget import Course, Spending, Tokens
from paretohqd.compare.config import Comparison
from paretohqd.frames.new_files import write_parquet
from paretohqd.models import base as models
from paretohqd.models import chat
from paretohqd.models.machine import Machine
from paretohqd.runs import layout
from paretohqd.runs.context import RunContext
from paretohqd.runs.manifest import Stage
from paretohqd.selection.choosing import choose_by_rule
from paretohqd.selection.options import VariantOptions
from paretohqd.selection.rule import Rule
from paretohqd.trainers import sft

KEYED_SYSTEM_PROMPT = "before"
"""What the keys of stages call the system prompt. Under another name every answer of an older
folder would be sampled again, and what is trained with system prompts trained again."""


class Fit(Protocol):
    """Trains a freshly loaded model into the folder `out`; returns what the stage notes."""

    def __call__(
        self,
        base: Any,
        tokenizer: Any,
        /,
        *,
        out: Path,
        machine: Machine,
        seed: int,
        on_step: Callable[[int, int], None],
    ) -> Mapping[str, Any]:
        """Train, and call `on_step` with (done, total) as it goes."""
        ...


class Workbench(Spending):
    """What one method works with, for one seed and one budget."""

    def __init__(
        self, context: RunContext, *, title: str, seed: int, allowed: Tokens | None = None
    ) -> None:
        """Take a run whose data are split and scored.

        Args:
            context: The run: settings, folder, machine and rewards.
            title: The method's name in what is printed.
            seed: Seed of everything that the method draws.
            allowed: The budget; None lets the method take its usual steps.
        """
        settings = context.settings
        assert isinstance(settings, Comparison)
        clock = "seconds" if context.machine.device == "cuda" else "cpu_seconds"
        super().__init__(allowed, settings.generation, seed=seed, clock=clock)
        self.context, self.title, self.settings = context, title, settings
        self.names, self.weights = context.names, context.weights
        self.notes: dict[str, Any] = {}
        """What the method writes down, for the page."""
        self._charged_scores = False
        self._tokenizer: Any = None

    @property
    def preferences(self) -> list[tuple[float, ...]]:
        """The preferences, one after the other."""
        return [tuple(map(float, row)) for row in self.weights]

    @property
    def echo_gate(self) -> float | None:
        """Word overlap beyond which an answer is never trained on; one rule for all methods."""
        return self.settings.data.max_word_overlap

    def pool(self) -> pl.DataFrame:
        """The offline rows without scores: prompt, response, conversation and the data's others."""
        path = self.context.folder.result(layout.DATA).path / layout.POOL
        # The system prompt is the method's to write: a column of that name is another thing.
        return pl.read_parquet(path).drop(chat.SYSTEM_PROMPT, strict=False)

    def scored(self) -> pl.DataFrame:
        """The offline rows with one column per objective; scoring them is charged once."""
        result = self.context.folder.result(layout.score(1))
        frame = pl.read_parquet(result.path / layout.SCORED).drop(chat.SYSTEM_PROMPT, strict=False)
        # Pictures and the like are not text: no method looks at them, and they have no hash.
        frame = frame.select(c for c, kind in frame.schema.items() if "Binary" not in str(kind))
        if not self._charged_scores:
            self._charged_scores = True
            self.charge(result, "score", "once", scored=len(frame))
        return frame

    def prompts(self, count: int | None = None) -> pl.DataFrame:
        """Prompts to sample for, none of them held out: `count` at random, all otherwise."""
        frame = pl.read_parquet(self.context.folder.result(layout.DATA).path / layout.PROMPTS)
        if count is None or count >= len(frame):
            return frame
        rng = np.random.default_rng([self.seed, 2])
        return frame[np.sort(rng.permutation(len(frame))[:count])]

    def prompts_to_answer(self) -> pl.DataFrame:
        """The usual number of prompts; under a budget all: it says how many are answered."""
        return self.prompts(None if self.allowed else self.settings.generation.prompts)

    def tokenizer(self) -> Any:
        """The base's tokenizer."""
        if self._tokenizer is None:
            self._tokenizer = models.load_tokenizer(self.settings.model)
        return self._tokenizer

    def step(
        self,
        kind: str,
        work: Callable[[Path], Mapping[str, Any] | None],
        *,
        settings: Mapping[str, Any],
        inputs: Mapping[str, str] | None = None,
    ) -> Stage:
        """A stage named by what it depends on, done unless it is there."""
        content = json.dumps([settings, inputs or {}], sort_keys=True, default=str)
        name = f"{kind}/{hashlib.sha256(content.encode()).hexdigest()[:16]}"
        result = self.context.folder.stage(name, work, settings=settings, inputs=inputs)
        assert result is not None, "a comparison is one process"
        return result

    def hash_rows(self, rows: pl.DataFrame) -> str:
        """Hash of prompts or training rows, their system prompts under the name in keys."""
        if chat.SYSTEM_PROMPT in rows.columns:
            rows = rows.rename({chat.SYSTEM_PROMPT: KEYED_SYSTEM_PROMPT})
        return self.context.folder.hash_frame(rows)

    def rule(self, *, k: int, **options: Unpack[VariantOptions]) -> Rule:
        """The settings' rule of selection, for k rows, with some options in place of its own."""
        rule = self.settings.selection.rule(k=k)
        if {"upto", "at_least", "rank"} & options.keys():
            # One way to end the pool stands in place of the other; some ranks know no pool.
            rule = replace(rule, upto=None, at_least=None)
        return replace(rule, **options)

    def choose(self, frame: pl.DataFrame, rule: Rule) -> pl.DataFrame:
        """ParetoHqD's selection from scored rows, as `paretohqd.select` returns it."""

        def work() -> pl.DataFrame:
            return choose_by_rule(rule, frame, self.names, self.weights).rows

        return self.table("select", work, frame, **self.rule_settings(rule))

    def rule_settings(self, rule: Rule) -> dict[str, Any]:
        """What the choice of rows by a rule depends on, besides the rows."""
        varied = {name: getattr(rule, name) for name in VariantOptions.__annotations__}
        if rule.rank == "ray":  # as in folders of older versions
            del varied["rank"]
        return {"k": rule.k, "weights": self.weights.tolist(), **varied}

    def table(
        self,
        kind: str,
        work: Callable[[], pl.DataFrame],
        source: pl.DataFrame,
        *,
        per: str = "once",
        **settings: Any,
    ) -> pl.DataFrame:
        """A selection of rows as a step; `source` and `settings` are all that it depends on."""

        def write(out: Path) -> None:
            write_parquet(work(), out / "rows.parquet")

        made = self.step(
            kind,
            write,
            settings=settings | {"names": self.names},
            inputs={"rows": self.context.folder.hash_frame(source)},
        )
        self.charge(made, "select", per)
        return pl.read_parquet(made.path / "rows.parquet")

    def train_settings(self, stage: int = 1) -> dict[str, Any]:
        """SFTConfig of a stage with the defaults."""
        return {**sft.DEFAULTS, **self.context.train[stage]}

    def train(
        self,
        kind: str,
        fit: Fit,
        *,
        label: str,
        per: str,
        settings: Mapping[str, Any],
        inputs: Mapping[str, str],
        course: Course | None = None,
        unit: Literal["rows", "pairs"] = "rows",
        passes: float = 0.0,
    ) -> Stage:
        """A step that trains on a freshly loaded base; it is charged, and noted for the page.

        Args:
            kind: The folder of such steps.
            fit: What trains.
            label: What the progress bar calls it.
            per: What the training is repeated for, see `budget.Cost`.
            settings: All that it depends on besides the seed and the machine.
            inputs: Hashes of what it reads.
            course: What it goes through, where that is known beforehand: it is noted, and charged
                where the training counts no tokens itself.
            unit: What the course consists of.
            passes: Tokens read without a gradient for each token trained on.
        """
        s = self.context

        def work(out: Path) -> Mapping[str, Any]:
            base, tokenizer = s.trainable()
            with s.screen.bar(f"{self.title}: fit {label}") as progress:
                return fit(
                    base,
                    tokenizer,
                    out=out,
                    machine=s.machine,
                    seed=self.seed,
                    on_step=progress,
                )

        made = self.step(
            kind,
            work,
            settings={**settings, "seed": self.seed, "bfloat16": s.machine.bfloat16},
            inputs={**inputs, "model": s.model_id},
        )
        notes = made.notes
        trained = notes.get("trained_tokens", course.tokens if course else 0)
        self.charge(
            made,
            "train",
            per,
            trained=trained,
            passed=round(passes * trained),
            generated=notes.get("generated_tokens", 0),
            scored=notes.get("scored", 0),
        )
        if course is not None:
            self.notes.setdefault("trainings", []).append(
                {
                    "label": label,
                    unit: course.different,
                    "seen": course.seen,
                    "steps": course.steps,
                    "passes": course.passes,
                }
            )
        return made


def batch_size(train: Mapping[str, Any]) -> int:
    """Rows per step."""
    return int(train["per_device_train_batch_size"] * train.get("gradient_accumulation_steps", 1))
