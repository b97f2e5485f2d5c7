"""What libraries warn of is kept in a file and counted on the screen, never lost."""

from __future__ import annotations

import json
import logging
import warnings
from pathlib import Path

import polars as pl
import pytest

from helpers.small_fit import Load, fit
from helpers.small_run import do, settings
from paretohqd.exceptions import WARNINGS
from paretohqd.models.library_calls import LIBRARIES, kept, without_bars
from paretohqd.runs.folder import RunFolder
from paretohqd.selection.same_rows import SameRowsWarning


def warn() -> None:
    warnings.warn("a row\nwas odd", UserWarning, stacklevel=2)
    logging.getLogger("trl.trainer").warning("%d rows were odd", 3)
    logging.getLogger("transformers.models").info("nothing")


def test_each_text_is_kept_once_with_its_number(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "there" / "warnings.txt"
    with kept(file) as caught, without_bars():
        for _ in range(3):
            warn()
        warnings.warn("for developers", DeprecationWarning, stacklevel=2)
    assert len(caught) == 2
    assert file.read_text().splitlines() == [
        "3 x UserWarning: a row was odd",
        "3 x trl.trainer: 3 rows were odd",
    ]
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("name", LIBRARIES)
def test_the_loggers_are_as_they_were(name: str, tmp_path: Path) -> None:
    logger = logging.getLogger(name)
    before = (list(logger.handlers), logger.propagate, logger.level, warnings.showwarning)
    with kept(tmp_path / "w.txt"):
        logger.warning("here")
    assert (list(logger.handlers), logger.propagate, logger.level, warnings.showwarning) == before
    assert (tmp_path / "w.txt").read_text() == f"1 x {name}: here\n"


def test_the_outermost_keeps_them(tmp_path: Path) -> None:
    with kept(tmp_path / "outer"), kept(tmp_path / "inner"):
        warn()
    assert (tmp_path / "outer").exists()
    assert not (tmp_path / "inner").exists()


def test_they_are_kept_where_the_work_fails(tmp_path: Path) -> None:
    def fail() -> None:
        with kept(tmp_path / "w.txt"):
            warn()
            raise OSError

    with pytest.raises(OSError):  # noqa: PT011
        fail()
    assert "was odd" in (tmp_path / "w.txt").read_text()
    with kept(tmp_path / "w.txt"):
        pass
    assert not (tmp_path / "w.txt").exists(), "of an earlier attempt"


def test_without_a_file_they_are_the_callers(recwarn: pytest.WarningsRecorder) -> None:
    with without_bars():
        warn()
    assert [str(one.message) for one in recwarn] == ["a row\nwas odd"]


def test_nothing_depends_on_a_stages_warnings(tmp_path: Path) -> None:
    lines: list[str] = []

    def work(out: Path, loud: bool) -> None:
        (out / "a").write_text("x")
        if loud:
            warn()

    digests = []
    for loud in (True, False):
        run = RunFolder(tmp_path / str(loud), report=lines.append, watch=kept)
        result = run.stage("one", lambda out, loud=loud: work(out, loud), settings={})
        assert result is not None
        digests.append(result.digest)
        run.close()
    assert digests[0] == digests[1]
    assert lines[0].endswith(" s, warnings of libraries: 2 in warnings.txt")
    assert lines[1].endswith(" s")
    assert len((tmp_path / "True" / "one" / WARNINGS).read_text().splitlines()) == 2
    (tmp_path / "True" / "one" / WARNINGS).unlink()
    again = RunFolder(tmp_path / "True", report=lines.append, watch=kept)
    again.stage("one", lambda out: work(out, True), settings={})
    again.close()
    assert lines[2] == "one: done before"


def test_a_trainer_says_what_it_does_not_like(
    load: Load, rows: pl.DataFrame, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    fit(load, rows, tmp_path / "warned", train={"label_smoothing_factor": 0.1})
    assert "label_smoothing_factor" in (tmp_path / "warned" / WARNINGS).read_text()
    fit(load, rows, tmp_path / "plain")
    assert not (tmp_path / "plain" / WARNINGS).exists(), "nothing is said where nothing is odd"
    assert capfd.readouterr() == ("", "")


def test_a_run_counts_them_and_its_results_are_the_same(parts: Path, tmp_path: Path) -> None:
    """Also without a single logged step."""
    run = tmp_path / "run"
    chosen = settings(
        parts,
        str(run),
        stages=1,
        preferences=2,
        train__label_smoothing_factor=0.1,
        train__logging_steps=100,
    )
    lines = do(chosen)
    notes = [line for line in lines if "warnings of libraries: 1 in warnings.txt" in line]
    assert [line.split(":")[0] for line in notes] == ["stage1/fit/00", "stage1/fit/01"]
    manifest = json.loads((run / "stage1" / "fit" / "00" / "manifest.json").read_text())
    assert WARNINGS not in manifest["files"]
    assert "stage1/fit/00: done before" in do(chosen)


def test_that_preferences_get_the_same_rows_stays_on_the_screen(tmp_path: Path) -> None:
    def work() -> None:
        with kept(tmp_path / "w.txt") as caught:
            warnings.warn("the same rows", SameRowsWarning, stacklevel=1)
            warn()
        assert len(caught) == 2

    with pytest.warns(SameRowsWarning, match="the same"):
        work()
