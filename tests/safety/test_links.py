"""Links in folders that somebody else made: no command changes, removes or shows what they lead to.

Each attack is a place in a run folder, what lies there in place of the run's own (a link to a
file, to a folder, to nothing, a pipe, ..), and a command. The victims stay as they are to the byte,
and the command ends in a refusal. A row of a table is one more attack.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import yaml

from helpers.finished_run import GRIDS, make_run
from helpers.small_run import mapping
from helpers.world import FRAME
from paretohqd.cli import main
from paretohqd.frames.sources import Source
from paretohqd.frames.writing import write_text
from paretohqd.runs import failures, trusted
from paretohqd.runs.folder import RunFolder
from paretohqd.runs.locking import lock_folder

SECRET = "a key that nobody else should see"


@pytest.fixture
def victims(tmp_path: Path) -> Iterator[Path]:
    """A folder outside of all runs, which must be the same afterwards."""
    home = tmp_path / "victims"
    (home / "stage" / "score.work").mkdir(parents=True)
    (home / "thesis.txt").write_text(SECRET)
    (home / "stage" / "score.work" / "work.txt").write_text(SECRET)
    before = snapshot(home)
    yield home
    assert snapshot(home) == before


def snapshot(home: Path) -> dict[str, Any]:
    """All that there is, with contents, modes and times of change."""
    return {
        path.relative_to(home).as_posix(): (
            (status := path.lstat()).st_mode,
            status.st_mtime_ns,
            path.read_bytes() if path.is_file() else sorted(os.listdir(path)),
        )
        for path in [home, *home.rglob("*")]
    }


def to_file(place: Path, victims: Path) -> None:
    place.symlink_to(victims / "thesis.txt")


def to_folder(place: Path, victims: Path) -> None:
    place.symlink_to(victims / "stage")


def to_nothing(place: Path, victims: Path) -> None:
    place.symlink_to(victims / "made-by-the-attack")


def to_a_link(place: Path, victims: Path) -> None:
    between = victims.parent / "between"
    between.symlink_to(victims / "thesis.txt")
    place.symlink_to(between)


def relative(place: Path, victims: Path) -> None:
    place.symlink_to(os.path.relpath(victims / "stage", place.parent))


def to_itself(place: Path, victims: Path) -> None:
    place.symlink_to(place.name)


def to_the_run(place: Path, victims: Path) -> None:
    place.symlink_to(".")


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


def begun(run: Path) -> Path:
    """A run folder with a finished stage, as one that was killed leaves it."""
    with_stage = RunFolder(run)
    with_stage.stage("stage1/score", lambda out: (out / "a").write_text("x") and None, settings={})
    with_stage.close()
    return run


def plant(run: Path, place: str, link: Callable[[Path, Path], None], victims: Path) -> Path:
    """Put a link in the place of what may be there."""
    path = run / place
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    path.unlink(missing_ok=True)
    link(path, victims)
    return path


@pytest.mark.parametrize("link", LINKS, ids=lambda link: link.__name__)
@pytest.mark.parametrize("place", PLACES)
def test_a_run_folder_with_a_link_is_refused_and_left_alone(
    place: str, link: Callable[[Path, Path], None], tmp_path: Path, victims: Path
) -> None:
    run = begun(tmp_path / "run")
    planted = plant(run, place, link, victims)
    before = snapshot_of_links(run)
    with pytest.raises(ValueError, match="is a link") as error, failures.recorded(run):
        RunFolder(run)
    assert str(planted) in str(error.value)
    assert snapshot_of_links(run) == before, "not even an error is written there"


def snapshot_of_links(run: Path) -> dict[str, Any]:
    return {
        path.relative_to(run).as_posix(): os.readlink(path)
        if path.is_symlink()
        else path.read_bytes()
        if path.is_file()
        else None
        for path in run.rglob("*")
    }


@pytest.mark.parametrize("link", LINKS[:6], ids=lambda link: link.__name__)
def test_a_run_folder_that_is_a_link_is_refused(
    link: Callable[[Path, Path], None], tmp_path: Path, victims: Path
) -> None:
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
    held.close()
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


# Commands, whole.


@pytest.fixture
def finished(tmp_path: Path) -> Path:
    return make_run(tmp_path / "run", *GRIDS["two-3"])


SHOWN = (
    "config.yaml",
    "facts.json",
    "evaluate",
    "evaluate/summary",
    "evaluate/summary/metrics.json",
    "evaluate/base/answers.parquet",
    "stage1",
    "stage1/select/selection.parquet",
    "stage1/fit/00/log.json",
    "report.html",
)


@pytest.mark.parametrize("place", SHOWN)
@pytest.mark.parametrize("link", [to_file, to_folder], ids=lambda link: link.__name__)
def test_a_report_shows_nothing_from_outside(
    place: str,
    link: Callable[[Path, Path], None],
    finished: Path,
    victims: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    page = finished / "report.html"
    plant(finished, place, link, victims)
    assert main.main(["report", str(finished)]) == 1
    assert "is a link" in capsys.readouterr().err
    assert page.is_symlink() or not page.exists()


def test_a_report_of_a_link_is_refused(
    finished: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "linked").symlink_to(finished)
    assert main.main(["report", str(tmp_path / "linked")]) == 1
    assert "is a link" in capsys.readouterr().err


@pytest.mark.parametrize("key", ["../victims/stage", "/etc", "answers/../../victims"])
def test_a_comparison_cannot_name_answers_outside(
    key: str, tmp_path: Path, victims: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = tmp_path / "run"
    run.mkdir()
    policy = {"weights": [1.0, 0.0], "answers": key}
    method = {"method": "x", "kind": "sft", "budget": "own", "seed": 0, "error": None}
    results = {
        "objectives": ["a", "b"],
        "preferences": [[1.0, 0.0]],
        "bounds": {"a": [0.0, 1.0], "b": [0.0, 1.0]},
        "reference": "x",
        "runs": [{**method, "policies": [policy]}],
    }
    (run / "results.json").write_text(json.dumps(results))
    assert main.main(["report", str(run)]) == 1
    assert f"leads out of {run}" in capsys.readouterr().err
    assert not (run / "report.html").exists()


@pytest.mark.parametrize("command", ["run", "compare"])
@pytest.mark.parametrize("place", [".lock", "stage1", "data.work", "config.yaml", "error.txt"])
def test_commands_refuse_and_leave_alone(
    command: str,
    place: str,
    parts: Path,
    tmp_path: Path,
    victims: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    run = begun(tmp_path / "run")
    link = to_folder if place in ("stage1", "data.work") else to_file
    plant(run, place, link, victims)
    file = tmp_path / "stranger.yaml"
    more = {"methods": ["base"]} if command == "compare" else {}
    file.write_text(yaml.safe_dump(mapping(parts, "x", **more)))
    before = snapshot_of_links(run)
    assert main.main([command, str(file), "--run", str(run)]) == 1
    assert "is a link" in capsys.readouterr().err
    assert snapshot_of_links(run) == before


OUTPUTS = {
    "select": ["select", "ROWS", "--objectives", "a,b", "-k", "2", "--preferences", "3", "-o"],
    "layers": ["layers", "ROWS", "--objectives", "a,b", "-o"],
    "score": ["score", "ROWS", "--reward", "kind=embedded:harmless", "-o"],
    "a picture": [
        *["select", "ROWS", "--objectives", "a,b", "-k", "2", "--preferences", "3", "--plot"]
    ],
    "times": ["bench", "--quick", "--only", "nothing*", "-o"],
}
ENDINGS = {"a picture": ".svg", "times": ".csv"}


@pytest.mark.parametrize("words", OUTPUTS.values(), ids=OUTPUTS)
@pytest.mark.parametrize("link", [to_file, to_nothing, to_a_link], ids=lambda link: link.__name__)
def test_outputs_are_not_written_through_links(
    words: list[str],
    link: Callable[[Path, Path], None],
    tmp_path: Path,
    victims: Path,
    capsys: pytest.CaptureFixture[str],
    request: pytest.FixtureRequest,
) -> None:
    kind = next(name for name, given in OUTPUTS.items() if given is words)
    FRAME.write_parquet(tmp_path / "rows.parquet")
    out = tmp_path / f"out{ENDINGS.get(kind, '.parquet')}"
    link(out, victims)
    given = [str(tmp_path / "rows.parquet") if word == "ROWS" else word for word in words]
    assert main.main([*given, str(out)]) == 1
    said = capsys.readouterr().err
    assert "is a link" in said or kind == "times"
    assert out.is_symlink()


def test_what_stands_beside_scores_is_no_link_either(
    tmp_path: Path, victims: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    FRAME.write_parquet(tmp_path / "rows.parquet")
    to_file(tmp_path / "out.parquet.manifest.json", victims)
    with pytest.raises(ValueError, match="is a link"):
        write_text(tmp_path / "out.parquet.manifest.json", "{}")


# Folders of data.


DATA = {
    "a file outside": lambda rows, out: (rows / "b.parquet").symlink_to(out / "rows.parquet"),
    "a folder outside": lambda rows, out: (rows / "deep").symlink_to(out),
    "the disk": lambda rows, out: (rows / "deep").symlink_to("/"),
    "by a folder within": lambda rows, out: (
        (rows / "in").mkdir(),
        (rows / "in" / "b.parquet").symlink_to("../../outside/rows.parquet"),
    ),
    "by a link to a link": lambda rows, out: (
        (rows / "_hidden").symlink_to(out),
        (rows / "b.parquet").symlink_to("_hidden/rows.parquet"),
    ),
}


@pytest.fixture
def rows(tmp_path: Path) -> Path:
    for name in ("rows", "outside"):
        (tmp_path / name).mkdir()
        FRAME.write_parquet(tmp_path / name / "rows.parquet")
    return tmp_path / "rows"


@pytest.mark.parametrize("attack", DATA.values(), ids=DATA)
def test_a_folder_of_data_cannot_lead_outside(
    attack: Callable[[Path, Path], Any], rows: Path, tmp_path: Path
) -> None:
    attack(rows, tmp_path / "outside")
    with pytest.raises(ValueError, match=r"leads by a link to .*, out of .*: name that by itself"):
        Source.of(rows)


@pytest.mark.parametrize("pattern", ["*.parquet", "*/*.parquet", "**/*.parquet"])
def test_a_pattern_cannot_either(pattern: str, rows: Path, tmp_path: Path) -> None:
    (rows / "b.parquet").symlink_to(tmp_path / "outside" / "rows.parquet")
    (rows / "deep").symlink_to(tmp_path / "outside")
    with pytest.raises(ValueError, match="leads by a link to"):
        Source.of(str(rows / pattern))


def test_links_that_somebody_names_are_followed(rows: Path, tmp_path: Path) -> None:
    (tmp_path / "by-hand").symlink_to(rows)
    (tmp_path / "by-hand.parquet").symlink_to(rows / "rows.parquet")
    (rows / "again.parquet").symlink_to("rows.parquet")
    for given, count in (("by-hand", 24), ("by-hand.parquet", 12), ("by-hand/*.parquet", 24)):
        assert Source.of(str(tmp_path / given)).rows() == count


def test_the_hubs_cache_is_read(tmp_path: Path) -> None:
    """Snapshots there are links to files beside them, within the folder of one repository."""
    repository = tmp_path / "datasets--someone--rows"
    snapshot = repository / "snapshots" / "0123abc"
    (snapshot / "data").mkdir(parents=True)
    (repository / "blobs").mkdir()
    FRAME.write_parquet(repository / "blobs" / "f00")
    (snapshot / "data" / "rows.parquet").symlink_to("../../../blobs/f00")
    for folder_ in (snapshot, snapshot / "data"):
        assert Source.of(folder_).rows() == len(FRAME)
    assert Source.of(str(snapshot / "**" / "*.parquet")).rows() == len(FRAME)
    pl.DataFrame({"a": [1]}).write_parquet(tmp_path / "private.parquet")
    (snapshot / "data" / "more.parquet").symlink_to(tmp_path / "private.parquet")
    with pytest.raises(ValueError, match="leads by a link to"):
        Source.of(snapshot)
