"""Where a model's files come from: the one place that decides what is loaded, and what may run.

Files of the hub are loaded by their commit, weights from safetensors alone, and no code that lies
beside them runs unless whoever started the run has said so (see `consent`).
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from paretohqd.exceptions import first_line
from paretohqd.models import consent
from paretohqd.models.library_calls import one_line_errors, without_bars
from paretohqd.models.names import absolute, check_hub_name, is_local, refuse_shadow

PICKLES = (".bin", ".pt", ".pth", ".ckpt", ".pkl", ".h5", ".msgpack")
"""Weights that can run code when they are read, or that nobody reads here."""


@dataclass(frozen=True)
class Origin:
    """A model's place, and how all its files are loaded from there."""

    name: str
    """What the model is called in messages."""
    place: str
    """A folder, or a name on the hub."""
    commit: str | None = None
    """Of a name on the hub."""
    trusted: bool = False
    """Whether its own code may run; then the place is a folder."""

    @property
    def files(self) -> dict[str, Any]:
        """Options of every `from_pretrained`."""
        return {} if is_local(self.place) else {"revision": self.commit}

    @property
    def code(self) -> dict[str, Any]:
        """Options where a model's own code could run: whatever is made by an Auto class."""
        return {**self.files, "trust_remote_code": self.trusted}

    @property
    def weights(self) -> dict[str, Any]:
        """Options of weights."""
        return {**self.code, "use_safetensors": True}


def find(name: str, revision: str | None = None) -> Origin:
    """Where a model's files come from.

    Args:
        name: A path, or a name on the hub.
        revision: Branch, tag or commit on the hub; the main branch by default.

    Raises:
        ValueError: Neither a path nor a name; a name that a file or folder has too; a commit that
            cannot be found out; a model without safetensors, one that is an adapter, or trusted
            code that lies elsewhere.

    Example:
        >>> find("/models/tiny").weights
        {'trust_remote_code': False, 'use_safetensors': True}
    """
    if is_local(name):
        place, commit = absolute(name), None
        _check_folder(name, Path(place))
    else:
        place, commit = name, find_commit(name, revision)
        _check_repository(name, commit)
    if not consent.current().trusts(place, commit):
        return Origin(name, place, commit)
    if commit is not None:
        # In places the library asks for code without a commit: a folder has one alone.
        place = download(name, commit)
        _check_folder(name, Path(place))
    origin = Origin(name, place, commit, trusted=True)
    _check_own_code(origin)
    return origin


def find_commit(name: str, revision: str | None = None) -> str:
    """The commit of a hub name, asked for once in a process; a whole commit is its own.

    Where the hub is not asked (`HF_HUB_OFFLINE`) or does not answer, it is the commit that the
    local cache knows for the branch.

    Raises:
        ValueError: No such name or revision, or no answer and nothing in the cache.
    """
    refuse_shadow(name, f"model {name}: cannot be loaded", [Path.cwd()])
    check_hub_name(name, f"model {name}: cannot be loaded")
    if revision is not None and consent.COMMIT.fullmatch(revision):
        return revision
    return _asked(name, revision or "main")


@cache
def _asked(name: str, revision: str) -> str:
    from huggingface_hub import HfApi
    from huggingface_hub.errors import RepositoryNotFoundError, RevisionNotFoundError

    why = "the hub is not asked (HF_HUB_OFFLINE)"
    if not _offline():
        try:
            commit = HfApi().model_info(name, revision=revision).sha
            if commit is not None:
                return str(commit)
            why = "the hub names none"
        except (RepositoryNotFoundError, RevisionNotFoundError) as error:
            raise ValueError(f"model {name}: cannot be loaded: {first_line(error)}") from error
        except Exception as error:  # whatever the client's own client raises without a network
            why = f"the hub does not answer: {first_line(error)}"
    cached = _cached_commit(name, revision)
    if cached is None:
        raise ValueError(
            f"model {name}: cannot be loaded: the commit of {revision} is not in the local cache, "
            f"and {why}"
        )
    return cached


