from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from paretohqd.frames import hashes
from paretohqd.frames.hashes import hash_json
from paretohqd.runs import folder
from paretohqd.runs.folder import MANIFEST, RunFolder


@pytest.fixture
def run(tmp_path: Path) -> Iterator[RunFolder]:
    run = RunFolder(tmp_path / "run")
    yield run
    run.close()


class Work:
    """Writes two files and counts how often it was asked to."""

    def __init__(self, text: str = "result", inside: Callable[[Path], None] | None = None) -> None:
        self.text, self.calls, self.inside = text, 0, inside

    def __call__(self, out: Path) -> dict[str, Any]:
        self.calls += 1
        if self.inside:
            self.inside(out)
        (out / "a.txt").write_text(self.text)
        (out / "deep").mkdir(exist_ok=True)
        (out / "deep" / "b.bin").write_bytes(bytes(range(256)))
        return {"rows": 3}


def do(run: RunFolder, work: Callable[[Path], Any], name: str = "stage1/score", **key: Any) -> Any:
    return run.stage(name, work, **{"settings": {"k": 1}, "inputs": {"data": "x"}, **key})


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
    assert again.manifest["notes"] == {"rows": 3}
    assert set(again.manifest["files"]) == {"a.txt", "deep/b.bin"}
    assert again.manifest["versions"]["polars"] == pl.__version__
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


def _flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def _drop_a_key(path: Path) -> None:
    manifest = json.loads(path.read_text())
    del manifest["files"]
    path.write_text(json.dumps(manifest))


