"""Functions that a configuration names as scorers: what may run, where it lies, and its hash.

A scorer `package.module:function` or `file.py:function` is code. It is imported only where whoever
starts the run has named it (see `models.consent`), and the hash of its file is part of what scores
depend on, so that an edited function scores anew. Nothing heavy is imported here.
"""

from __future__ import annotations

import hashlib
import importlib
import os
import re
import shlex
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import metadata, util
from importlib.machinery import SourceFileLoader
from pathlib import Path
from types import ModuleType
from typing import Any

from paretohqd.exceptions import unknown_word
from paretohqd.models import consent
from paretohqd.safety.places import FoundPath, shown_name

OWN = ("embedded", "rule", "judge", "hub")
"""Words before a colon that name no module."""

RUN = "run.json"
"""What marks a run folder, which may come from anyone."""

_CODE = re.compile(r"(?P<place>.+\.py|[^\W\d]\w*(\.[^\W\d]\w*)*):(?P<function>[^\W\d]\w*)")


@dataclass(frozen=True, kw_only=True)
class Code:
    """A function that was loaded, and what tells it from an edited one."""

    written: str
    """As the configuration names it."""
    function: Callable[..., Any]
    sha256: str
    """Of the whole file; of a module that hands on another's function, of both files."""
    packages: dict[str, str]
    """The installed package that it comes from, with its version."""


def is_code(scorer: str) -> bool:
    """Whether a scorer names code, a module's or a file's.

    Example:
        >>> [is_code(name) for name in ("trl.rewards:accuracy_reward", "mine.py:brief")]
        [True, True]
        >>> [is_code(name) for name in ("embedded:harmless", "someone/model", "brief")]
        [False, False, False]
    """
    found = _CODE.fullmatch(scorer)
    return found is not None and found["place"] not in OWN


def located(scorer: str | None, folder: Path, where: str) -> str | None:
    """A scorer as a configuration has it, with a file's path written out.

    Args:
        scorer: Anything that an objective may have.
        folder: The configuration's, below which files of code lie.
        where: The key, for messages.

    Raises:
        ValueError: A file that is not below the folder, by its name and by where its links lead, or
            in a run folder.
    """
    if scorer is None or not is_code(scorer) or ".py:" not in scorer:
        return scorer
    place, _, function = scorer.rpartition(":")
    path = Path(place)
    if path.is_absolute() or ".." in path.parts or place.startswith("~"):
        raise ValueError(
            f"{where}: {scorer}: a file of code lies below the configuration's folder: copy it "
            "there, or install it as a package and name its module"
        )
    try:
        file = (folder / path).resolve(strict=True)
    except (OSError, RuntimeError, ValueError):
        raise ValueError(f"{where}: {scorer}: no file {place} in {folder}") from None
    if not file.is_relative_to(folder.resolve()):
        raise ValueError(
            f"{where}: {scorer}: a link leads out of the configuration's folder: copy the file"
        )
    if (folder / RUN).exists():
        raise ValueError(
            f"{where}: {scorer}: a configuration in a run folder runs no code that lies there: "
            "copy both to a folder of your own, and read the code first"
        )
    return FoundPath(f"{file}:{function}", scorer)


def check_allowed(scorer: str) -> None:
    """Refuse code that whoever starts the run has not named.

    Raises:
        ValueError: The message has the flag that lets it run.
    """
    written = shown_name(scorer)
    if not consent.current().lets_run(written):
        raise ValueError(
            f"scorer {written}: is code, which no configuration may run by itself: --allow-code "
            f"{shlex.quote(written)} on the command line lets it run, in Python "
            f"allow_code=[{written!r}]"
        )


