"""Stages are done once: skipped when finished, redone when torn or changed."""

from __future__ import annotations

import dataclasses
import json
import os
import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, BinaryIO

import polars as pl
import pytest

from helpers.stages import Work, do, flip_bit
from paretohqd.runs import folder, layout
from paretohqd.runs.folder import RunFolder
from paretohqd.runs.manifest import MANIFEST, Manifest
from paretohqd.runs.processes import Together


@pytest.fixture
def run(tmp_path: Path) -> Iterator[RunFolder]:
    run = RunFolder(tmp_path / "run")
    yield run
    run.close()


def in_python(code: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code), *arguments],
        capture_output=True,
        text=True,
        timeout=60,
    )


def test_a_finished_stage_is_skipped(run: RunFolder) -> None:
    work = Work()
    first = do(run, work)
    again = do(run, work)
    assert work.calls == 1
    assert first.path == again.path == run.folder / "stage1" / "score"
    assert first.digest == again.digest
    assert again.notes == {"rows": 3}
    assert set(again.manifest.files) == {"a.txt", "deep/b.bin"}
    assert again.manifest.versions["polars"] == pl.__version__
    assert sorted(p.name for p in first.path.iterdir()) == ["a.txt", "deep", MANIFEST]
    assert not list(run.folder.rglob("*.work"))


@pytest.mark.parametrize(
    "change", [{"settings": {"k": 2}}, {"inputs": {"data": "y"}}, {"inputs": {}}], ids=str
)
def test_a_change_redoes_the_stage_and_keeps_the_old_one(
    run: RunFolder, change: dict[str, Any]
) -> None:
    old = do(run, Work("old"))
    new = do(run, Work("new"), **change)
    assert (new.path / "a.txt").read_text() == "new"
    assert new.digest != old.digest
    kept = run.folder / "superseded" / "stage1" / "score.0"
    assert (kept / "a.txt").read_text() == "old"
    do(run, Work("third"), settings={"k": 3})
    assert (run.folder / "superseded" / "stage1" / "score.1" / "a.txt").read_text() == "new"
    assert list(run.seconds()) == ["stage1/score"], "superseded stages do not count"


def _drop_a_key(path: Path) -> None:
    manifest = json.loads(path.read_text())
    del manifest["files"]
    path.write_text(json.dumps(manifest))


TEARS: dict[str, Callable[[Path], object]] = {
    "missing file": lambda stage: (stage / "deep" / "b.bin").unlink(),
    "flipped bit": lambda stage: flip_bit(stage / "deep" / "b.bin"),
    "cut file": lambda stage: (stage / "a.txt").write_text("res"),
    "stray file": lambda stage: (stage / "c.txt").write_text("?"),
    "cut manifest": lambda stage: (stage / MANIFEST).write_text(
        (stage / MANIFEST).read_text()[:-20]
    ),
    "empty manifest": lambda stage: (stage / MANIFEST).write_text(""),
    "manifest of another kind": lambda stage: (stage / MANIFEST).write_text("[1]"),
    "manifest without files": lambda stage: _drop_a_key(stage / MANIFEST),
    "binary manifest": lambda stage: (stage / MANIFEST).write_bytes(b"\xff\xfe\x00"),
    "missing manifest": lambda stage: (stage / MANIFEST).unlink(),
}


@pytest.mark.parametrize("tear", TEARS.values(), ids=TEARS)
def test_a_torn_result_is_redone(run: RunFolder, tear: Callable[[Path], object]) -> None:
    work = Work()
    whole = do(run, work)
    tear(whole.path)
    redone = do(run, work)
    assert work.calls == 2
    assert redone.digest == whole.digest
    do(run, work)
    assert work.calls == 2


def test_a_manifest_of_old_has_no_seconds_of_the_cpu(run: RunFolder) -> None:
    work = Work()
    path = do(run, work).path / MANIFEST
    manifest = json.loads(path.read_text())
    assert list(manifest) == [field.name for field in dataclasses.fields(Manifest)]
    del manifest["cpu_seconds"]
    path.write_text(json.dumps(manifest))
    assert do(run, work).manifest.cpu_seconds is None
    assert work.calls == 1, "what was finished stays so"


def test_an_attempt_that_died_hands_its_folder_to_the_next(run: RunFolder) -> None:
    def die(out: Path) -> None:
        (out / "checkpoint").write_text("half")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        do(run, die)
    assert not (run.folder / "stage1" / "score").exists()
    seen: list[list[str]] = []

    def look(out: Path) -> None:
        seen.append(sorted(p.name for p in out.iterdir() if p.name != folder.KEY))

    with pytest.raises(KeyboardInterrupt):
        do(run, lambda out: (look(out), die(out)))
    do(run, Work(inside=look), settings={"k": 2})
    assert seen == [["checkpoint"], []]
    with pytest.raises(KeyboardInterrupt):
        do(run, die)
    result = do(run, Work(inside=look))
    assert seen[2] == ["checkpoint"]
    # What was left there and not taken away belongs to the result, and is in the manifest.
    assert set(result.manifest.files) == {"a.txt", "deep/b.bin", "checkpoint"}


