from __future__ import annotations

import io
import json
import math
from typing import Any

import polars as pl
import pytest

from paretohqd.plots import progress
from paretohqd.runs import evaluation, forecast
from paretohqd.runs.config import Config, Data, Evaluation, Generation, Objective
from paretohqd.runs.evaluation import measure, summarise

BOX = {"a": (-1.0, 4.0), "b": (0.0, 5.0)}


def answers(a: list[float], b: list[float], **more: Any) -> pl.DataFrame:
    n = len(a)
    columns = {
        "a": a,
        "b": b,
        "words": [4] * n,
        "tokens": [6] * n,
        "short": [False] * n,
        "repetitive": [False] * n,
        "echo": [False] * n,
        "finished": [True] * n,
    }
    return pl.DataFrame({**columns, **more})


@pytest.fixture
def models() -> dict[str, pl.DataFrame]:
    return {
        "base": answers([0.0, 2.0], [0.0, 2.0], words=[4, 8], finished=[True, False]),
        "stage1-00": answers([4.0, 6.0], [0.0, 0.0], short=[True, False]),
        "stage1-01": answers([1.0, 5.0], [4.0, 2.0], echo=[True, True]),
        "stage1-02": answers([0.0, 0.0], [5.0, 5.0], short=[True, False], repetitive=[True, False]),
    }


@pytest.fixture
def summary(models: dict[str, pl.DataFrame]) -> dict[str, Any]:
    return summarise(
        models,
        objectives=["a", "b"],
        preferences=[[1.0, 0.0], [0.5, 0.5], [0.0, 1.0]],
        bounds=BOX,
    )


def test_means_errors_and_gains(summary: dict[str, Any]) -> None:
    base, first, second, _ = summary["models"]
    assert (base["stage"], base["preference"], base["weights"]) == (0, None, None)
    assert base["gain"] is None
    assert (second["stage"], second["preference"], second["weights"]) == (1, 1, [0.5, 0.5])
    assert base["reward"]["a"] == {"mean": 1.0, "se": pytest.approx(1.0)}
    # 1 and 5: mean 3, standard deviation sqrt(8), error sqrt(8 / 2).
    assert second["reward"]["a"] == {"mean": 3.0, "se": pytest.approx(2.0)}
    # The same prompts: 4 - 0 and 6 - 2 gain 4 each, without any error.
    assert first["gain"]["a"] == {"mean": 4.0, "se": 0.0}
    # 4 - 0 and 2 - 2: mean 2, error sqrt(8 / 2).
    assert second["gain"]["b"] == {"mean": 2.0, "se": pytest.approx(2.0)}


def test_shares(summary: dict[str, Any]) -> None:
    base, first, second, third = summary["models"]
    assert first["collapse"] == {"short": 0.5, "repetitive": 0.0, "any": 0.5}
    assert third["collapse"] == {"short": 0.5, "repetitive": 0.5, "any": 0.5}
    assert (second["echo"], base["echo"]) == (1.0, 0.0)
    assert (base["words"], base["tokens"], base["finished"], base["n"]) == (6.0, 6.0, 0.5, 2)


def test_utility_and_hypervolume(summary: dict[str, Any]) -> None:
    # Mean points: base (1, 1), then (5, 0), (3, 3), (0, 5), in a box of (-1, 0) to (4, 5).
    assert summary["bounds"] == {"a": [-1.0, 4.0], "b": [0.0, 5.0]}
    volume, utility = summary["hypervolume"], summary["utility"]
    # (.4, .2); then (1.2, 0), (.8, .6), (.2, 1): what lies outside the box is not clipped.
    assert volume["sets"] == pytest.approx({"base": 0.08, "stage1": 0.56, "best_single": 0.48})
    assert volume["best_single_model"] == "stage1-01"
    # Asked for (1, 0), (.5, .5), (0, 1): 1.2, .7, 1; the best for all of them is .7 for each.
    assert utility["sets"] == pytest.approx({"base": 0.3, "stage1": 2.9 / 3, "best_single": 0.7})
    assert utility["best_single_model"] == "stage1-01"


def test_other_models_move_no_score(models: dict[str, pl.DataFrame]) -> None:
    given = {"objectives": ["a", "b"], "preferences": [[1, 0], [0.5, 0.5], [0, 1]], "bounds": BOX}
    before = summarise(models, **given)
    models |= {f"stage2-{i:02d}": answers([90.0, 90.0], [-40.0, -40.0]) for i in range(3)}
    after = summarise(models, **given)
    for kind in ("utility", "hypervolume"):
        for name in ("base", "stage1"):
            assert after[kind]["sets"][name] == before[kind]["sets"][name]


def test_an_objective_that_no_model_moves() -> None:
    same = answers([1.0, 1.0], [2.0, 3.0])
    found = summarise(
        {"base": same, "stage1-00": same, "stage1-01": answers([1.0, 1.0], [4.0, 4.0])},
        objectives=["a", "b"],
        preferences=[[1.0, 0.0], [0.0, 1.0]],
        bounds=BOX,
    )
    assert found["hypervolume"]["sets"]["stage1"] == pytest.approx(0.4 * 0.8)
    assert found["rank_correlation"]["stage1"]["a"] is None
    json.dumps(found, allow_nan=False)


