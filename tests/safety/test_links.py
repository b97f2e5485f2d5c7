"""Links in run folders that somebody else made: nothing that they lead to is changed or removed.

Each attack is a place in a run folder and what lies there in place of the run's own: a link to a
file, to a folder, to nothing, a pipe, .. The victims stay as they are to the byte, and the folder
is refused. A row of a table is one more attack.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from helpers.planted import (
    SECRET,
    Link,
    begun,
    plant,
    relative,
    snapshot,
    snapshot_of_links,
    to_a_link,
    to_file,
    to_folder,
    to_itself,
    to_nothing,
    to_the_run,
)
from paretohqd.runs import failures, trusted
from paretohqd.runs.folder import RunFolder
from paretohqd.runs.locking import lock_folder

LINKS = (to_file, to_folder, to_nothing, to_a_link, relative, to_itself, to_the_run)

PLACES = (
    ".lock",
    ".hashes",
    ".hashes/0.json",
    ".hashes/clock",
    ".run.json.new",
    "run.json",
    "config.yaml",
    "machine.json",
    "template.json",
    "checked.json",
    "facts.json",
    "error.txt",
    "report.html",
    "data",
    "data.work",
    "data/pool.parquet",
    "stage1",
    "stage1/score",
    "stage1/score.work",
    "stage1/score.work/.key",
    "stage1/score.work/scored.parquet",
    "stage1/score.work/manifest.json",
    "stage1/fit/00.work/checkpoints",
    "stage1/fit/00/adapter/adapter_model.safetensors",
    "evaluate",
    "evaluate/base/answers.parquet",
    "superseded",
    "superseded/stage1",
    "a name of nobody's",
)


@pytest.mark.parametrize("link", LINKS, ids=lambda link: link.__name__)
@pytest.mark.parametrize("place", PLACES)
def test_a_run_folder_with_a_link_is_refused_and_left_alone(
    place: str, link: Link, tmp_path: Path, victims: Path
) -> None:
    run = begun(tmp_path / "run")
    planted = plant(run, place, link, victims)
    before = snapshot_of_links(run)
    with pytest.raises(ValueError, match="is a link") as error, failures.recorded(run):
        RunFolder(run)
    assert str(planted) in str(error.value)
    assert snapshot_of_links(run) == before, "not even an error is written there"


@pytest.mark.parametrize("link", LINKS[:6], ids=lambda link: link.__name__)
def test_a_run_folder_that_is_a_link_is_refused(link: Link, tmp_path: Path, victims: Path) -> None:
    link(tmp_path / "run", victims)
    with pytest.raises(ValueError, match="is a link"), failures.recorded(tmp_path / "run"):
        RunFolder(tmp_path / "run")


def test_a_run_that_is_reached_by_a_link_of_its_name_is_refused(tmp_path: Path) -> None:
    run = begun(tmp_path / "run")
    (tmp_path / "linked").symlink_to(run)
    before = snapshot(run)
    with pytest.raises(ValueError, match="name what it leads to"):
        RunFolder(tmp_path / "linked")
    with pytest.raises(KeyError), failures.recorded(tmp_path / "linked"):
        raise KeyError("x")
    assert snapshot(run) == before


@pytest.mark.parametrize("place", ["stage1", "stage1/score", "stage1/score.work", "superseded"])
def test_a_link_that_comes_while_a_run_is_open_is_not_followed(
    place: str, tmp_path: Path, victims: Path
) -> None:
    begun(tmp_path / "run")
    run = RunFolder(tmp_path / "run")
    plant(run.folder, place, to_folder, victims)
    with pytest.raises(ValueError, match="is a link"):
        run.stage("stage1/score", lambda out: None, settings={"k": 2})
    run.close()


@pytest.mark.parametrize("name", ["../escaped", "stage1/../../escaped"])
def test_a_stage_cannot_lie_outside(name: str, tmp_path: Path) -> None:
    run = RunFolder(tmp_path / "run")
    with pytest.raises(ValueError, match="leads out of"):
        run.stage(name, lambda out: None, settings={})
    run.close()
    assert [path.name for path in tmp_path.iterdir()] == ["run"]


def test_a_pipe_in_a_run_folder_stops_nobody(tmp_path: Path) -> None:
    run = begun(tmp_path / "run")
    for place in ("config.yaml", "stage1/score/pipe"):
        os.mkfifo(run / place)
        with pytest.raises(ValueError, match="neither a file nor a folder"):
            RunFolder(run)
        (run / place).unlink()


def test_the_lock_keeps_its_content(tmp_path: Path, victims: Path) -> None:
    (tmp_path / ".lock").write_text(SECRET)
    held = lock_folder(tmp_path)
    assert held is not None
    held.release()
    assert (tmp_path / ".lock").read_text() == SECRET
    plant(tmp_path, ".lock", to_file, victims)
    with pytest.raises(ValueError, match="is a link"):
        lock_folder(tmp_path)


@pytest.mark.parametrize("kept", [True, False], ids=["same key", "another key"])
def test_files_with_a_second_name_are_not_written_into(
    kept: bool, tmp_path: Path, victims: Path
) -> None:
    """As in a copy of hard links, which backups make: what is left of an attempt is begun anew."""
    lines: list[str] = []
    run = RunFolder(tmp_path / "run", report=lines.append)

    def die(out: Path) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run.stage("fit", die, settings={"k": 1})
    os.link(victims / "thesis.txt", run.folder / "fit.work" / "log.json")

    def work(out: Path) -> None:
        (out / "log.json").write_text("of the run")

    run.stage("fit", work, settings={"k": 1 if kept else 2})
    assert (run.folder / "fit" / "log.json").read_text() == "of the run"
    assert lines[0].endswith("begun anew") == kept
    run.close()


def test_the_run_of_another_user_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = begun(tmp_path / "run")
    before, me = snapshot(run), os.geteuid()
    monkeypatch.setattr(trusted, "_keeps_owners", lambda folder: True)
    for user in (me + 1, 0):  # root too: the owner could change it at any time
        monkeypatch.setattr(os, "geteuid", lambda user=user: user)
        if user == me:
            continue
        with pytest.raises(ValueError, match="belongs to another user, who could lead elsewhere"):
            RunFolder(run)
    assert snapshot(run) == before


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root gives away")
@pytest.mark.parametrize("place", [".", "stage1", "run.json", "stage1/score/a"])
def test_what_belongs_to_another_user_is_refused_by_root(place: str, tmp_path: Path) -> None:
    run = begun(tmp_path / "run")
    os.chown(run / place, 12345, 12345)
    with pytest.raises(ValueError, match="belongs to another user"):
        RunFolder(run)


@pytest.mark.parametrize("mode", [0o020, 0o002, 0o022], ids=oct)
@pytest.mark.parametrize("place", [".", "stage1", "run.json", "stage1/score/a"])
def test_what_others_may_write_is_refused(place: str, mode: int, tmp_path: Path) -> None:
    run = begun(tmp_path / "run")
    (run / place).chmod((run / place).stat().st_mode | mode)
    with pytest.raises(ValueError, match=r"can be written by other users.*chmod -R go-w"):
        RunFolder(run)
    (run / place).chmod((run / place).stat().st_mode & ~0o022)
    RunFolder(run).close()


def test_a_file_system_without_owners_cannot_be_judged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Some mounts say the same owner and mode of everything: ours are no better there."""
    run = begun(tmp_path / "run")
    lstat, me = os.lstat, os.geteuid()

    def same(path: Any, **more: Any) -> os.stat_result:
        status = list(lstat(path, **more))
        status[0] |= 0o777
        return os.stat_result(status)

    monkeypatch.setattr(os, "lstat", same)
    monkeypatch.setattr(Path, "lstat", lambda path: same(path))
    RunFolder(run).close()
    monkeypatch.undo()
    assert os.geteuid() == me
    assert not list(run.glob(".tmp*")), "what was tried out is gone"
