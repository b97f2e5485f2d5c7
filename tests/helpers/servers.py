"""HTTP servers on loopback that speak OpenAI's interface, well or badly, over real sockets."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass(kw_only=True)
class Said:
    """What a server does with one request."""

    status: int = 200
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)
    hangs: float = 0.0
    """Seconds of silence before it says anything."""
    dies: bool = False
    """It closes the connection in the middle of the body."""


@dataclass(kw_only=True)
class Got:
    """A request that a server got."""

    path: str
    headers: dict[str, str]
    body: dict[str, Any]


Answer = Callable[[Got], Said]


def completion(
    text: Any, *, finish: str = "stop", read: int = 7, written: int = 3, model: str = "m-2026"
) -> Said:
    """A chat completion as servers write it."""
    return as_json(
        {
            "id": "1",
            "object": "chat.completion",
            "created": 0,
            "model": model,
            "choices": [
                {
                    "index": 0,
                    "finish_reason": finish,
                    "message": {"role": "assistant", "content": text},
                }
            ],
            "usage": {
                "prompt_tokens": read,
                "completion_tokens": written,
                "total_tokens": read + written,
            },
        }
    )


def as_json(content: Any, status: int = 200, **headers: str) -> Said:
    return Said(
        status=status,
        body=json.dumps(content).encode(),
        headers={"content-type": "application/json", **headers},
    )


def failure(status: int, message: str = "no", **headers: str) -> Said:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return as_json({"error": {"message": message}}, status, **named)


class Server(ThreadingHTTPServer):
    """Answers by a function; remembers what it got."""

    daemon_threads = True

    def __init__(self, answer: Answer) -> None:
        self.answer, self.got, self.lock = answer, list[Got](), threading.Lock()
        self.at_once, self.most_at_once = 0, 0
        super().__init__(("127.0.0.1", 0), Handler)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/v1"

    @property
    def asked(self) -> list[dict[str, Any]]:
        """Bodies of the requests for completions."""
        return [got.body for got in self.got if got.path.endswith("/chat/completions")]

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Whoever hung up has its reasons."""


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Server

    def do_POST(self) -> None:
        size = int(self.headers.get("content-length", 0))
        body = json.loads(self.rfile.read(size) or b"{}")
        got = Got(
            path=self.path, headers={k.lower(): v for k, v in self.headers.items()}, body=body
        )
        with self.server.lock:
            self.server.got.append(got)
            self.server.at_once += 1
            self.server.most_at_once = max(self.server.most_at_once, self.server.at_once)
        try:
            said = self.server.answer(got)
            time.sleep(said.hangs)
        finally:
            with self.server.lock:
                self.server.at_once -= 1
        self.send_response(said.status)
        for name, value in said.headers.items():
            self.send_header(name, value)
        self.send_header("content-length", str(len(said.body)))
        self.end_headers()
        if said.dies:
            self.wfile.write(said.body[: len(said.body) // 2])
            self.wfile.flush()
            self.connection.close()
            self.close_connection = True
            return
        self.wfile.write(said.body)

    do_GET = do_POST

    def log_message(self, *args: Any) -> None:
        """Silence: tests look at what was got."""


@contextmanager
def serving(answer: Answer) -> Iterator[Server]:
    """A server in a thread of this process, until the block ends."""
    server = Server(answer)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def in_turn(*sayings: Said) -> Answer:
    """One after the other; the last one for all that follows."""
    left, lock = list(sayings), threading.Lock()

    def answer(got: Got) -> Said:
        with lock:
            return left.pop(0) if len(left) > 1 else left[0]

    return answer


def judged(got: Got) -> tuple[dict[str, Any], list[str]]:
    """What a judge is shown, read as one reads it, and the names of the ratings."""
    system, user = (message["content"] for message in got.body["messages"])
    lines = user.split("\n")
    mark = lines[0]
    assert mark.startswith("=" * 8)
    assert lines[2] == mark
    assert mark not in lines[1]
    names = [
        json.loads(line[2:].partition('":')[0] + '"' if '":' in line else line[2:])
        for line in system.split("\n")
        if line.startswith("- ")
    ]
    return json.loads(lines[1]), names


def judging(rate: Callable[[dict[str, Any], str], float]) -> Answer:
    """A judge that rates by a rule: of what it is shown and the rating's name."""

    def answer(got: Got) -> Said:
        if got.path.endswith("/models"):
            return as_json({"data": [{"id": "m"}]})
        shown, names = judged(got)
        return completion(json.dumps({name: rate(shown, name) for name in names}))

    return answer
