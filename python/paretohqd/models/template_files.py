"""Texts in files, chat templates and rubrics: which file may be one. Nothing heavy is imported.

A configuration names the file, and whoever wrote the configuration need not be who runs it: a
template could be any text file of the reader's, and its text is shown where it fails; a rubric is
sent to a judge's server.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Sequence
from pathlib import Path

TEMPLATE = "model.chat_template"
ENDINGS = (".jinja", ".j2", ".txt")

RUBRIC = "judge.rubric"
RUBRIC_ENDINGS = (".txt", ".md")

MOST_BYTES = 65_536
"""Templates of large models have 10 kB."""


def find_template(given: str | None, folder: Path) -> str | None:
    """The absolute path of a template's file, or the template itself where it is written out.

    Args:
        given: `model.chat_template` of a configuration.
        folder: The configuration's.

    Raises:
        ValueError: Neither Jinja's text nor a file below the folder, by its name and by where its
            links lead; one of another ending, or of more than 64 kB.
    """
    if given is None or _is_written_out(given):
        _check_size(len((given or "").encode("utf-8", "replace")), "the text")
        return given
    file = _below(given, folder, "a template", TEMPLATE)
    read_template(file)
    return str(file)


def find_rubric(given: str, folder: Path) -> str:
    """The absolute path of a rubric's file, or the rubric itself where it is written out.

    Args:
        given: `judge.rubric` of an objective: a single word that ends as a file of text does, or
            the text.
        folder: The configuration's.

    Raises:
        ValueError: As `find_template`, of files that end in .txt or .md.
    """
    if not _names_rubric(given):
        _check_size(len(given.encode("utf-8", "replace")), "the text", RUBRIC)
        return given
    file = _below(given, folder, "a rubric", RUBRIC)
    read_template(file, RUBRIC_ENDINGS, RUBRIC)
    return str(file)


def rubric_text(given: str) -> str:
    """The text of a rubric that is written out, or in a file by its path.

    Raises:
        ValueError: As `read_template`, or nothing but white space.
    """
    text = given
    if _names_rubric(given) or (Path(given).is_absolute() and "\n" not in given):
        text = read_template(Path(given), RUBRIC_ENDINGS, RUBRIC)
    if not text.strip():
        raise _refusal(f"{given}: nothing is written there", RUBRIC)
    return text


def _names_rubric(given: str) -> bool:
    return not any(map(str.isspace, given)) and given.lower().endswith(RUBRIC_ENDINGS)


def _below(given: str, folder: Path, what: str, where: str) -> Path:
    """A file that lies below a folder, links followed."""
    path = Path(given)
    if path.is_absolute() or ".." in path.parts or given.startswith("~"):
        raise _refusal(
            f"{given}: {what} lies below the configuration's folder: copy it there", where
        )
    try:
        file = (folder / path).resolve(strict=True)
    except (OSError, RuntimeError, ValueError):
        raise _refusal(
            f"{given!r} is neither the text of {what} nor a file below {folder}", where
        ) from None
    if not file.is_relative_to(folder.resolve()):
        raise _refusal(
            f"{given}: a link leads out of the configuration's folder: copy the file", where
        )
    return file


def read_template(file: Path, endings: Sequence[str] = ENDINGS, where: str = TEMPLATE) -> str:
    """The text of a template's file, or of another text's.

    Args:
        file: The file.
        endings: How its name may end.
        where: The setting that names it, for messages.

    Raises:
        ValueError: Another ending than .jinja, .j2 or .txt, no file, a link, more than 64 kB or no
            text in UTF-8.
    """
    if file.suffix.lower() not in endings:
        raise _refusal(f"{file}: expected a name that ends in {', '.join(endings)}", where)
    # Not waiting: a pipe would let us wait for its writer.
    flags = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
    try:
        with open(os.open(file, flags), "rb") as opened:
            if not stat.S_ISREG(os.fstat(opened.fileno()).st_mode):
                raise _refusal(f"{file}: not a file", where)
            content = opened.read(MOST_BYTES + 1)
    except OSError as error:
        raise _refusal(f"{file}: cannot be read: {error.strerror}", where) from None
    _check_size(len(content), str(file), where)
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError:
        raise _refusal(f"{file}: is no text in UTF-8", where) from None


def template_text(given: str) -> str:
    """The text of a template that is written out, or in a file by its absolute path.

    Raises:
        ValueError: As `read_template`.
    """
    if Path(given).is_absolute() and not _is_written_out(given):
        return read_template(Path(given))
    return given


def _is_written_out(given: str) -> bool:
    return not given.strip() or any(mark in given for mark in ("{{", "{%", "{#", "\n"))


def _check_size(size: int, what: str, where: str = TEMPLATE) -> None:
    if size > MOST_BYTES:
        kind = where.rpartition(".")[2].rpartition("_")[2]
        raise _refusal(f"{what}: more than {MOST_BYTES // 1024} kB, which is no {kind}", where)


def _refusal(reason: str, where: str) -> ValueError:
    return ValueError(f"{where}: {reason}")
