"""Replies of servers, kept as they come, so that nothing is paid for twice.

A file of lines: each is one reply, under a key that is a hash of all that the reply depends on. A
line that was cut off when its process was killed is taken away by the next that opens the file. The
file may come from anyone, so a line is believed no more than a server is: what is in it is checked
when it is read, and a reply's text is parsed anew each time.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, BinaryIO

from paretohqd.frames.new_files import is_link, open_kept

KEY_DIGITS = 32
"""Hexadecimal digits of a key: 128 bits of a SHA-256."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Reply:
    """What a server said to one request."""

    text: str
    finish: str | None
    """Why it ended: "stop" by itself, "length" at the limit of tokens."""
    read: int | None = None
    """Tokens of the request, if the server counts them."""
    written: int | None = None
    """Tokens of the reply, likewise."""
    model: str | None = None
    """What the server calls the model that replied."""

    @property
    def tokens(self) -> int:
        """Tokens that were paid for, as far as the server counts them."""
        return (self.read or 0) + (self.written or 0)


@dataclass(kw_only=True)
class Spent:
    """What one server's replies took."""

    requests: int = 0
    tokens: int = 0


class Replies:
    """Replies by key, in memory and, if there is a folder for them, in a file.

    Whoever holds the folder's lock may have several processes: each writes a file of its own, and
    reads all that were there when it began.

    Example:
        >>> replies = Replies()
        >>> replies.add(key_of({"seed": 1}), Reply(text="Tea.", finish="stop"), server="judge")
        >>> replies.get(key_of({"seed": 1})).text, replies.get(key_of({"seed": 2}))
        ('Tea.', None)
    """

    def __init__(self, folder: Path | None = None, *, name: str = "0") -> None:
        """Read what is there.

        Args:
            folder: Where the files lie, which is there; None keeps replies in memory alone.
            name: The name of this process's own file.

        Raises:
            ValueError: One of the files is a link.
            OSError: The folder cannot be written.
        """
        self._replies: dict[str, Reply] = {}
        self._spent: dict[str, Spent] = {}
        self._file: BinaryIO | None = None
        if folder is None:
            return
        own = folder / f"{name}.jsonl"
        for path in sorted(folder.glob("*.jsonl")):
            if is_link(path):
                raise ValueError(f"{path}: is a link, and no link is followed here: remove it")
            if path != own:
                self._take(path.read_bytes().splitlines())
        self._file = os.fdopen(open_kept(own), "r+b")
        content = self._file.read()
        whole = content.rfind(b"\n") + 1
        self._take(content[:whole].splitlines())
        self._file.truncate(whole)
        self._file.seek(whole)

    def get(self, key: str) -> Reply | None:
        """The reply under a key, if there is one."""
        return self._replies.get(key)

    def add(self, key: str, reply: Reply, *, server: str) -> None:
        """Keep a reply; it is in the file when this returns.

        Args:
            key: What `key_of` made of all that it depends on.
            reply: The reply.
            server: Whose budget it was paid from.
        """
        self._keep(key, reply, server)
        if self._file is not None:
            line = {"key": key, "server": server, **asdict(reply)}
            self._file.write(json.dumps(line).encode() + b"\n")
            self._file.flush()

    def spent(self, server: str) -> Spent:
        """What a server's replies took so far."""
        return self._spent.setdefault(server, Spent())

    def close(self) -> None:
        """Close the file."""
        if self._file is not None:
            self._file.close()

    def _take(self, lines: Iterable[bytes]) -> None:
        for line in lines:
            try:
                fields = json.loads(line)
                key, server = fields.pop("key"), fields.pop("server")
                reply = Reply(**fields)
            except (ValueError, TypeError, AttributeError, KeyError, RecursionError):
                continue  # damaged: it is asked again
            if isinstance(key, str) and isinstance(server, str) and _is_sound(reply):
                self._keep(key, reply, server)

    def _keep(self, key: str, reply: Reply, server: str) -> None:
        if key not in self._replies:
            spent = self.spent(server)
            spent.requests += 1
            spent.tokens += reply.tokens
        self._replies[key] = reply


def key_of(parts: Mapping[str, Any]) -> str:
    """The key of a reply that depends on these plain values.

    Example:
        >>> key_of({"seed": 1, "model": "a"}) == key_of({"model": "a", "seed": 1})
        True
    """
    text = json.dumps(parts, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:KEY_DIGITS]


def _is_sound(reply: Reply) -> bool:
    counts = all(
        value is None or (isinstance(value, int) and not isinstance(value, bool) and value >= 0)
        for value in (reply.read, reply.written)
    )
    names = all(value is None or isinstance(value, str) for value in (reply.finish, reply.model))
    return counts and names and isinstance(reply.text, str)
