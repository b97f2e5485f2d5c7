"""Chat templates in files: which file may be one. Nothing heavy is imported.

A configuration names the file, and whoever wrote the configuration need not be who runs it: a
template could be any text file of the reader's, and its text is shown where it fails.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path

ENDINGS = (".jinja", ".j2", ".txt")

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
    path = Path(given)
    if path.is_absolute() or ".." in path.parts or given.startswith("~"):
        raise _refusal(f"{given}: a template lies below the configuration's folder: copy it there")
    try:
        file = (folder / path).resolve(strict=True)
    except (OSError, RuntimeError, ValueError):
        raise _refusal(
            f"{given!r} is neither the text of a template nor a file below {folder}"
        ) from None
    if not file.is_relative_to(folder.resolve()):
        raise _refusal(f"{given}: a link leads out of the configuration's folder: copy the file")
    read_template(file)
    return str(file)


def read_template(file: Path) -> str:
    """The text of a template's file.

    Raises:
        ValueError: Another ending than .jinja, .j2 or .txt, no file, a link, more than 64 kB or no
            text in UTF-8.
    """
    if file.suffix.lower() not in ENDINGS:
        raise _refusal(f"{file}: expected a name that ends in {', '.join(ENDINGS)}")
    # Not waiting: a pipe would let us wait for its writer.
    flags = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
    try:
        with open(os.open(file, flags), "rb") as opened:
            if not stat.S_ISREG(os.fstat(opened.fileno()).st_mode):
                raise _refusal(f"{file}: not a file")
            content = opened.read(MOST_BYTES + 1)
    except OSError as error:
        raise _refusal(f"{file}: cannot be read: {error.strerror}") from None
    _check_size(len(content), str(file))
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError:
        raise _refusal(f"{file}: is no text in UTF-8") from None


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


def _check_size(size: int, what: str) -> None:
    if size > MOST_BYTES:
        raise _refusal(f"{what}: more than {MOST_BYTES // 1024} kB, which is no template")


def _refusal(reason: str) -> ValueError:
    return ValueError(f"model.chat_template: {reason}")