def load(scorer: str) -> Code:
    """Load the function that a scorer names.

    A module is found where installed packages are, not in the working folder. A file is loaded
    under a private name, and what lies beside it cannot be imported by it.

    Raises:
        ValueError: Code that is not allowed, is not there or cannot be loaded, or no such function.
    """
    check_allowed(scorer)
    written = shown_name(scorer)
    place, _, name = scorer.rpartition(":")
    is_file = place.endswith(".py")
    module = _file(Path(place), written) if is_file else _module(place, written)
    function = getattr(module, name, None)
    if function is None:
        known = [each for each in dir(module) if not each.startswith("_")]
        raise unknown_word(f"scorer {written}: nothing there is called", name, known)
    if not callable(function):
        raise ValueError(f"scorer {written}: is {type(function).__name__}, and no function")
    if is_file:
        return Code(written=written, function=function, sha256=module.__sha256__, packages={})
    defined = sys.modules.get(str(getattr(function, "__module__", "")))
    return Code(
        written=written,
        function=function,
        sha256=_files_hash([module, defined]),
        packages=_package(place),
    )


def _file(path: Path, written: str) -> ModuleType:
    path = path.expanduser().absolute()
    try:
        content = path.read_bytes()
    except OSError as error:
        raise ValueError(f"scorer {written}: {path}: {error.strerror}") from None
    digest = hashlib.sha256(content).hexdigest()
    private = hashlib.sha256(os.fsencode(path) + b"\0" + content).hexdigest()
    name = f"_paretohqd_scorer_{private[:16]}"
    if name in sys.modules:
        return sys.modules[name]
    loader = SourceFileLoader(name, str(path))
    spec = util.spec_from_file_location(name, path, loader=loader)
    assert spec is not None
    module = util.module_from_spec(spec)
    module.__dict__["__sha256__"] = digest
    sys.modules[name] = module  # where dataclasses and pickles look for it
    try:
        # What runs is what was hashed, whatever the file becomes meanwhile.
        exec(loader.source_to_code(content, str(path)), module.__dict__)
    except Exception as error:
        del sys.modules[name]
        more = ""
        if isinstance(error, ModuleNotFoundError):
            more = "; what lies beside the file is not found: write all into one, or install it"
        raise _failed(written, error, more) from error
    except BaseException:
        del sys.modules[name]
        raise
    return module


def _module(name: str, written: str) -> ModuleType:
    try:
        with _without_working_folder():
            return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name and (name == error.name or name.startswith(f"{error.name}.")):
            raise ValueError(
                f"scorer {written}: no module {error.name!r} is installed; a file beside the "
                "configuration is named file.py:function"
            ) from None
        raise _failed(written, error) from error
    except Exception as error:
        raise _failed(written, error) from error


def _failed(written: str, error: Exception, more: str = "") -> ValueError:
    return ValueError(f"scorer {written}: cannot be loaded: {type(error).__name__}: {error}{more}")


@contextmanager
def _without_working_folder() -> Iterator[None]:
    """Look for modules where packages are installed, not where the command happens to run."""
    before = sys.path[:]
    here = os.path.realpath(Path.cwd())
    sys.path[:] = [each for each in before if each and os.path.realpath(each) != here]
    try:
        yield
    finally:
        sys.path[:] = before


def _files_hash(modules: list[ModuleType | None]) -> str:
    """Hash of the files of modules, each once; of a module without a file its name."""
    hashed = hashlib.sha256()
    files = dict.fromkeys(
        str(getattr(each, "__file__", None) or each.__name__) for each in modules if each
    )
    for file in files:
        path = Path(file)
        hashed.update(
            hashlib.sha256(path.read_bytes() if path.is_file() else file.encode()).digest()
        )
    return hashed.hexdigest()


def _package(module: str) -> dict[str, str]:
    """The distribution that a module comes from, with its version; none of Python's own."""
    root = module.partition(".")[0]
    names = [root]
    try:
        metadata.version(root)
    except metadata.PackageNotFoundError:
        names = metadata.packages_distributions().get(root, [])
    return {name: metadata.version(name) for name in sorted(set(names))}
