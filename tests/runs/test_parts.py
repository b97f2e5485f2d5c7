"""What a stage has done is kept while it goes on, and is not done again."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from polars.testing import assert_frame_equal

from helpers.small_run import do, settings
from helpers.tiny import load_tiny, sentences
from paretohqd.models import sampling
from paretohqd.models.spec import Sampling
from paretohqd.rewards import networks
from paretohqd.rewards.classifier import ClassifierReward
from paretohqd.runs import parts
from paretohqd.runs.parts import Parts, remove_parts
from paretohqd.runs.scoring import blocks_in, blocks_of, score_in_parts

SCHEMA: dict[str, Any] = {"row": pl.Int64, "x": pl.Float64}


def rows(*numbers: int) -> pl.DataFrame:
    return pl.DataFrame({"row": numbers, "x": [n / 2 for n in numbers]}, schema=SCHEMA)


@pytest.mark.parametrize("most", [1, 3, 100])
def test_kept_rows_are_found_again(
    most: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parts, "MOST_ROWS", most)
    kept = Parts(tmp_path, "x")
    for numbers in ([4, 2], [0], [3, 1]):
        kept.add(rows(*numbers))
    assert_frame_equal(kept.frame(SCHEMA), rows(0, 1, 2, 3, 4))
    written = {1: {0, 1, 2, 3, 4}, 3: {0, 2, 4}, 100: set()}[most]
    (tmp_path / "parts-x" / ".00009.parquet.new").write_bytes(b"torn")
    again = Parts(tmp_path, "x")
    assert set(np.flatnonzero(again.done(5))) == written
    again.add(rows(*({0, 1, 2, 3, 4} - written)))
    assert_frame_equal(again.frame(SCHEMA), rows(0, 1, 2, 3, 4))
    remove_parts(tmp_path)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("numbers", "bad"), [((0, 1, 3), 2), ((0, 1, 1, 2, 3), 1), ((0, 1, 2), 3), ((0, 1, 2, 3, 4), 4)]
)
def test_rows_that_are_missing_or_there_twice_are_no_result(
    numbers: tuple[int, ...], bad: int, tmp_path: Path
) -> None:
    kept = Parts(tmp_path, "x")
    kept.done(4)
    kept.add(rows(*numbers))
    with pytest.raises(ValueError, match=rf"first: row {bad}\): delete this folder"):
        kept.frame(SCHEMA)


@pytest.mark.parametrize("sizes", [(2, 3), (3, 2), (4, 7), (7, 4), (1, 24), (24, 1)])
def test_answers_go_on_with_another_batch_size(
    sizes: tuple[int, int], causal: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, tokenizer = load_tiny(causal)
    prompts = sentences()[:12]

    def made(size: int, kept: Parts | None = None) -> pl.DataFrame:
        how = Sampling(max_new_tokens=4, batch_size=size)
        return sampling.generate(
            model, tokenizer, prompts, seed=1, samples=2, sampling=how, kept=kept
        )

    monkeypatch.setattr(parts, "MOST_ROWS", 1)
    whole, real = made(sizes[1]), sampling.decode_batch
    for most in range(1, 1 + 12 // max(1, sizes[0] // 2)):
        work, calls = tmp_path / str(most), [0]
        work.mkdir()

        def killed(*args: Any, most: int = most, calls: list[int] = calls, **more: Any) -> Any:
            calls[0] += 1
            if calls[0] > most:
                raise KeyboardInterrupt
            return real(*args, **more)

        monkeypatch.setattr(sampling, "decode_batch", killed)
        with suppress(KeyboardInterrupt):
            made(sizes[0], Parts(work, "answers"))
        monkeypatch.setattr(sampling, "decode_batch", real)
        assert_frame_equal(made(sizes[1], Parts(work, "answers")), whole)


@pytest.mark.parametrize("sizes", [(3, 8), (8, 3), (1, 64), (64, 5)])
def test_scores_go_on_with_another_batch_size(
    sizes: tuple[int, int], parts_of_a_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parts, "MOST_ROWS", 1)
    frame = answers(60)

    def made(size: int, work: Path, most: int = 10**9) -> pl.DataFrame:
        work.mkdir(exist_ok=True)
        model = ClassifierReward(
            name="kind", model=str(parts_of_a_run / "kind"), device="cpu", batch_size=size
        )
        calls, real = [0], networks.Network.logits

        def logits(*args: Any) -> Any:
            calls[0] += 1
            if calls[0] > most:
                raise KeyboardInterrupt
            return real(*args)

        with monkeypatch.context() as patched:
            patched.setattr(networks.Network, "logits", logits)
            return score_in_parts(blocks_of(frame), len(frame), [model], work)

    whole = made(sizes[1], tmp_path / "whole")
    for most in (1, 2, 5):
        with suppress(KeyboardInterrupt):
            made(sizes[0], tmp_path / str(most), most)
        again = made(sizes[1], tmp_path / str(most))
        np.testing.assert_allclose(again["kind"], whole["kind"], rtol=1e-5, atol=1e-6)


def test_rows_are_written_after_a_minute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    monkeypatch.setattr(parts.time, "monotonic", lambda: now[0])
    kept = Parts(tmp_path, "x")
    for second in (0, 59, 60, 61, 119, 120):
        now[0] = float(second)
        kept.add(rows(second))
    assert set(np.flatnonzero(Parts(tmp_path, "x").done(121))) == {0, 59, 60, 61, 119, 120}
    assert len(list((tmp_path / "parts-x").iterdir())) == 2


class Counted:
    """A reward that notes the rows that it is given, and fails at some."""

    def __init__(self, name: str, fail_at: int | None = None) -> None:
        self.name, self.fail_at, self.seen = name, fail_at, 0

    def score(self, prompts: Sequence[str], responses: Sequence[str]) -> np.ndarray:
        if self.fail_at is not None and self.seen >= self.fail_at:
            raise KeyboardInterrupt
        self.seen += len(prompts)
        return np.array([float(len(text)) for text in responses])

    def manifest(self) -> dict[str, Any]:
        return {}


def answers(n: int) -> pl.DataFrame:
    texts = sentences()
    return pl.DataFrame(
        {
            "prompt": [texts[i * 7 % 588] for i in range(n)],
            "response": [texts[i * 31 % 588] * (1 + i % 5) for i in range(n)],
        }
    )


@pytest.mark.parametrize("file", [False, True])
def test_scores_go_on_where_they_were(
    file: bool, parts_of_a_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parts, "MOST_ROWS", 512)
    monkeypatch.setattr("paretohqd.runs.scoring.BLOCK", 700)
    frame = answers(1500)
    frame.write_parquet(tmp_path / "rows.parquet")
    blocks = blocks_in(tmp_path / "rows.parquet") if file else blocks_of(frame)
    model = ClassifierReward(name="kind", model=str(parts_of_a_run / "kind"), device="cpu")

    def made(work: str, fail_at: int | None) -> tuple[pl.DataFrame, int]:
        (tmp_path / work).mkdir(exist_ok=True)
        own = Counted("own", fail_at)
        scores = score_in_parts(blocks, len(frame), [own, model], tmp_path / work)
        return scores, own.seen

    whole, seen = made("whole", None)
    assert seen == 1500
    assert whole.columns == ["own", "kind"]
    with pytest.raises(KeyboardInterrupt):
        made("killed", 900)
    again, seen = made("killed", None)
    assert seen == 1500 - 512
    assert_frame_equal(again, whole, check_exact=True)
    # What was there before is the same scores as of all rows at once, to rounding.
    once = model.score(frame["prompt"].to_list(), frame["response"].to_list())
    np.testing.assert_allclose(whole["kind"], once, rtol=1e-5, atol=1e-6)


@pytest.fixture
def parts_of_a_run(request: pytest.FixtureRequest) -> Path:
    folder: Path = request.getfixturevalue("parts")
    return folder


def test_progress_and_rows_in_messages(tmp_path: Path) -> None:
    told: list[tuple[int, int]] = []
    frame = answers(600)
    score_in_parts(
        blocks_of(frame),
        600,
        [Counted("a"), Counted("b")],
        tmp_path,
        progress=lambda *counts: told.append(counts),
    )
    assert told[-1] == (1200, 1200)
    assert len(told) == 6
    blank = frame.with_columns(
        response=pl.when(pl.int_range(pl.len()) == 515).then(pl.lit(" ")).otherwise("response")
    )
    remove_parts(tmp_path)
    with pytest.raises(ValueError, match=r"in row 3: .* \(rows counted from row 512 on\)"):
        score_in_parts(blocks_of(blank), 600, [Counted("a")], tmp_path, progress=None)


def test_a_run_killed_in_the_middle_of_a_stage(
    parts_of_a_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    more = {"preferences": 2, "train__max_steps": 1, "generation__batch_size": 2}
    do(settings(parts_of_a_run, str(tmp_path / "whole"), **more))
    monkeypatch.setattr(parts, "MOST_ROWS", 2)
    real: Callable[..., pl.DataFrame] = sampling.decode_batch
    calls = [0]

    def stopped(*args: Any, **named: Any) -> pl.DataFrame:
        calls[0] += 1
        if calls[0] == 4:
            raise KeyboardInterrupt
        return real(*args, **named)

    killed = settings(parts_of_a_run, str(tmp_path / "killed"), **more)
    monkeypatch.setattr(sampling, "decode_batch", stopped)
    for _ in range(2):
        calls[0] = 0
        with pytest.raises(KeyboardInterrupt):
            do(killed)
    monkeypatch.setattr(sampling, "decode_batch", real)
    do(killed)
    for name in ("stage2/score/scored.parquet", "answers/base/answers.parquet"):
        one, other = (pl.read_parquet(tmp_path / run / name) for run in ("whole", "killed"))
        assert_frame_equal(one, other, check_exact=True)
    assert not list((tmp_path / "killed").rglob("parts-*"))


def test_a_model_scores_whole_batches_and_leaves_out_what_is_kept(
    parts_of_a_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rows of one length meet in a whole block; a stopped work goes on with the same batches."""
    monkeypatch.setattr(parts, "MOST_ROWS", 200)
    sizes: list[int] = []
    logits = networks.Network.logits
    stop_at = [10**9]

    def counted(network: networks.Network, batch: Any) -> Any:
        if len(sizes) >= stop_at[0]:
            raise KeyboardInterrupt
        sizes.append(len(batch["input_ids"]))
        return logits(network, batch)

    monkeypatch.setattr(networks.Network, "logits", counted)
    frame = answers(1500)

    def made(work: str) -> pl.DataFrame:
        (tmp_path / work).mkdir(exist_ok=True)
        model = ClassifierReward(name="kind", model=str(parts_of_a_run / "kind"), device="cpu")
        return score_in_parts(blocks_of(frame), len(frame), [model], tmp_path / work)

    whole = made("whole")
    distinct = len(frame.unique())
    assert sum(sizes) == distinct
    pieces = distinct / len(sizes)
    passes, stop_at[0] = len(sizes), len(sizes) // 2
    sizes.clear()
    with pytest.raises(KeyboardInterrupt):
        made("stopped")
    stop_at[0], before = 10**9, len(sizes)
    sizes.clear()
    assert_frame_equal(made("stopped"), whole, check_exact=True)
    assert passes - before <= len(sizes) < passes

    assert pieces > 5
