"""The cache of unpacked models: what somebody else could have put there is never a base model."""

from __future__ import annotations

import os
import shutil
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from paretohqd.frames.hashes import hash_path
from paretohqd.models import cache

pytestmark = pytest.mark.skipif(os.name != "posix", reason="modes and owners are Unix's")


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("PARETOHQD_CACHE", str(tmp_path / "deep" / "cache"))
    return tmp_path / "deep" / "cache"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    (tmp_path / "small.gguf").write_bytes(b"packed")
    return tmp_path / "small.gguf"


def fill(folder: Path) -> None:
    (folder / "model.safetensors").write_bytes(b"weights")
    (folder / "parts").mkdir()
    (folder / "parts" / "chat.jinja").write_text("{{ messages }}")


def refuse(folder: Path) -> None:
    raise AssertionError("unpacked again")


def unpacked(file: Path, work: Callable[[Path], None] = fill) -> Path:
    return cache.unpacked(file, hash_path(file), work)


def test_folders_are_private_and_named_by_the_whole_hash(root: Path, file: Path) -> None:
    folder = unpacked(file)
    assert folder == root / f"small-{hash_path(file)}"
    for made in (root.parent, root, folder):
        assert stat.S_IMODE(made.stat().st_mode) == 0o700
    assert [p.name for p in root.iterdir()] == [folder.name]
    assert unpacked(file, refuse) == folder


def test_a_folder_that_was_put_there_beforehand_is_refused(root: Path, file: Path) -> None:
    planted = root / f"small-{hash_path(file)}"
    planted.mkdir(parents=True)
    (planted / "model.safetensors").write_bytes(b"evil")
    with pytest.raises(ValueError, match=r"unpacked\.json is missing or damaged\): delete"):
        unpacked(file)


def test_a_link_in_its_place_is_refused(root: Path, file: Path, tmp_path: Path) -> None:
    folder = unpacked(file)
    folder.rename(tmp_path / "elsewhere")
    folder.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(ValueError, match="it is no folder"):
        unpacked(file)


def same_size(folder: Path) -> None:
    (folder / "model.safetensors").write_bytes(b"WEIGHTS")


def longer(folder: Path) -> None:
    (folder / "model.safetensors").write_bytes(b"weights and more")


def gone(folder: Path) -> None:
    (folder / "parts" / "chat.jinja").unlink()


def more(folder: Path) -> None:
    (folder / "modeling_evil.py").write_text("print('hello')")


def linked(folder: Path) -> None:
    (folder / "model.safetensors").rename(folder.parent / "w")
    (folder / "model.safetensors").symlink_to(folder.parent / "w")


def linked_folder(folder: Path) -> None:
    (folder / "parts").rename(folder.parent / "p")
    (folder / "parts").symlink_to(folder.parent / "p")


def damaged(folder: Path) -> None:
    (folder / cache.MANIFEST).write_text('{"model.safetensors": 3}')


CHANGES = {
    same_size: "model.safetensors has another content",
    longer: "model.safetensors has another content",
    gone: "parts/chat.jinja is missing",
    more: "modeling_evil.py is none of its files",
    linked: "model.safetensors is no plain file",
    linked_folder: "parts is none of its files|parts/chat.jinja is missing",
    damaged: "unpacked.json is missing or damaged",
}


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: change.__name__)
def test_what_changed_since_is_named(
    change: Callable[[Path], None], root: Path, file: Path
) -> None:
    folder = unpacked(file)
    change(folder)
    with pytest.raises(ValueError, match=CHANGES[change]):
        unpacked(file)
    shutil.rmtree(folder)
    assert unpacked(file) == folder


def test_a_touched_file_is_read_and_kept(root: Path, file: Path) -> None:
    folder = unpacked(file)
    os.utime(folder / "model.safetensors", (1, 1))
    assert unpacked(file, refuse) == folder


@pytest.mark.parametrize("mode", [0o770, 0o707, 0o777, 0o1777])
@pytest.mark.parametrize("which", ["root", "folder"])
def test_a_folder_that_others_may_write_to_is_refused(
    which: str, mode: int, root: Path, file: Path
) -> None:
    folder = unpacked(file)
    (root if which == "root" else folder).chmod(mode)
    with pytest.raises(ValueError, match="may be written by others"):
        unpacked(file, refuse)


def test_a_folder_of_another_user_is_refused(
    root: Path, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    unpacked(file)
    monkeypatch.setattr(os, "geteuid", lambda: root.stat().st_uid + 1)
    with pytest.raises(ValueError, match="belongs to another user"):
        unpacked(file, refuse)


def test_a_file_that_changes_while_it_is_unpacked_is_refused(root: Path, file: Path) -> None:
    def work(folder: Path) -> None:
        fill(folder)
        file.write_bytes(b"other")

    with pytest.raises(ValueError, match="changed while it was unpacked"):
        unpacked(file, work)
    assert list(root.iterdir()) == []


def test_only_torn_attempts_that_nobody_works_on_are_removed(root: Path, file: Path) -> None:
    name = f"small-{hash_path(file)}"
    unpacked(file)
    shutil.rmtree(root / name)
    torn, other = root / f"{name}.0123", root / "other-model.4567"
    for folder in (torn, other):
        folder.mkdir()
        folder.with_name(f"{folder.name}.lock").touch()
    running: list[str] = []

    def work(folder: Path) -> None:
        running.append(folder.name)
        assert not torn.exists(), "a killed attempt's, however young"
        os.utime(folder, (1, 1))  # however old
        cache.unpacked(file, hash_path(file), fill)
        assert folder.is_dir(), "this attempt is at work"
        fill(folder)

    unpacked(file, work)
    left = {p.name for p in root.iterdir()}
    assert left == {name, other.name, f"{other.name}.lock"}


def test_the_embedded_model_is_the_one_that_was_published(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    base = pytest.importorskip("paretohqd.models.base")
    monkeypatch.setenv("PARETOHQD_CACHE", str(tmp_path / "cache"))
    fake = tmp_path / "SmolLM2.gguf"
    fake.write_bytes(b"something else")
    monkeypatch.setattr(base.embedded, "model_file", lambda: fake)
    with pytest.raises(ValueError, match="its content is not what was published"):
        base.find_base(base.Model())
    assert not (tmp_path / "cache").exists()