TEARS: dict[str, Callable[[Path], object]] = {
    "missing file": lambda stage: (stage / "deep" / "b.bin").unlink(),
    "flipped bit": lambda stage: _flip(stage / "deep" / "b.bin"),
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
    assert set(result.manifest["files"]) == {"a.txt", "deep/b.bin", "checkpoint"}


def test_a_full_disk_leaves_finished_stages_and_the_attempt(
    run: RunFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    work = Work("first")
    do(run, work)
    write = Path.write_text

    def full(path: Path, text: str, *rest: Any, **more: Any) -> int:
        if path.name == MANIFEST:
            raise OSError(28, "No space left on device", str(path))
        return write(path, text, *rest, **more)

    long_work = Work("long")
    with monkeypatch.context() as patch:
        patch.setattr(Path, "write_text", full)
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
    first = RunFolder(tmp_path / "run", rank=0, world=2)
    second = RunFolder(tmp_path / "run", rank=1, world=2)
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
        run = RunFolder(
            tmp_path / "run", rank=rank, world=2, barrier=lambda: barrier.wait() and None
        )

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
    assert set(results[0][0].manifest["files"]) == {"0", "1"}


plain = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=8,
)


@given(st.dictionaries(st.text(), plain, max_size=5))
def test_a_key_does_not_depend_on_the_order_or_a_round_trip(settings: dict[str, Any]) -> None:
    backwards = dict(reversed(settings.items()))
    again = json.loads(json.dumps(settings))
    assert hash_json(settings) == hash_json(backwards) == hash_json(again)


@given(st.dictionaries(st.text(), plain, min_size=1, max_size=5), st.data())
def test_a_key_depends_on_every_setting(settings: dict[str, Any], data: st.DataObject) -> None:
    name = data.draw(st.sampled_from(sorted(settings)))
    other = data.draw(plain.filter(lambda v: json.dumps(v) != json.dumps(settings[name])))
    changed = {**settings, name: other}
    same = json.dumps(changed, sort_keys=True) == json.dumps(settings, sort_keys=True)
    assert (hash_json(changed) == hash_json(settings)) == same


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of the files whose content was hashed."""
    seen: list[str] = []
    hash_path = hashes.hash_path

    def watched(path: Path) -> str:
        seen.append(path.name)
        return hash_path(path)

    monkeypatch.setattr(hashes, "hash_path", watched)
    return seen


def test_a_resumed_run_reads_no_finished_stage_again(tmp_path: Path, read: list[str]) -> None:
    work = Work()
    run = RunFolder(tmp_path / "run")
    made = do(run, work)
    run.close()
    assert sorted(read) == ["a.txt", "b.bin"]
    read.clear()
    with closing(RunFolder(tmp_path / "run")) as run:
        assert do(run, work).digest == made.digest
        found = run.hash_path(made.path / "deep")
        assert found == hash_json({"b.bin": made.manifest["files"]["deep/b.bin"]})
    assert (read, work.calls) == ([], 1)
    # Another name of the folder is no other content; a copy has other times and is read, once.
    (tmp_path / "run").rename(tmp_path / "moved")
    shutil.copytree(tmp_path / "moved", tmp_path / "copied")
    for name, expected in (("moved", []), ("copied", ["a.txt", "b.bin"]), ("copied", [])):
        with closing(RunFolder(tmp_path / name)) as run:
            do(run, work)
        assert (sorted(read), work.calls) == (expected, 1)
        read.clear()


def test_to_verify_every_file_is_read(
    tmp_path: Path, read: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A disk that returns another byte changes no time."""
    monkeypatch.setattr(hashes, "_facts", lambda path: (path.stat().st_size, 1, 1, 1))
    work, lines = Work(), list[str]()
    with closing(RunFolder(tmp_path / "run")) as run:
        made = do(run, work)
    _flip(made.path / "deep" / "b.bin")
    read.clear()
    with closing(RunFolder(tmp_path / "run")) as run:
        do(run, work)
    assert (read, work.calls) == ([], 1)
    with closing(RunFolder(tmp_path / "run", verify=True, report=lines.append)) as run:
        assert do(run, work).digest == made.digest
    assert lines[0] == "stage1/score: its files were changed: done anew"
    assert work.calls == 2


def test_a_change_that_is_given_its_old_time_is_found(tmp_path: Path) -> None:
    work = Work()
    with closing(RunFolder(tmp_path / "run")) as run:
        made = do(run, work)
    path = made.path / "deep" / "b.bin"
    facts = path.stat()
    _flip(path)
    os.utime(path, ns=(facts.st_atime_ns, facts.st_mtime_ns))
    with closing(RunFolder(tmp_path / "run")) as run:
        assert do(run, work).digest == made.digest
    assert work.calls == 2


@pytest.mark.parametrize("tick", [hashes.TICK, hashes.COARSE_TICK])
def test_a_change_within_the_tick_of_the_first_is_found(
    tmp_path: Path, read: list[str], monkeypatch: pytest.MonkeyPatch, tick: int
) -> None:
    """On a file system that gives all changes of a tick the same time."""
    clock = [7 * hashes.COARSE_TICK + 3 * hashes.TICK + 5]
    path, changed = tmp_path / "a", [0]

    def write(text: str) -> None:
        path.write_text(text)
        changed[0] = clock[0] // tick * tick

    def sleep(seconds: float) -> None:
        clock[0] += round(seconds * 1e9)

    monkeypatch.setattr(hashes, "_facts", lambda path: (1, changed[0], changed[0], 1))
    monkeypatch.setattr(hashes.Hashes, "_now", lambda self: clock[0])
    monkeypatch.setattr(hashes.time, "sleep", sleep)
    known = hashes.Hashes(tmp_path)
    for text in "123":
        write(text)
        assert known.file(path) == hashlib.sha256(text.encode()).hexdigest()
    clock[0] += 2 * tick
    known.file(path)
    read.clear()
    known.file(path)
    assert read == [], "a change would be given another time by now"


def test_a_folder_goes_on_as_it_began_to_hash_frames(tmp_path: Path) -> None:
    frame = pl.DataFrame({"a": [1.0, None], "b": ["x", "y"]})
    with closing(RunFolder(tmp_path / "new")) as run:
        assert run.hash_frame(frame) == hashes.hash_frame(frame)
    (tmp_path / "old").mkdir()
    (tmp_path / "old" / "run.json").write_text('{"format": 1, "versions": {}}')
    text = '[{"a":1.0,"b":"x"},{"a":null,"b":"y"}]'
    with closing(RunFolder(tmp_path / "old")) as run:
        assert run.hash_frame(frame) == hashlib.sha256(text.encode()).hexdigest()


def test_a_frame_is_hashed_once(run: RunFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[int] = []
    hash_frame = folder.hash_frame
    monkeypatch.setattr(
        folder, "hash_frame", lambda frame: calls.append(len(frame)) or hash_frame(frame)
    )
    frame = pl.DataFrame({"a": [1.0, 2.0]})
    assert {run.hash_frame(frame) for _ in range(3)} == {hash_frame(frame)}
    assert calls == [2]
    assert run.hash_frame(frame[:1]) != run.hash_frame(frame)


@pytest.mark.parametrize("text", ["", "{", "[1]", '{"a": 3}', '{"a": [1, 2]}', "\x00"])
def test_what_is_remembered_may_be_lost(tmp_path: Path, text: str) -> None:
    work = Work()
    with closing(RunFolder(tmp_path / "run")) as run:
        do(run, work)
    (kept,) = (tmp_path / "run" / hashes.MEMORY).glob("*.json")
    kept.write_text(text)
    with closing(RunFolder(tmp_path / "run")) as run:
        do(run, work)
    assert work.calls == 1
