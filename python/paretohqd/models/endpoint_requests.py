"""What a server is asked, and what was done for it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from paretohqd.models.replies import key_of


@dataclass(frozen=True, kw_only=True)
class Request:
    """One request for a completion of a chat."""

    body: Mapping[str, Any]
    """What is sent: messages and settings of sampling; the model is the server's."""
    depends: Mapping[str, Any]
    """What the reply depends on and the body does not say, such as the content of an adapter."""
    row: int | None = None
    """The row that it is about, for messages."""

    @property
    def key(self) -> str:
        """Under which the reply is kept: not by where the server is, nor what it calls a model."""
        return key_of({"body": dict(self.body), **self.depends})


@dataclass(kw_only=True)
class Counts:
    """What a client did, for manifests."""

    requests: int = 0
    """Requests that were sent, those that failed included."""
    kept: int = 0
    """Replies that were there before, or that an equal request of the same call got."""
    repeated: int = 0
    """Requests that were sent again after a failure."""
    read: int = 0
    """Tokens of the requests whose replies were used, as far as the server counts them."""
    written: int = 0
    """Tokens of these replies, likewise."""
