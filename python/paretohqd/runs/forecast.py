"""How long a run will take, estimated once its first training steps have shown the speed."""

from __future__ import annotations

import math
import time
from collections.abc import Callable

import polars as pl

from paretohqd.plots.progress import Advance, Screen, duration
from paretohqd.runs import config, layout, sections
from paretohqd.trainers.settings import merged
from paretohqd.trainers.sft import DEFAULTS

PASSES_PER_SAMPLED_TOKEN = 0.65
"""What a sampled token costs in trained tokens, roughly: 0.55 in the quickstart in bfloat16 on two
Zen 4 cores; more in float32."""

TOKENS_PER_CHARACTER = 0.25


class Forecast:
    """Counts the work of a run in tokens and turns it into minutes."""

    def __init__(self, settings: config.Config, preferences: int, screen: Screen) -> None:
        """Take the settings and the number of preferences."""
        self._settings, self._preferences, self._screen = settings, preferences, screen
        self._estimated = False
        self._finished: set[str] = set()

    def finished(self, stage: str) -> None:
        """A stage of the run folder is done, now or before."""
        self._finished.add(stage)

    def watch(self, rows: pl.DataFrame, advance: Advance) -> Callable[[int, int], None]:
        """Pass a trainer's progress on, and say the estimate after its second step."""
        marks: list[float] = []

        def on_step(done: int, total: int) -> None:
            advance(done, total)
            marks.append(time.monotonic())
            if not self._estimated and len(marks) == 2:
                self._estimated = True
                self._estimate(marks[1] - marks[0], rows)

        return on_step

    def _estimate(self, seconds_per_step: float, rows: pl.DataFrame) -> None:
        settings = self._settings
        texts = pl.col("prompt").str.len_chars() + pl.col("response").str.len_chars()
        per_row = float(rows.select(texts.mean()).item()) * TOKENS_PER_CHARACTER + 30
        chosen = settings.selection
        kinds = {1: merged(DEFAULTS, settings.train)}
        kinds[2] = merged(kinds[1], settings.train_stage2)
        sizes = {1: chosen.k, 2: chosen.k_stage2 or max(1, chosen.k // 2)}
        batch = _batch(kinds[1])
        per_token = seconds_per_step / (batch * per_row)
        spec, P = settings.generation, self._preferences
        corners = min(P, len(settings.objectives) + 1)
        held_out = settings.evaluation.prompts or settings.data.held_out
        answered = {layout.answers(model) for model in layout.models(settings.stages, P)}
        answers = held_out * len(answered - self._finished)
        steps = 0
        for stage in range(1, settings.stages + 1):
            left = {layout.fit(stage, i) for i in range(P)} - self._finished
            steps += len(left) * _steps(kinds[stage], sizes[stage])
        if settings.stages == 2:
            made = {layout.generate(i) for i in range(P)} & self._finished
            answers += spec.prompts * max(0, corners - len(made))
        training = steps * seconds_per_step
        sampling = answers * spec.max_new_tokens * PASSES_PER_SAMPLED_TOKEN * per_token
        self._screen.line(
            f"estimate: about {duration(training + sampling)} to go ({duration(training)} for "
            f"{steps} training steps at {seconds_per_step:.1f} s, {duration(sampling)} for "
            f"{answers} sampled answers)"
        )


def _batch(train: sections.Options) -> int:
    return int(train["per_device_train_batch_size"] * train.get("gradient_accumulation_steps", 1))


def _steps(train: sections.Options, rows: int) -> int:
    """Steps of a training: given as such, or passes over its rows (3 of them is the trainer's)."""
    if train.get("max_steps", -1) > 0:
        return int(train["max_steps"])
    epochs = float(train.get("num_train_epochs", 3))
    return math.ceil(epochs * math.ceil(rows / _batch(train)))
