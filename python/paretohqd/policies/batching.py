"""Requests of many clients to one model in memory: those that are alike are answered together."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from paretohqd.models import chat
from paretohqd.policies.cells import Parts
from paretohqd.policies.loaded import Run
from paretohqd.policies.replies import Reply, Request, reply

WIDTH = 16
"""Requests that are answered side by side."""
ROOM = 64
"""Requests that wait or are answered; more are turned away."""


class Full(Exception):
    """There is no room for another request."""


@dataclass(kw_only=True, eq=False)
class Job:
    """An answer that a client waits for."""

    prompt: str
    parts: Parts | None
    """The trained preferences whose sum answers; None: the base."""
    temperature: float
    top_p: float
    max_tokens: int
    seed: int
    stop: tuple[str, ...]
    said: Callable[[str], None] | None
    """Called from the worker's thread, as the next one; None where nothing streams."""
    done: Callable[[Reply | BaseException, int], None]
    """Gets the reply, or what went wrong, and the prompt's tokens."""
    left: threading.Event = field(default_factory=threading.Event)
    """Set once nobody waits any more."""

    @property
    def kind(self) -> tuple[Any, ...]:
        """What requests that are answered together have in common."""
        return self.parts, self.temperature, self.top_p


class Batcher:
    """A thread that answers jobs, as many alike at a time as there are and fit."""

    def __init__(self, run: Run) -> None:
        """Start the thread; the base is loaded at once, so that the first client need not wait."""
        self.run = run
        self._waiting: deque[Job] = deque()
        self._busy, self._closed = 0, False
        self._change = threading.Condition()
        with run.lock:
            run.model(None)
        self._thread = threading.Thread(target=self._work, name="answers", daemon=True)
        self._thread.start()

    def put(self, jobs: list[Job]) -> None:
        """Take the jobs of a request, all of them or none.

        Raises:
            Full: There is no room.
        """
        with self._change:
            if self._closed or len(self._waiting) + self._busy + len(jobs) > ROOM:
                raise Full
            self._waiting.extend(jobs)
            self._change.notify()

    def close(self) -> None:
        """Let go of what waits, and end once what is under way has ended."""
        with self._change:
            self._closed = True
            for job in self._waiting:
                job.left.set()
            self._waiting.clear()
            self._change.notify()
        self._thread.join(timeout=10)

    def _work(self) -> None:
        while True:
            with self._change:
                while not self._waiting and not self._closed:
                    self._change.wait()
                if self._closed:
                    return
                batch = self._next()
                self._busy = len(batch)
            try:
                self._answer(batch)
            finally:
                with self._change:
                    self._busy = 0

    def _next(self) -> list[Job]:
        """The job that has waited longest, and those like it."""
        for job in [job for job in self._waiting if job.left.is_set()]:
            self._waiting.remove(job)
        if not self._waiting:
            return []
        kind = self._waiting[0].kind
        batch = [job for job in self._waiting if job.kind == kind][:WIDTH]
        for job in batch:
            self._waiting.remove(job)
        return batch

    def _answer(self, batch: list[Job]) -> None:
        """Answer jobs of one kind; one whose prompt cannot be read fails alone."""
        if not batch:
            return
        parts, temperature, top_p = batch[0].kind
        try:
            with self.run.lock:
                model, tokenizer = self.run.model(parts)
                jobs, requests = [], []
                for job in batch:
                    try:
                        (ids,) = chat.encode_prompts(tokenizer, [job.prompt])
                        room = chat.context_tokens(model.config)
                        chat.check_room([len(ids)], job.max_tokens, room)
                    except Exception as error:
                        job.done(error, 0)
                        continue
                    jobs.append(job)
                    requests.append(
                        Request(
                            ids=ids,
                            max_tokens=job.max_tokens,
                            seed=job.seed,
                            stop=job.stop,
                            said=job.said,
                            cancelled=job.left.is_set,
                        )
                    )
                if not jobs:
                    return
                replies = reply(model, tokenizer, requests, temperature=temperature, top_p=top_p)
            for job, request, answer in zip(jobs, requests, replies, strict=True):
                job.done(answer, len(request.ids))
        except BaseException as error:
            for job in batch:
                job.done(error, 0)
