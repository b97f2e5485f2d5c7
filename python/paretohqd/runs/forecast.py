"""How long a run will take, by the speed that its first batches have shown.

It is said once the first training has shown its steps, and again once the first sampling has shown
how fast it is: until then a guess stands in its place.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable

import polars as pl

from paretohqd.plots.progress import Advance, Screen, duration
from paretohqd.runs import config, layout, sections
from paretohqd.trainers.settings import merged
from paretohqd.trainers.sft import DEFAULTS

PASSES_PER_SAMPLED_TOKEN = {"cpu": 0.65, "cuda": 8.0}
"""A guess at what a sampled token costs in trained tokens: on two Zen 4 cores in bfloat16 the
quickstart took 0.55, more in float32; a GPU waits for each token's memory (reckoned, not measured).
"""

TOKENS_PER_CHARACTER = 0.25


class Forecast:
    """Counts the work of a run and turns it into minutes."""

    def __init__(
        self,
        settings: config.Config,
        preferences: int,
        screen: Screen,
        *,
        device: str = "cpu",
        workers: int = 1,
    ) -> None:
        """Take what there is to do.

        Args:
            settings: The run's.
            preferences: Their number.
            screen: Takes the line for people.
            device: Where models run.
            workers: Processes that train adapters side by side and share the other work.
        """
        self._settings, self._preferences, self._screen = settings, preferences, screen
        self._guess, self._workers = PASSES_PER_SAMPLED_TOKEN[device], workers
        self._finished: set[str] = set()
        self._step: float | None = None
        """Seconds of a training step."""
        self._trained_token: float | None = None
        self._answer: float | None = None
        """Seconds of a sampled answer, all workers together, as of a score."""
        self._score: float | None = None
        self._told: set[str] = set()

    def finished(self, stage: str) -> None:
        """A stage of the run folder is done, now or before."""
        self._finished.add(stage)

    def watch_training(self, rows: pl.DataFrame, advance: Advance) -> Callable[[int, int], None]:
        """Pass a trainer's progress on, and learn from the time between its first two steps."""
        marks: list[float] = []

        def on_step(done: int, total: int) -> None:
            advance(done, total)
            marks.append(time.monotonic())
            if len(marks) == 2 and self._step is None:
                self._step = marks[1] - marks[0]
                self._trained_token = self._step / (self._batch(1) * _tokens(rows))
                self._tell("training")

        return on_step

    def watch_answers(self, advance: Advance) -> Advance:
        """Pass a sampler's progress on, and learn from its first batch."""

        def learn(seconds: float) -> None:
            if self._answer is None:
                self._answer = seconds
                self._tell("sampling")

        return _watched(advance, learn)

    def watch_scores(self, advance: Advance) -> Advance:
        """Pass the progress of scoring on, and learn from all of it."""

        def learn(seconds: float) -> None:
            self._score = seconds

        return _watched(advance, learn)

    def _tell(self, after: str) -> None:
        if after in self._told:
            return
        self._told.add(after)
        parts = []
        steps, turns = self._steps_left()
        if steps and self._step is not None:
            training = f"for {steps} training steps at {self._step:.1f} s"
            parts.append((turns * self._step, training))
        answers = self._answers_left()
        if answers and (each := self._seconds_per_answer()) is not None:
            parts.append((answers * each, f"for {answers} sampled answers"))
        scores = self._answers_to_score() * len(self._settings.objectives)
        if scores and self._score is not None:
            parts.append((scores * self._score, f"for {scores} scores"))
        if parts:
            details = ", ".join(f"{duration(seconds)} {what}" for seconds, what in parts)
            whole = duration(sum(seconds for seconds, _ in parts))
            self._screen.line(f"estimate: about {whole} to go ({details})")

    def _seconds_per_answer(self) -> float | None:
        if self._answer is not None:
            return self._answer
        if self._trained_token is None:
            return None
        length = self._settings.generation.max_new_tokens
        return length * self._guess * self._trained_token / self._workers

    def _train(self, stage: int) -> sections.Options:
        first = merged(DEFAULTS, self._settings.train)
        return first if stage == 1 else merged(first, self._settings.train_stage2)

    def _batch(self, stage: int) -> int:
        train = self._train(stage)
        size = train["per_device_train_batch_size"] * train.get("gradient_accumulation_steps", 1)
        return int(size)

    def _steps_left(self) -> tuple[int, int]:
        """Steps of training, and how many of them come one after the other."""
        chosen, steps, turns = self._settings.selection, 0, 0
        sizes = {1: chosen.k, 2: chosen.k_stage2 or max(1, chosen.k // 2)}
        for stage in range(1, self._settings.stages + 1):
            fits = {layout.fit(stage, i) for i in range(self._preferences)} - self._finished
            each = _steps(self._train(stage), sizes[stage], self._batch(stage))
            steps += len(fits) * each
            turns += math.ceil(len(fits) / self._workers) * each
        return steps, turns

    def _answers_left(self) -> int:
        models = layout.models(self._settings.stages, self._preferences)
        left = {layout.answers(model) for model in models} - self._finished
        return self._held_out() * len(left) + self._candidates()

    def _answers_to_score(self) -> int:
        models = layout.models(self._settings.stages, self._preferences)
        left = {layout.evaluate(model) for model in models} - self._finished
        scored = self._settings.stages == 1 or layout.score(2) in self._finished
        candidates = 0 if scored else self._settings.generation.prompts * self._corners()
        return self._held_out() * len(left) + candidates

    def _held_out(self) -> int:
        return self._settings.evaluation.prompts or self._settings.data.held_out

    def _corners(self) -> int:
        return min(self._preferences, len(self._settings.objectives) + 1)

    def _candidates(self) -> int:
        """Answers that stage-1 models are still to give for stage 2."""
        if self._settings.stages == 1:
            return 0
        made = {layout.generate(i) for i in range(self._preferences)} & self._finished
        return self._settings.generation.prompts * max(0, self._corners() - len(made))


def _watched(advance: Advance, learn: Callable[[float], None]) -> Advance:
    """Progress passed on, and the seconds of each piece of work since it was first told."""
    first: list[tuple[float, int]] = []

    def watched(done: int, total: int) -> None:
        advance(done, total)
        now = time.monotonic()
        if not first:
            first.append((now, done))
        elif done > first[0][1]:
            learn((now - first[0][0]) / (done - first[0][1]))

    return watched


def _tokens(rows: pl.DataFrame) -> float:
    """Tokens of a row on average, about."""
    texts = pl.col("prompt").str.len_chars() + pl.col("response").str.len_chars()
    return float(rows.select(texts.mean()).item()) * TOKENS_PER_CHARACTER + 30


def _steps(train: sections.Options, rows: int, batch: int) -> int:
    """Steps of a training: given as such, or passes over its rows (3 of them is the trainer's)."""
    if train.get("max_steps", -1) > 0:
        return int(train["max_steps"])
    epochs = float(train.get("num_train_epochs", 3))
    return math.ceil(epochs * math.ceil(rows / batch))
