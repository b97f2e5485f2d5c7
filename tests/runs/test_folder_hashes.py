"""Keys and hashes: a change is found, and what has not changed is not read again."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from helpers.stages import Work, do, flip_bit
from paretohqd.frames import hashes
from paretohqd.frames.hashes import hash_json
from paretohqd.runs import folder
from paretohqd.runs.folder import RunFolder


@pytest.fixture
def run(tmp_path: Path) -> Iterator[RunFolder]:
    run = RunFolder(tmp_path / "run")
    yield run
    run.close()


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
        digest = run.hash_path(made.path / "deep")
        assert digest == hash_json({"b.bin": made.manifest.files["deep/b.bin"]})
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
    flip_bit(made.path / "deep" / "b.bin")
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
    flip_bit(path)
    os.utime(path, ns=(facts.st_atime_ns, facts.st_mtime_ns))
    with closing(RunFolder(tmp_path / "run")) as run:
        assert do(run, work).digest == made.digest
    assert work.calls == 2


@pytest.mark.parametrize("tick", [hashes.TICK_NS, hashes.COARSE_TICK_NS])
def test_a_change_within_the_tick_of_the_first_is_found(
    tmp_path: Path, read: list[str], monkeypatch: pytest.MonkeyPatch, tick: int
) -> None:
    """On a file system that gives all changes of a tick the same time."""
    clock = [7 * hashes.COARSE_TICK_NS + 3 * hashes.TICK_NS + 5]
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
    (kept,) = (tmp_path / "run" / hashes.HASHES_FOLDER).glob("*.json")
    kept.write_text(text)
    with closing(RunFolder(tmp_path / "run")) as run:
        do(run, work)
    assert work.calls == 1