def _offline() -> bool:
    from huggingface_hub import constants

    return bool(constants.HF_HUB_OFFLINE)


def _cached_commit(name: str, revision: str) -> str | None:
    from huggingface_hub import constants
    from huggingface_hub.file_download import repo_folder_name

    if ".." in revision or revision.startswith("/"):
        return None
    folder = Path(constants.HF_HUB_CACHE, repo_folder_name(repo_id=name, repo_type="model"))
    try:
        commit = (folder / "refs" / revision).read_text(encoding="ascii").strip()
    except (OSError, ValueError):
        return None
    return commit if consent.COMMIT.fullmatch(commit) else None


def _check_folder(name: str, folder: Path) -> None:
    """Refuse weights that are pickles alone, and adapters."""
    if not folder.is_dir():
        return  # the library says what is wrong
    files = {path.name for path in folder.iterdir()}
    if ADAPTER in files:
        raise ValueError(f"model {name}: {IS_ADAPTER}")
    pickles = sorted(file for file in files if file.endswith(PICKLES) and "arg" not in file)
    if pickles and not any(file.endswith(".safetensors") for file in files):
        raise ValueError(f"model {name}: {NO_SAFETENSORS} (there is {pickles[0]})")


@cache
def _check_repository(name: str, commit: str) -> None:
    """Refuse adapters, which the library would follow to whatever base they name."""
    if _file_of(Origin(name, name, commit), ADAPTER) is not None:
        raise ValueError(f"model {name}: {IS_ADAPTER}")


@cache
def download(name: str, commit: str) -> str:
    """All files of a model at a commit but pickles; returns their folder on this machine."""
    from huggingface_hub import snapshot_download

    with one_line_errors(name), without_bars():
        ignored = [f"*{ending}" for ending in PICKLES]
        return str(snapshot_download(name, revision=commit, ignore_patterns=ignored))


def _file_of(origin: Origin, file: str) -> str | None:
    """A file's path on this machine, or None where the model has none of that name."""
    from transformers.utils import cached_file

    with one_line_errors(origin.name), without_bars():
        path: str | None = cached_file(
            origin.place,
            file,
            _raise_exceptions_for_missing_entries=False,
            _raise_exceptions_for_connection_errors=False,
            **origin.files,
        )
    return path


def _check_own_code(origin: Origin) -> None:
    """Refuse code that a trusted model takes from another one, which no commit was given for."""
    for file in ("config.json", "tokenizer_config.json"):
        path = Path(origin.place, file)
        with one_line_errors(origin.name):
            given = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
        classes = given.get("auto_map") or {}
        for one in classes.values() if isinstance(classes, dict) else [classes]:
            for reference in one if isinstance(one, list) else [one]:
                other, dashes, _ = str(reference or "").rpartition("--")
                if dashes:
                    raise ValueError(
                        f"model {origin.name}: takes code from {other}, of which no commit is "
                        "given: take a copy of the model that has its code beside it"
                    )


ADAPTER = "adapter_config.json"
IS_ADAPTER = (
    "is an adapter, which names another model as its base: merge it into that model, and take the "
    "result"
)
NO_SAFETENSORS = (
    "it has no weights as safetensors; other files may run code when they are read: take a "
    "checkpoint that has them, or convert it where you trust it"
)
NEEDS_CODE = f"it needs code of its own to be loaded: {consent.ALLOWS_CODE} run"


@contextmanager
def loading(name: str | Path) -> Iterator[None]:
    """Load a model's files without the libraries' bars, and with errors of one line.

    Raises:
        ValueError: Whatever is raised inside; what this package decided is told in its own words.
    """
    with one_line_errors(name, _in_our_words), without_bars():
        yield


def _in_our_words(error: BaseException) -> str | None:
    text = str(error)
    if "trust_remote_code" in text:
        return NEEDS_CODE
    if re.search(r"(no file named|does not appear to have a file named) [\w.]*safetensors", text):
        return NO_SAFETENSORS
    return None
