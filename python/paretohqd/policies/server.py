"""A server with OpenAI's interface whose models are a run's preferences and any weights between."""

from __future__ import annotations

import asyncio
import contextlib
import hmac
import json
import logging
import socket
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
from paretohqd.policies.batching import Batcher, Full
from paretohqd.policies.explorer import run_page
from paretohqd.policies.loaded import Run
from paretohqd.policies.responses import Answers, error_of
from paretohqd.policies.wire import Refused, model_names, read_request

LOG = logging.getLogger(__name__)

LARGEST = 1_000_000
"""Bytes of a request's body."""
PATIENCE = 60.0
"""Seconds for which a request is worked on."""
SLOWEST = 10.0
"""Seconds in which a request's body must have come."""
CONNECTIONS = 256
"""Connections at a time; more are turned away."""
LEAST_KEY = 16
"""Characters of a key."""


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
        key = key_file.read_text(encoding="utf-8").strip().partition("\n")[0].strip()
        if len(key) < LEAST_KEY:
            raise ValueError(f"{key_file}: a key has at least {LEAST_KEY} characters")
    if not stays_here(host) and key is None:
        raise ValueError(
            f"host {host}: others could reach it: give a key with --api-key-file, or listen at "
            "127.0.0.1"
        )
    here = {"127.0.0.1", "localhost", "::1"} if stays_here(host) else set()
    return Access(hosts=frozenset(name.lower() for name in {host, *here, *names}), key=key)


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
    config.limit_concurrency = CONNECTIONS
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
    if ui and access.key is not None:
        raise ValueError("ui: a page has no key to bring: leave out --ui or --api-key-file")
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

    def guarded(work: Any) -> Any:
        async def answer(request: HttpRequest) -> Response:
            try:
                _check_access(request, access)
                response: Response = await work(request)
            except Refused as error:
                return _failed(str(error), error.status, error.key)
            except Full:
                return _failed("too many requests wait: try again", 429)
            except TimeoutError:
                return _failed("it took too long", 504)
            except ClientDisconnect:
                return Response(status_code=499)
            except ValueError as error:  # a prompt that is too long, say
                return _failed(str(error), 400)
            except Exception:  # nobody outside learns more
                LOG.exception("a request failed")
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
        routes.append(Route("/", guarded(explorer), methods=["GET"]))
    app = Starlette(routes=routes, lifespan=lifespan)
    app.router.redirect_slashes = False  # it would send clients to the name that they call it by
    return app


async def _body(request: HttpRequest) -> Any:
    """A request's JSON, if it is not too large nor too slow.

    It must say that it is JSON: what a page elsewhere can send without asking first says otherwise.
    """
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/json":
        raise Refused("expected Content-Type: application/json", status=415)
    taken = b""
    async with asyncio.timeout(SLOWEST):
        async for part in request.stream():
            taken += part
            if len(taken) > LARGEST:
                raise Refused(f"a request has at most {LARGEST:,} bytes", status=413)
    try:
        return json.loads(taken)
    except (ValueError, RecursionError):
        raise Refused("expected JSON") from None


def _check_access(request: HttpRequest, access: Access) -> None:
    """Refuse who calls the server by another name, or brings no key."""
    host = request.headers.get("host", "")
    name = host[: host.rindex(":")] if ":" in host.rpartition("]")[2] else host
    if name.strip("[]").lower() not in access.hosts:
        raise Refused("this server has another name", status=421)
    if access.key is None:
        return
    given = request.headers.get("authorization", "").removeprefix("Bearer ")
    if not hmac.compare_digest(given.encode(), access.key.encode()):
        raise Refused("no key, or a wrong one", status=401)


def _failed(message: str, status: int, key: str | None = None) -> JSONResponse:
    more = {"Retry-After": "1"} if status == 429 else None
    return JSONResponse(error_of(message, status, key), status_code=status, headers=more)