def test_a_full_disk_leaves_finished_stages_and_the_attempt(
    run: RunFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    work = Work("first")
    do(run, work)
    open_new = folder.open_new

    def full(path: Path, **more: Any) -> BinaryIO:
        if path.name == MANIFEST:
            raise OSError(28, "No space left on device", str(path))
        return open_new(path, **more)

    long_work = Work("long")
    with monkeypatch.context() as patch:
        patch.setattr(folder, "open_new", full)
        with pytest.raises(OSError, match="No space left"):
            do(run, long_work, "stage1/fit")
    seen: list[bool] = []
    do(run, Work(inside=lambda out: seen.append((out / "a.txt").exists())), "stage1/fit")
    assert seen == [True], "the work done before the disk was full is there to go on with"
    do(run, work)
    assert work.calls == 1


def test_a_full_disk_for_real(tmp_path: Path) -> None:
    code = """
        import resource, signal, sys
        from pathlib import Path
        from paretohqd.runs.folder import RunFolder
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        run = RunFolder(Path(sys.argv[1]))
        run.stage("small", lambda out: (out / "a").write_text("x") and None, settings={})
        resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))
        try:
            run.stage("large", lambda out: (out / "a").write_bytes(bytes(40_000)) and None,
                      settings={})
        except OSError as error:
            print("OSError", error.errno)
    """
    done = in_python(code, str(tmp_path / "run"))
    assert done.stdout.split() == ["OSError", "27"], done.stderr
    run = RunFolder(tmp_path / "run")
    work = Work()
    assert run.stage("small", work, settings={}) is not None
    assert work.calls == 0
    run.stage("large", work, settings={})
    assert work.calls == 1
    run.close()


def test_a_folder_that_is_no_run_is_refused_and_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("years of work")
    with pytest.raises(ValueError, match="not empty and not a paretohqd run: choose another"):
        RunFolder(tmp_path)
    assert [p.name for p in tmp_path.iterdir()] == ["thesis.txt"]


@pytest.mark.parametrize("text", ["{", "[]", "{}", "3"])
def test_a_damaged_run_json_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "run.json").write_text(text)
    with pytest.raises(ValueError, match="not a paretohqd run"):
        RunFolder(tmp_path)


def test_a_run_of_another_layout_is_refused(tmp_path: Path) -> None:
    RunFolder(tmp_path / "run").close()
    (tmp_path / "run" / "run.json").write_text('{"format": 99}')
    with pytest.raises(ValueError, match=r"of another version \(layout 99, this is 1\)"):
        RunFolder(tmp_path / "run")


def test_a_run_that_was_killed_while_it_made_its_folder_can_start(tmp_path: Path) -> None:
    (tmp_path / ".lock").touch()
    (tmp_path / ".run.json.new").write_text('{"form')
    run = RunFolder(tmp_path)
    assert run.read_json("run.json")["format"] == folder.FORMAT
    run.close()


def test_a_run_in_use_by_another_process_is_refused(tmp_path: Path) -> None:
    code = """
        import sys
        from pathlib import Path
        from paretohqd.runs.folder import RunFolder
        run = RunFolder(Path(sys.argv[1]))
        print("held", flush=True)
        sys.stdin.read()
    """
    with subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(code), str(tmp_path / "run")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "held\n"
        with pytest.raises(ValueError, match="is in use by another paretohqd run"):
            RunFolder(tmp_path / "run")
        other.kill()
    RunFolder(tmp_path / "run").close()


def test_a_small_file_is_written_whole_or_not_at_all(
    run: RunFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    run.write_json("facts.json", {"a": 1})

    def broken(file: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", broken)
    with pytest.raises(OSError, match="No space"):
        run.write_json("facts.json", {"a": 2})
    assert run.read_json("facts.json") == {"a": 1}
    assert run.read_json("absent.json") is None


def test_the_lines_that_are_reported(tmp_path: Path) -> None:
    lines: list[str] = []
    run = RunFolder(tmp_path / "run", report=lines.append)
    do(run, Work())
    do(run, Work())
    run.close()
    assert lines == ["stage1/score: 0.0 s", "stage1/score: done before"]


def test_owners_divide_the_work(tmp_path: Path) -> None:
    first, second = (
        RunFolder(tmp_path / "run", processes=Together(rank, 2, lambda: None)) for rank in range(2)
    )
    work = Work()
    for number in range(4):
        made = [do(run, work, f"fit/{number}", owner=number) for run in (first, second)]
        assert [one is not None for one in made] == [number % 2 == 0, number % 2 == 1]
    assert work.calls == 4
    assert do(second, work, "alone") is None, "rank 0 keeps the books"
    first.close()


def test_all_together_meet_at_each_barrier(tmp_path: Path) -> None:
    from threading import Barrier, Thread

    barrier = Barrier(2, timeout=30)
    results: dict[int, Any] = {}

    def process(rank: int) -> None:
        processes = Together(rank, 2, lambda: barrier.wait() and None)
        run = RunFolder(tmp_path / "run", processes=processes)

        def work(out: Path) -> dict[str, Any]:
            (out / f"{rank}").write_text("x")
            return {}

        results[rank] = [do(run, work, owner=None), do(run, work, owner=None)]
        run.close()

    threads = [Thread(target=process, args=(rank,)) for rank in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert [r.digest for r in results[0]] == [r.digest for r in results[1]]
    assert set(results[0][0].manifest.files) == {"0", "1"}


@pytest.mark.parametrize("name", layout.CONCLUSIONS)
def test_a_folder_is_not_finished_from_when_a_part_is_replaced(run: RunFolder, name: str) -> None:
    do(run, Work())
    run.write_json(name, {"of": "the first"})
    do(run, Work())
    assert run.read_json(name) == {"of": "the first"}, "nothing was replaced"
    do(run, Work(), settings={"k": 2})
    assert run.read_json(name) is None
    kept = run.folder / "superseded" / f"{name}.0"
    assert json.loads(kept.read_text()) == {"of": "the first"}
