"""The answers to one request, whole or as a stream of events, in the form of chat completions."""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
import uuid
from collections.abc import AsyncIterator
from typing import Any

from starlette.requests import ClientDisconnect
from starlette.requests import Request as HttpRequest

from paretohqd.policies.batching import Batcher, Job
from paretohqd.policies.replies import Reply
from paretohqd.policies.wire import Ask

PEEK = 0.2
"""Seconds between two looks whether a client is still there."""


class Answers:
    """The answers to one request, as they come from the worker's thread."""

    def __init__(self, batcher: Batcher, ask: Ask) -> None:
        """Put the request among the others.

        Raises:
            Full: There is no room.
        """
        loop = asyncio.get_running_loop()
        self.ask = ask
        self.heard: asyncio.Queue[tuple[int, str | Reply | BaseException, int]] = asyncio.Queue()
        self.name, self.created = f"chatcmpl-{uuid.uuid4().hex}", int(time.time())

        def tell(*heard: Any) -> None:
            with contextlib.suppress(RuntimeError):  # the loop has ended
                loop.call_soon_threadsafe(self.heard.put_nowait, heard)

        self.jobs = [
            Job(
                prompt=ask.prompt,
                parts=ask.parts,
                temperature=ask.temperature,
                top_p=ask.top_p,
                max_tokens=ask.max_tokens,
                seed=ask.seed + place,
                stop=ask.stop,
                said=(lambda piece, place=place: tell(place, piece, 0))  # type: ignore[misc]
                if ask.stream
                else None,
                done=lambda end, tokens, place=place: tell(place, end, tokens),  # type: ignore[misc]
            )
            for place in range(ask.n)
        ]
        batcher.put(self.jobs)

    def leave(self) -> None:
        """Nobody waits any more."""
        for job in self.jobs:
            job.left.set()

    async def whole(self, request: HttpRequest, patience: float) -> dict[str, Any]:
        """The response to a request that does not stream.

        Raises:
            TimeoutError: It took too long.
            ClientDisconnect: The client has gone.
        """
        replies: dict[int, Reply] = {}
        read, until = 0, time.monotonic() + patience
        try:
            while len(replies) < self.ask.n:
                if time.monotonic() > until:
                    raise TimeoutError
                try:
                    place, heard, tokens = await asyncio.wait_for(self.heard.get(), PEEK)
                except TimeoutError:  # nothing streams here, so that only answers come between
                    if await request.is_disconnected():
                        raise ClientDisconnect from None
                    continue
                if isinstance(heard, BaseException):
                    raise heard
                if isinstance(heard, Reply):
                    replies[place], read = heard, tokens
        finally:
            self.leave()
        choices = [
            {
                "index": place,
                "message": {"role": "assistant", "content": replies[place].text},
                "finish_reason": replies[place].end,
                "logprobs": None,
            }
            for place in range(self.ask.n)
        ]
        return self._object("chat.completion", choices) | {
            "usage": _usage(read, [one.tokens for one in replies.values()])
        }

    async def events(self, patience: float) -> AsyncIterator[str]:
        """Server-sent events of a request that streams."""
        written, read, ended = [0] * self.ask.n, 0, 0
        until = time.monotonic() + patience
        try:
            for place in range(self.ask.n):
                yield self._event(place, {"role": "assistant", "content": ""})
            while ended < self.ask.n:
                left = max(0.0, until - time.monotonic())
                place, heard, tokens = await asyncio.wait_for(self.heard.get(), left)
                if isinstance(heard, BaseException):
                    raise heard
                if isinstance(heard, Reply):
                    written[place], read, ended = heard.tokens, tokens, ended + 1
                    yield self._event(place, {}, heard.end)
                else:
                    yield self._event(place, {"content": heard})
            if self.ask.usage:
                last = self._object("chat.completion.chunk", [])
                yield _line(last | {"usage": _usage(read, written)})
            yield "data: [DONE]\n\n"
        except TimeoutError:
            yield _line(error_of(f"no answer within {patience:g} s", 504))
        except ValueError as error:
            yield _line(error_of(str(error), 400))
        except Exception:  # nobody outside learns more
            yield _line(error_of("the server failed", 500))
        finally:
            self.leave()

    def _event(self, place: int, delta: dict[str, Any], end: str | None = None) -> str:
        choice = {"index": place, "delta": delta, "finish_reason": end, "logprobs": None}
        return _line(self._object("chat.completion.chunk", [choice]))

    def _object(self, kind: str, choices: list[dict[str, Any]]) -> dict[str, Any]:
        return {
            "id": self.name,
            "object": kind,
            "created": self.created,
            "model": self.ask.model,
            "choices": choices,
        }


def _usage(read: int, written: list[int]) -> dict[str, int]:
    total = sum(written)
    return {"prompt_tokens": read, "completion_tokens": total, "total_tokens": read + total}


def _line(value: dict[str, Any]) -> str:
    return f"data: {json.dumps(value, ensure_ascii=False)}\n\n"


def error_of(message: str, status: int, key: str | None = None) -> dict[str, Any]:
    """What a client reads of an error."""
    kind = "invalid_request_error" if status < 500 else "server_error"
    return {"error": {"message": message, "type": kind, "param": key, "code": status}}
