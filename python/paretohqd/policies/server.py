"""A server with OpenAI's interface whose models are a run's preferences and any weights between."""

from __future__ import annotations

import asyncio
import contextlib
import hmac
import json
import socket
import time
import uuid
from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.requests import ClientDisconnect
from starlette.requests import Request as HttpRequest
from starlette.responses import HTMLResponse, JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from paretohqd.models.spec import stays_here
from paretohqd.policies.batching import Batcher, Full, Job
from paretohqd.policies.explorer import run_page
from paretohqd.policies.loaded import Run
from paretohqd.policies.replies import Reply
from paretohqd.policies.wire import Ask, Refused, model_names, read_request

LARGEST = 1_000_000
"""Bytes of a request's body."""
PATIENCE = 60.0
"""Seconds for which a request is worked on."""
LEAST_KEY = 16
"""Characters of a key."""
PEEK = 0.2
"""Seconds between two looks whether a client is still there."""


@dataclass(frozen=True, kw_only=True)
class Access:
    """Who may ask."""

    hosts: frozenset[str]
    """What a request may call this server, without a port: a page elsewhere that has its name
    point here (DNS rebinding) calls it otherwise."""
    key: str | None = None
    """What each request must bring; None: nothing."""
    patience: float = PATIENCE


def access_for(host: str, *, names: Iterable[str] = (), key_file: Path | None = None) -> Access:
    """Who may ask a server that listens at a host.

    Args:
        host: Where it listens.
        names: Further names that clients call it by.
        key_file: A file whose first line is the key.

    Raises:
        ValueError: A host that others reach, without a key; a key that is too short.
    """
    key = None
    if key_file is not None:
        key = key_file.read_text(encoding="utf-8").strip().splitlines()[0].strip()
        if len(key) < LEAST_KEY:
            raise ValueError(f"{key_file}: a key has at least {LEAST_KEY} characters")
    if not stays_here(host) and key is None:
        raise ValueError(
            f"host {host}: others could reach it: give a key with --api-key-file, or listen at "
            "127.0.0.1"
        )
    own = {"127.0.0.1", "localhost", "::1"} if stays_here(host) else {host}
    return Access(hosts=frozenset({*own, *names}), key=key)


def serve(
    run: Run,
    *,
    host: str = "127.0.0.1",
    port: int = 8000,
    access: Access | None = None,
    ui: bool = False,
) -> None:
    """Serve until Ctrl-C.

    Raises:
        ValueError: A port that is taken, or as `access_for`.
    """
    who = access or access_for(host)
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listening = socket.socket(family, socket.SOCK_STREAM)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((host, port))
    except OSError as error:
        listening.close()
        raise ValueError(f"port {port} at {host}: {error.strerror}: take another --port") from None
    config = uvicorn.Config(application(run, who, ui=ui), log_level="warning", access_log=False)
    try:
        uvicorn.Server(config).run(sockets=[listening])
    finally:
        listening.close()


def application(run: Run, access: Access, *, ui: bool = False) -> Starlette:
    """The server as an ASGI application.

    Args:
        run: The run whose models answer; its folder is never written to.
        access: Who may ask.
        ui: Whether / is the explorer, whose reader can ask the model too.
    """
    batcher = Batcher(run)
    page = run_page(run.finished, live=True) if ui else None

    async def models(request: HttpRequest) -> Response:
        names = model_names(run)
        listed = [
            {"id": name, "object": "model", "created": 0, "owned_by": "run"} for name in names
        ]
        return JSONResponse({"object": "list", "data": listed})

    async def completions(request: HttpRequest) -> Response:
        ask = read_request(await _body(request), run)
        answers = Answers(batcher, ask)
        if ask.stream:
            return StreamingResponse(
                answers.events(access.patience), media_type="text/event-stream"
            )
        return JSONResponse(await answers.whole(request, access.patience))

    async def health(request: HttpRequest) -> Response:
        return JSONResponse({"status": "ok"})

    async def explorer(request: HttpRequest) -> Response:
        return HTMLResponse(page)

    def guarded(work: Any, *, open_to_all: bool = False) -> Any:
        async def answer(request: HttpRequest) -> Response:
            try:
                _check_access(request, access, open_to_all=open_to_all)
                response: Response = await work(request)
            except Refused as error:
                return _failed(str(error), error.status, error.key)
            except Full:
                return _failed("too many requests wait: try again", 429)
            except TimeoutError:
                return _failed(f"no answer within {access.patience:g} s", 504)
            except ClientDisconnect:
                return Response(status_code=499)
            except ValueError as error:  # a prompt that is too long, say
                return _failed(str(error), 400)
            except Exception:  # nobody outside learns more
                return _failed("the server failed", 500)
            return response

        return answer

    @contextlib.asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        yield
        await asyncio.to_thread(batcher.close)

    routes = [
        Route("/v1/models", guarded(models), methods=["GET"]),
        Route("/v1/chat/completions", guarded(completions), methods=["POST"]),
        Route("/health", guarded(health), methods=["GET"]),
    ]
    if page is not None:
        # A page has no key to bring; what it asks with it has.
        routes.append(Route("/", guarded(explorer, open_to_all=True), methods=["GET"]))
    return Starlette(routes=routes, lifespan=lifespan)


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
                said=lambda piece, place=place: tell(place, piece, 0),  # type: ignore[misc]
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
                except TimeoutError:
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
            yield _line(_error(f"no answer within {patience:g} s", 504))
        except ValueError as error:
            yield _line(_error(str(error), 400))
        except Exception:  # nobody outside learns more
            yield _line(_error("the server failed", 500))
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


async def _body(request: HttpRequest) -> Any:
    """A request's JSON, if it is not too large."""
    taken = b""
    async for part in request.stream():
        taken += part
        if len(taken) > LARGEST:
            raise Refused(f"a request has at most {LARGEST:,} bytes", status=413)
    try:
        return json.loads(taken)
    except (ValueError, RecursionError):
        raise Refused("expected JSON") from None


def _check_access(request: HttpRequest, access: Access, *, open_to_all: bool) -> None:
    """Refuse who calls the server by another name, or brings no key."""
    host = request.headers.get("host", "")
    name = host[: host.rindex(":")] if ":" in host.rpartition("]")[2] else host
    if name.strip("[]").lower() not in access.hosts:
        raise Refused("this server has another name", status=421)
    if access.key is None or open_to_all:
        return
    given = request.headers.get("authorization", "").removeprefix("Bearer ")
    if not hmac.compare_digest(given.encode(), access.key.encode()):
        raise Refused("no key, or a wrong one", status=401)


def _usage(read: int, written: list[int]) -> dict[str, int]:
    total = sum(written)
    return {"prompt_tokens": read, "completion_tokens": total, "total_tokens": read + total}


def _line(value: dict[str, Any]) -> str:
    return f"data: {json.dumps(value, ensure_ascii=False)}\n\n"


def _error(message: str, status: int, key: str | None = None) -> dict[str, Any]:
    kind = "invalid_request_error" if status < 500 else "server_error"
    return {"error": {"message": message, "type": kind, "param": key, "code": status}}


def _failed(message: str, status: int, key: str | None = None) -> JSONResponse:
    more = {"Retry-After": "1"} if status == 429 else None
    return JSONResponse(_error(message, status, key), status_code=status, headers=more)
