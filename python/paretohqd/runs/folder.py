"""A run folder whose stages are done once: skipped when finished, redone when torn or changed.

A stage is a folder. It is filled under another name and renamed when complete, so what has its
name is whole. Its manifest holds the key (a hash of settings and inputs), the hash of every file,
the seconds it took and the versions used. Files of a finished stage are read again only if their
size, times or inode have changed since.
"""

from __future__ import annotations

import json
import os
import shutil
import time
import weakref
from collections.abc import Callable, Mapping, Sequence, Sized
from contextlib import AbstractContextManager, nullcontext, suppress
from pathlib import Path
from typing import Any

import polars as pl
from filelock import BaseFileLock

from paretohqd.exceptions import WARNINGS
from paretohqd.frames.hashes import HASHES_FOLDER, Hashes, hash_frame, hash_frame_as_json, hash_json
from paretohqd.frames.new_files import open_new, refuse_way_out, write_new
from paretohqd.frames.writing import write_text
from paretohqd.runs import layout, trusted
from paretohqd.runs.locking import lock_folder
from paretohqd.runs.manifest import MANIFEST, Manifest, Notes, Settings, Stage, versions
from paretohqd.runs.parts import remove_parts
from paretohqd.runs.processes import Processes
from paretohqd.safety.secrets import redacted

FORMAT = 1
"""Layout of run folders; a folder of another layout is refused, never guessed at."""

FRAMES = 2
"""How frames are hashed: by their values. Folders that do not say so go on as they began."""

KEY = "key"
"""Marks the folder of an unfinished attempt with what it is an attempt at."""

Watch = Callable[[Path | None], AbstractContextManager[Sized]]
"""Entered with the file for what is remarkable, or None; gives what can be counted."""


Work = Callable[[Path], Notes | None]
"""Fills the folder that it is given, and says something about the result."""