def test_rank_correlation(summary: dict[str, Any]) -> None:
    assert summary["rank_correlation"] == {"stage1": {"a": 1.0, "b": 1.0}}


def test_two_stages(models: dict[str, pl.DataFrame]) -> None:
    models |= {f"stage2-{i:02d}": models["stage1-01"] for i in range(3)}
    found = summarise(
        models,
        objectives=["a", "b"],
        preferences=[[1, 0], [0.5, 0.5], [0, 1]],
        bounds=BOX,
    )
    assert list(found["hypervolume"]["sets"]) == ["base", "stage1", "stage2", "best_single"]
    assert found["rank_correlation"]["stage2"] == {"a": None, "b": None}


def test_one_held_out_prompt_has_no_error() -> None:
    one = {"base": answers([1.0], [1.0]), "stage1-00": answers([2.0], [0.0])}
    found = summarise(one, objectives=["a", "b"], preferences=[[0.5, 0.5]], bounds=BOX)
    assert found["models"][1]["reward"]["a"] == {"mean": 2.0, "se": None}
    text = json.dumps(found, allow_nan=False)
    assert json.loads(text) == found
    assert "2.000 (-)" in evaluation.render(found)
    assert evaluation.table(found)["a se"].to_list() == [None, None]


def test_one_held_out_prompt_decides_nothing() -> None:
    one = {
        "base": answers([1.0], [1.0]),
        "stage1-00": answers([2.0], [0.0]),
        "stage1-01": answers([0.0], [2.0]),
    }
    found = summarise(one, objectives=["a", "b"], preferences=[[1.0, 0.0], [0.0, 1.0]], bounds=BOX)
    json.dumps(found, allow_nan=False)
    assert [finding["verdict"] for finding in found["findings"]] == ["open", "open"]
    assert "a: (1, 0) cannot be told from (0, 1): +2.000 (se unknown)" in evaluation.render(found)


def test_utility_and_hypervolume_have_their_own_best_models() -> None:
    several = {
        "base": answers([0.0], [1.0]),
        "stage1-00": answers([9.0], [0.5]),
        "stage1-01": answers([2.0], [3.0]),
    }
    found = summarise(several, objectives=["a", "b"], preferences=[[1, 0], [0, 1]], bounds=BOX)
    assert found["utility"]["best_single_model"] == "stage1-00"
    assert found["utility"]["sets"]["best_single"] == pytest.approx((2.0 + 0.1) / 2)
    assert found["hypervolume"]["best_single_model"] == "stage1-01"
    assert found["hypervolume"]["sets"]["best_single"] == pytest.approx(0.6 * 0.6)


def test_json_holds_the_summary_without_nan(summary: dict[str, Any]) -> None:
    assert json.loads(json.dumps(summary, allow_nan=False)) == summary


def test_the_table_has_a_row_per_model(summary: dict[str, Any]) -> None:
    table = evaluation.table(summary)
    assert table["model"].to_list() == ["base", "stage1-00", "stage1-01", "stage1-02"]
    assert table["weights"].to_list() == ["-", "(1, 0)", "(0.5, 0.5)", "(0, 1)"]
    assert table.columns == [
        "model",
        "weights",
        "a",
        "a se",
        "a gain",
        "a gain se",
        "b",
        "b se",
        "b gain",
        "b gain se",
        "collapse short",
        "collapse repetitive",
        "collapse any",
        "echo",
        "words",
        "tokens",
        "finished",
        "n",
    ]
    assert table["a"].to_list() == [1.0, 5.0, 3.0, 0.0]
    assert table["b gain"].to_list() == [None, -1.0, 2.0, 4.0]
    assert not any(value is None for value in table["a se"])


def test_the_rendered_table(summary: dict[str, Any]) -> None:
    lines = evaluation.render(summary).splitlines()
    head = ["model", "w", "a (se)", "b (se)", "vs base (se): a", "vs base (se): b"]
    starts = [lines[0].index(name) for name in head]
    assert starts == sorted(starts)
    assert [line.split("  ")[0] for line in lines[2:6]] == list(
        ("base", "stage1-00", "stage1-01", "stage1-02")
    )
    row = lines[4]
    cells = [row[a:b].strip() for a, b in zip(starts, [*starts[1:], None], strict=True)]
    assert cells[1:5] == ["(0.5, 0.5)", "3.000 (2.000)", "3.000 (1.000)", "+2.000 (1.000)"]
    text = "\n".join(lines[6:])
    assert "on the scale of the data, a [-1, 4], b [0, 5] to [0, 1]" in text
    assert "asked for w: base 0.3   stage1 0.9667   best single (stage1-01) 0.7" in text
    assert "reference 0: base 0.08   stage1 0.56   best single (stage1-01) 0.48" in text
    assert "one training each" in text
    assert "rank correlation of weight and reward, stage1: a +1.00, b +1.00" in text


