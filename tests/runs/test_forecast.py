"""How long a run will take, as its first training steps show."""

from __future__ import annotations

import io
from typing import Any

import polars as pl
import pytest

from helpers.clock import Clock
from paretohqd.plots import progress
from paretohqd.runs import forecast
from paretohqd.runs.config import Config, Data, Generation, Objective


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(progress.time, "monotonic", clock.monotonic)
    return clock


def config(**more: Any) -> Config:
    return Config(
        run="run",
        data=Data(source="x.parquet", held_out=10),
        objectives=(Objective(name="a", scorer="s"), Objective(name="b", scorer="t")),
        **{
            "generation": Generation(prompts=20, max_new_tokens=10),
            "train": {"max_steps": 30, "per_device_train_batch_size": 4},
            "train_stage2": {"max_steps": 10},
            **more,
        },
    )


ROWS = pl.DataFrame({"prompt": ["p" * 40], "response": ["r" * 40]})


def forecast_lines(
    settings: Config, clock: Clock, finished: list[str], total: int = 30, workers: int = 1
) -> list[str]:
    file = io.StringIO()
    estimate = forecast.Forecast(settings, 5, progress.Screen(file=file), workers=workers)
    for stage in finished:
        estimate.finished(stage)
    for _ in range(2):
        watch = estimate.watch_training(ROWS, lambda done, total: None)
        for step in range(1, 5):
            clock.now += 2
            watch(step, total)
    return file.getvalue().splitlines()


def test_there_is_one_estimate_after_training(clock: Clock) -> None:
    lines = forecast_lines(config(), clock, [])
    # 5 x 30 and 5 x 10 steps of 2 s; 10 held-out prompts for 11 models and 20 for 3.
    assert len(lines) == 1
    assert "(6 min 40 s for 200 training steps at 2.0 s" in lines[0]
    assert lines[0].endswith("for 170 sampled answers)")
    # A row is 80 characters, 20 tokens and 30 of the template: 2 s for 4 x 50 tokens.
    sampling = 170 * 10 * forecast.PASSES_PER_SAMPLED_TOKEN["cpu"] * 2 / 200
    assert f"about {progress.duration(400 + sampling)} to go" in lines[0]


def test_processes_train_side_by_side(clock: Clock) -> None:
    (line,) = forecast_lines(config(), clock, [], workers=3)
    assert "(2 min 40 s for 200 training steps at 2.0 s" in line, "2 x 30 and 2 x 10 in turn"


def test_sampling_says_how_fast_it_is(clock: Clock) -> None:
    """Where decoding is eight times as slow as training, that is told, whatever was guessed."""
    file = io.StringIO()
    estimate = forecast.Forecast(config(), 5, progress.Screen(file=file))
    scores = estimate.watch_scores(lambda done, total: None)
    for done in (100, 200, 400):  # the first were kept before
        scores(done, 400)
        clock.now += 15 if done > 100 else 0
    training = estimate.watch_training(ROWS, lambda done, total: None)
    for step in (1, 2):
        clock.now += 2
        training(step, 30)
    for stage in range(1, 3):
        for number in range(5):
            estimate.finished(f"stage{stage}/fit/{number:02d}")
    answers = estimate.watch_answers(lambda done, total: None)
    for done in (4, 8, 12):
        answers(done, 20)
        clock.now += 4 * 8 * 2 / 4
    first, then = file.getvalue().splitlines()
    assert "for 200 training steps" in first
    # 170 answers of 4 s, and 340 scores of .05 s.
    assert then == (
        "estimate: about 11 min 37 s to go (11 min 20 s for 170 sampled answers, 17 s for 340 "
        "scores)"
    )


def test_the_estimate_leaves_out_what_is_done(clock: Clock) -> None:
    done = [f"stage1/fit/{i:02d}" for i in range(5)] + ["stage2/fit/00"]
    done += [f"stage2/generate/{i:02d}" for i in (0, 2, 4)]
    (line,) = forecast_lines(config(), clock, done)
    assert "for 40 training steps" in line
    assert "for 110 sampled answers" in line


def test_the_estimate_of_each_stage_has_its_own_length(clock: Clock) -> None:
    (line,) = forecast_lines(config(train_stage2={"num_train_epochs": 1}), clock, [])
    assert "for 215 training steps" in line, "5 x 30, and 5 passes over 50 rows in batches of 4"


def test_the_estimate_counts_epochs(clock: Clock) -> None:
    settings = config(
        train={"max_steps": -1, "num_train_epochs": 2, "per_device_train_batch_size": 4}, stages=1
    )
    (line,) = forecast_lines(settings, clock, [], total=50)
    assert "for 250 training steps" in line
    assert "for 60 sampled answers" in line