class RunFolder:
    """A run folder, held by one command at a time.

    Several processes of one launch (accelerate) share it: `rank`, `world` and `barrier` say who
    this process is. Rank 0 keeps the books.
    """

    def __init__(
        self,
        folder: Path,
        *,
        processes: Processes | None = None,
        names: Sequence[str] = (),
        report: Callable[[str], None] = lambda line: None,
        watch: Watch = lambda file: nullcontext(()),
        verify: bool = False,
    ) -> None:
        """Open or make the folder.

        Args:
            folder: The run folder.
            processes: This process and the others of the run; by default it is alone.
            names: The preferences' names, which their folders carry. Folders that carry others are
                renamed.
            report: Takes a line for people.
            watch: Entered while a stage is done; writes what was remarkable to a file, if any, and
                says how much it is.
            verify: Read every file of the finished stages, also where nothing seems changed.

        Raises:
            ValueError: It holds something that is not a run, a run of another layout, a run that
                another command is working on, or what `trusted.check_folder` refuses.
        """
        self.folder = folder.absolute()
        self.processes = processes or Processes()
        self.rank, self.world = self.processes.rank, self.processes.world
        self.barrier, self.report = self.processes.barrier, report
        self._watch, self._names = watch, names
        self._lock: BaseFileLock | None = None
        self._stages: list[str] = []
        if self.rank == 0:
            self._open()
        self.barrier()
        kept = sorted((self.folder / HASHES_FOLDER).glob("*.json"))  # One of each process.
        remembered = [path.read_text(errors="replace") for path in kept]
        self.hashes = Hashes(self.folder, remembered, read_all=verify)
        self._by_value = (self.read_json(layout.RUN) or {}).get("frames") == FRAMES
        self._hashed: tuple[weakref.ref[pl.DataFrame], str] | None = None

    def _open(self) -> None:
        trusted.check_folder(self.folder)
        # A folder of hidden files alone is one whose first command was killed at once.
        if self.folder.is_dir() and any(p.name[0] != "." for p in self.folder.iterdir()):
            try:
                form = json.loads((self.folder / layout.RUN).read_text())["format"]
            except (OSError, ValueError, KeyError, TypeError):
                raise ValueError(
                    f"{self.folder} is not empty and not a paretohqd run: choose another folder"
                ) from None
            if form != FORMAT:
                raise ValueError(
                    f"{self.folder} holds a run of another version (layout {form}, this is "
                    f"{FORMAT}): choose another folder, or finish it with the version that made it"
                )
        self.folder.mkdir(trusted.PRIVATE_FOLDER, parents=True, exist_ok=True)
        self._lock = lock_folder(self.folder)
        if not (self.folder / layout.RUN).exists():
            begun = {"format": FORMAT, "frames": FRAMES, "versions": versions()}
            self.write_json(layout.RUN, begun)
        for path, to in layout.renamed(self.folder, self._names):
            path.rename(to)

    def read_json(self, name: str) -> Any:
        """A small file of the run folder, or None where there is none."""
        try:
            return json.loads((self.folder / name).read_text())
        except FileNotFoundError:
            return None

    def write_json(self, name: str, content: object) -> None:
        """Write a small file of the run folder, whole or not at all, without secrets."""
        self.write_text(name, json.dumps(redacted(content), indent=1, default=str))

    def write_text(self, name: str, text: str) -> None:
        """Write a small file of the run folder, whole or not at all."""
        write_text(self.folder / name, text, mode=trusted.PRIVATE)

    def stage(
        self,
        name: str,
        work: Work,
        *,
        settings: Settings,
        inputs: Mapping[str, str] | None = None,
        owner: int | None = 0,
    ) -> Stage | None:
        """Return the stage's result, doing the work only if it is not there.

        Args:
            name: Folder of the stage below the run folder, such as "stage1/score".
            work: Fills the folder that it is given; what it returns goes into the manifest under
                "notes". A later attempt with the same key is given the same folder with whatever
                an attempt that was killed had left there.
            settings: Everything but the inputs that the result depends on.
            inputs: Name and hash of each input.
            owner: The process that works (taken modulo their number); None means all together,
                with rank 0 finishing. The others get None, and wait at the next barrier.

        Raises:
            ValueError: A folder of the stage's name, or one on the way to it, is a link.
            OSError: The folder cannot be written, or the disk is full; finished stages stay.
        """
        self._stages.append(name)
        if owner is not None and owner % self.world != self.rank:
            return None
        final = self.path(name)
        attempt = final.with_name(f"{final.name}{layout.WORK}")
        for path in (final, attempt):
            refuse_way_out(self.folder, path)
        key = hash_json({"stage": name, "settings": settings, "inputs": inputs or {}})
        keeps_books = self.rank == 0 or owner is not None
        done = self._finished(final, key)
        if keeps_books:
            self._keep_hashes()
        if owner is None:
            self.barrier()  # every process has looked before one of them changes anything
        if done:
            self.report(f"{name}: done before")
            return done
        if keeps_books:
            self._prepare(attempt, key)
        if owner is None:
            self.barrier()
        start, cpu_start = time.perf_counter(), time.process_time()
        with self._watch(attempt / WARNINGS if keeps_books else None) as remarks:
            notes = dict(work(attempt) or {})
        if keeps_books:
            remove_parts(attempt)
        seconds, cpu_seconds = time.perf_counter() - start, time.process_time() - cpu_start
        if owner is None:
            self.barrier()
        if keeps_books:
            trusted.make_private(attempt)
            files = self.hashes.folder_files(attempt, without=[KEY, MANIFEST, WARNINGS])
            manifest = Manifest(
                stage=name,
                key=key,
                digest=hash_json(files),
                settings=settings,
                inputs=inputs or {},
                notes=notes,
                seconds=round(seconds, 3),
                cpu_seconds=round(cpu_seconds, 3),
                finished=time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
                versions=versions(),
                files=files,
            )
            self._finish(attempt, final, manifest)
        if owner is None:
            self.barrier()
        warned = f", warnings of libraries: {len(remarks)} in {WARNINGS}" if len(remarks) else ""
        self.report(f"{name}: {seconds:.1f} s{warned}")
        return self.result(name)

    def _prepare(self, attempt: Path, key: str) -> None:
        """Keep what an earlier attempt with the same key left; start empty otherwise."""
        mark = attempt / KEY
        if mark.is_file() and mark.read_text() == key:
            if not trusted.has_other_names(attempt):
                return
            self.report(f"{attempt.name}: has files with a second name elsewhere: begun anew")
        if attempt.exists():
            shutil.rmtree(attempt)
        trusted.make_folders(self.folder, attempt)
        write_new(mark, key)

    def _finish(self, attempt: Path, final: Path, manifest: Manifest) -> None:
        """Give a whole result its name; whoever kills the process leaves it whole or an attempt."""
        with open_new(attempt / MANIFEST, mode=trusted.PRIVATE) as file:
            file.write(manifest.to_json().encode())
        _sync(attempt / MANIFEST)
        (attempt / KEY).unlink()  # last: on a full disk the next attempt finds its work again
        self._set_aside(final, manifest.stage)
        attempt.replace(final)
        _sync(final.parent)
        self.hashes.moved(attempt, final)
        self._keep_hashes()

    def path(self, name: str) -> Path:
        """The folder of a stage."""
        return self.folder / layout.placed(name, self._names)

    def result(self, name: str) -> Stage:
        """A stage that is finished, whatever its key."""
        path = self.path(name)
        return Stage(path, Manifest.read(path))

    def seconds(self) -> dict[str, float]:
        """Seconds that each of this run's finished stages took, when done, in their order."""
        finished = (name for name in self._stages if (self.path(name) / MANIFEST).is_file())
        return {name: self.result(name).manifest.seconds for name in finished}

    def _finished(self, final: Path, key: str) -> Stage | None:
        try:
            manifest = Manifest.read(final)
            if manifest.key != key:
                return None
            whole = manifest.files == self.hashes.folder_files(final, without=[MANIFEST, WARNINGS])
        except (OSError, ValueError):
            return None
        if not whole:
            self.report(f"{final.relative_to(self.folder)}: its files were changed: done anew")
        return Stage(final, manifest) if whole else None

    def hash_frame(self, frame: pl.DataFrame) -> str:
        """Hash of a frame's content, whatever file it came from; once for the same frame."""
        if self._hashed is None or self._hashed[0]() is not frame:
            by = hash_frame if self._by_value else hash_frame_as_json
            self._hashed = weakref.ref(frame), by(frame)
        return self._hashed[1]

    def hash_path(self, path: Path) -> str:
        """Hash of a file's content, or of all files in a folder, read if they changed."""
        digest = self.hashes.path(path)
        self._keep_hashes()
        return digest

    def hash_files(self, files: Sequence[Path]) -> str:
        """Hash of the contents of files, in this order; of a single one as `hash_path`."""
        hashes = [self.hash_path(file) for file in files]
        return hashes[0] if len(hashes) == 1 else hash_json(hashes)

    def _keep_hashes(self) -> None:
        """Remember what was read; without, it is read again."""
        if self.hashes.changed:
            trusted.make_folders(self.folder, self.folder / HASHES_FOLDER)
            self.write_text(f"{HASHES_FOLDER}/{self.rank}.json", self.hashes.text())
            self.hashes.changed = False

    def reopen(self) -> None:
        """Set aside what says that all in the folder belongs together, before a part changes.

        Else a folder that is killed on the way would pass for a finished one, whose results are
        not those of its settings.
        """
        for name in layout.CONCLUSIONS:
            with suppress(FileNotFoundError):  # another process was faster
                self._keep(self.folder / name, name)

    def _set_aside(self, final: Path, name: str) -> None:
        """Keep a result that changed settings replace: hours of work are not thrown away."""
        if final.exists():
            self.reopen()
            self._keep(final, name)

    def _keep(self, final: Path, name: str) -> None:
        """Move a file or folder to those that were replaced."""
        if not final.exists():
            return
        number = 0
        while (kept := self.folder / "superseded" / f"{name}.{number}").exists():
            number += 1
        trusted.make_folders(self.folder, kept.parent)
        final.replace(kept)

    def close(self) -> None:
        """Let another command use the folder."""
        if self._lock is not None:
            self._lock.release()
            self._lock = None


def _sync(path: Path) -> None:
    """Put a file or a folder's entries on the disk, so that a power cut cannot undo a rename."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