def test_measures_of_the_text() -> None:
    frame = pl.DataFrame(
        {
            "prompt": ["Tell me about tea.", "Hello", "Again?", "Hi"],
            "response": ["tell me about tea", "Yes.", "na na na na na na", ""],
        }
    )
    found = measure(frame, Evaluation())
    assert found["words"].to_list() == [4, 1, 6, 0]
    assert found["short"].to_list() == [False, True, False, True]
    assert found["repetitive"].to_list() == [False, False, True, False]
    assert found["echo"].to_list() == [True, False, False, False]
    assert found.columns == ["prompt", "response", "words", "short", "repetitive", "echo"]
    strict = measure(frame, Evaluation(min_words=5, repeats=10, distinct=0.0, echo=1.0))
    assert strict["short"].to_list() == [True, True, False, True]
    assert strict["repetitive"].to_list() == [False] * 4


def test_means_of_floats_are_plain() -> None:
    found = evaluation.mean_and_error(pl.Series([0.1, 0.2, 0.4]))
    assert found["mean"] == pytest.approx(0.7 / 3)
    deviation = math.sqrt(sum((x - 0.7 / 3) ** 2 for x in (0.1, 0.2, 0.4)) / 2)
    assert found["se"] == pytest.approx(deviation / math.sqrt(3))


# ── what a person sees ──────────────────────────────────────────────────────────────────────


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def screen() -> tuple[progress.Screen, io.StringIO]:
    file = io.StringIO()
    return progress.Screen(file=file), file


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(progress.time, "monotonic", made.monotonic)
    return made


def test_without_a_terminal_there_are_lines_only(clock: Clock) -> None:
    shown, file = screen()
    with shown.bar("fit stage1-00") as advance:
        for done in range(1, 11):
            clock.now += 12
            advance(done, 10)
    text = file.getvalue()
    assert text.splitlines() == [
        "  fit stage1-00: 3 of 10, about 1 min 24 s left",
        "  fit stage1-00: 6 of 10, about 48 s left",
        "  fit stage1-00: 9 of 10, about 12 s left",
    ]
    assert "\x1b" not in text
    assert "\r" not in text


def test_on_a_terminal_there_is_a_bar(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("NO_COLOR", raising=False)
    file = Terminal()
    shown = progress.Screen(file=file)
    with shown.bar("fit stage1-00") as advance:
        advance(3, 10)
        advance(10, 10)
    assert "fit stage1-00" in file.getvalue()
    assert "10/10" in file.getvalue()
    assert "\x1b" in file.getvalue()


def test_lines_are_not_taken_for_markup_and_not_wrapped() -> None:
    shown, file = screen()
    text = "selection.k: [1, 2] -> [bold]3[/bold] " + "x" * 300
    shown.line(text)
    assert file.getvalue() == text + "\n"


def test_a_silent_screen_says_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    made = progress.Screen(silent=True)
    made.line("text")
    with made.bar("what") as advance:
        advance(1, 2)
    assert capsys.readouterr() == ("", "")


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


def told(settings: Config, clock: Clock, finished: list[str], total: int = 30) -> list[str]:
    shown, file = screen()
    made = forecast.Forecast(settings, 5, shown)
    for stage in finished:
        made.finished(stage)
    for _ in range(2):
        watch = made.watch(ROWS, lambda done, total: None)
        for step in range(1, 5):
            clock.now += 2
            watch(step, total)
    return file.getvalue().splitlines()


def test_the_estimate_is_told_once(clock: Clock) -> None:
    lines = told(config(), clock, [])
    # 5 x 30 and 5 x 10 steps of 2 s; 10 held-out prompts for 11 models and 20 for 3.
    assert len(lines) == 1
    assert "(6 min 40 s for 200 training steps at 2.0 s" in lines[0]
    assert lines[0].endswith("for 170 sampled answers)")
    # A row is 80 characters, 20 tokens and 30 of the template: 2 s for 4 x 50 tokens.
    sampling = 170 * 10 * forecast.PASSES_PER_SAMPLED_TOKEN * 2 / 200
    assert f"about {progress.duration(400 + sampling)} to go" in lines[0]


def test_the_estimate_leaves_out_what_is_done(clock: Clock) -> None:
    done = [f"stage1/fit/{i:02d}" for i in range(5)] + ["stage2/fit/00"]
    done += [f"stage2/generate/{i:02d}" for i in (0, 2, 4)]
    (line,) = told(config(), clock, done)
    assert "for 40 training steps" in line
    assert "for 110 sampled answers" in line


def test_the_estimate_of_each_stage_has_its_own_length(clock: Clock) -> None:
    (line,) = told(config(train_stage2={"num_train_epochs": 1}), clock, [])
    assert "for 215 training steps" in line, "5 x 30, and 5 passes over 50 rows in batches of 4"


def test_the_estimate_counts_epochs(clock: Clock) -> None:
    settings = config(
        train={"max_steps": -1, "num_train_epochs": 2, "per_device_train_batch_size": 4}, stages=1
    )
    (line,) = told(settings, clock, [], total=50)
    assert "for 250 training steps" in line
    assert "for 60 sampled answers" in line
