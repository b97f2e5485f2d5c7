"""Asking a server with OpenAI's interface: many requests side by side, each paid for once.

The wire is the package openai. Ours are what it leaves open: whom data may be sent to, what is kept
when a request fails for good or the process dies, how much may be spent, and which redirects are
followed (none: they would carry the key to another place). It takes keys and headers from variables
of its own name; only the key of the variable that the settings name is sent.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from queue import SimpleQueue
from typing import Any

from paretohqd.frames import offline
from paretohqd.models import consent
from paretohqd.models.endpoint_requests import Counts, Request
from paretohqd.models.endpoint_wire import (
    PassingError,
    RefusedError,
    changed,
    connect,
    next_form,
    parse,
    refusal,
    served_names,
    serves,
    waiting,
)
from paretohqd.models.replies import Replies, Reply
from paretohqd.models.spec import Endpoint, stays_here

Progress = Callable[[int, int], None]

FIRST = 20
"""Requests of which one at least must be answered, where others may be refused."""


@dataclass(kw_only=True)
class EndpointClient:
    """A client of one server.

    Example:
        >>> server = Endpoint(url="https://api.example.org/v1", model="large")
        >>> try:
        ...     EndpointClient(spec=server, sends="a judge would get answers").check()
        ... except ValueError as error:
        ...     print(str(error)[:66])
        a judge would get answers, and data leave this machine only if who
    """

    spec: Endpoint
    sends: str
    """Who would send what, for the message where that is not allowed."""
    replies: Replies = field(default_factory=Replies)
    """What was said before, and where new replies are kept."""
    purse: str = ""
    """Name under which what it spends is added up; its model's name by default."""
    counts: Counts = field(default_factory=Counts, init=False)
    optional: tuple[str, ...] = ()
    """Parameters of requests that are left out if the server refuses them."""
    lenient: bool = False
    """A request that is refused for what is in it gets a reply without text, which is not kept."""
    _client: Any = field(default=None, init=False, repr=False)
    _learnt: list[str] = field(default_factory=list, init=False, repr=False)
    """Changes of requests that made the server take them."""
    _answered: bool = field(default=False, init=False)
    """The server answered once, so that what it refuses lies in a request and in no setting."""
    _failed: int = field(default=0, init=False)
    _flying: int = field(default=0, init=False)
    """Requests whose replies are not kept yet."""
    _lock: threading.Lock = field(default_factory=threading.Lock, init=False, repr=False)

    def __post_init__(self) -> None:
        """Name the purse."""
        self.purse = self.purse or self.spec.model

    def check(self) -> Any:
        """Make the connection's client once, if it may be used at all; returns it.

        Raises:
            ValueError: Data would leave this machine and nobody allowed it, the environment forbids
                connections, or the variable with the key is not set.
            MissingPackageError: The package openai is not installed.
        """
        consent.current().check_sending(self.spec.host, self.sends)
        if not stays_here(self.spec.host):
            offline.refuse(f"server {self.spec.place}")
        if self._client is None:
            self._client = connect(self.spec)
        return self._client

    def names(self) -> list[str] | None:
        """The models that the server lists; None where it lists none.

        Raises:
            ValueError: It cannot be reached, or refuses the key.
        """
        return served_names(self.check(), self.spec)

    def check_model(self) -> None:
        """Refuse a model that the server has not: a name that it does not list is tried.

        Raises:
            ValueError: As `names`, or there is no such model.
        """
        names = self.names()
        if names and self.spec.model not in names and not serves(self.check(), self.spec):
            raise ValueError(
                f"server {self.spec.place}: no model {self.spec.model!r}: it lists "
                f"{', '.join(names[:20])}"
            )

    def ask(
        self,
        requests: Sequence[Request],
        *,
        model: str | None = None,
        progress: Progress | None = None,
    ) -> list[Reply]:
        """Replies to requests, in their order; equal requests are sent once.

        Args:
            requests: What to ask, of which what has been replied to before is not sent again.
            model: What the server calls the model, where that is not `spec.model`.
            progress: Called with the number of replies and the number of requests.

        Raises:
            ValueError: What `check` refuses; a request failed for good (with `lenient`, one that is
                refused only where the first are all refused); the budget is spent. The replies
                until then are kept.
        """
        client = self.check()
        keys = [request.key for request in requests]
        wanted = dict(reversed([*zip(keys, requests, strict=True)]))  # of equal ones the first
        missing = {key: wanted[key] for key in keys if self.replies.get(key) is None}
        self.counts.kept += len(requests) - len(missing)
        self._answered = self._answered or len(missing) < len(wanted)
        refused: dict[str, Reply] = {}
        if missing:
            before = len(requests) - len(missing)

            def advance(done: int) -> None:
                if progress is not None:
                    progress(before + done, len(requests))

            self._ask_all(client, missing, refused, model or self.spec.model, advance)
        elif progress is not None and requests:
            progress(len(requests), len(requests))
        replies = [self.replies.get(key) or refused.get(key) for key in keys]
        found = [reply for reply in replies if reply is not None]
        assert len(found) == len(requests), "a request without reply or error"
        used = [reply for key in wanted if (reply := self.replies.get(key)) is not None]
        self.counts.read += sum(reply.read or 0 for reply in used)
        self.counts.written += sum(reply.written or 0 for reply in used)
        return found

    def _ask_all(
        self,
        client: Any,
        missing: Mapping[str, Request],
        refused: dict[str, Reply],
        model: str,
        advance: Callable[[int], None],
    ) -> None:
        """Ask with several threads; this one shows how far they are."""
        queue: SimpleQueue[Exception | bool] = SimpleQueue()
        stop, left, firsts = threading.Event(), iter(list(missing.items())), [*missing][:FIRST]

        def refuse(key: str, error: RefusedError) -> None:
            """Go on without this reply, unless the server has refused all that it was asked."""
            with self._lock:
                refused[key] = Reply(text="", finish=str(error))
                if self._answered or not all(key in refused for key in firsts):
                    return
            raise ValueError(
                f"{error}; so were all of the first {len(firsts)} requests: a setting of this "
                "server is wrong"
            )

        threads = [
            # Daemons: after Ctrl-C nobody waits for servers.
            threading.Thread(
                target=self._work, args=(client, left, model, refuse, queue, stop), daemon=True
            )
            for _ in range(min(self.spec.concurrency, len(missing)))
        ]
        for thread in threads:
            thread.start()
        done, running, first = 0, len(threads), None
        try:
            while running:
                outcome = queue.get()
                if isinstance(outcome, Exception):
                    first = first or outcome
                elif outcome:
                    done += 1
                    advance(done)
                else:
                    running -= 1
        finally:
            stop.set()
        if first is not None:
            if not isinstance(first, ValueError):
                raise first
            kept = sum(self.replies.get(key) is not None for key in missing)
            raise ValueError(
                f"{first}; {kept} of {len(missing)} replies that were missing have come and are "
                "kept: the same call goes on"
            ) from first

    def _work(
        self,
        client: Any,
        left: Iterator[tuple[str, Request]],
        model: str,
        refuse: Callable[[str, RefusedError], None],
        queue: SimpleQueue[Exception | bool],
        stop: threading.Event,
    ) -> None:
        """Ask for what is left until there is nothing, or something failed for good.

        The queue gets True for each reply, what failed, and False in the end.
        """
        try:
            while not stop.is_set():
                with self._lock:
                    key, request = next(left, ("", None))
                if request is None:
                    return
                try:
                    reply = self._one(client, request, model, stop)
                except RefusedError as error:
                    if not self.lenient:
                        raise
                    refuse(key, error)
                else:
                    with self._lock:
                        self.replies.add(key, reply, server=self.purse)
                        self._answered = True
                        self._flying -= 1
                queue.put(True)
        except Exception as error:  # goes on in the thread that asked
            stop.set()
            queue.put(error)
        finally:
            queue.put(False)

    def _one(self, client: Any, request: Request, model: str, stop: threading.Event) -> Reply:
        """One reply, asked for again while there is hope."""
        row = "" if request.row is None else f"row {request.row}"
        for attempt in range(self.spec.retries + 1):
            self._spend()
            try:
                return self._send(client, {"model": model, **request.body})
            except ValueError as error:
                with self._lock:
                    self._failed += 1
                    self._flying -= 1
                if isinstance(error, RefusedError):
                    raise RefusedError(f"{error}{_bracketed(row)}") from error
                if not isinstance(error, PassingError):
                    raise
                if attempt == self.spec.retries:
                    times = f"{attempt + 1} times" if attempt else ""
                    raise ValueError(f"{error}{_bracketed(row, times)}") from error
                if stop.wait(waiting(attempt, error.after)):
                    raise
                with self._lock:
                    self.counts.repeated += 1
        raise AssertionError

    def _send(self, client: Any, body: Mapping[str, Any]) -> Reply:
        """One request, in a form that the server takes."""
        import openai

        sent, learnt = dict(body), []
        for change in self._learnt:
            sent = changed(sent, change)
        while True:
            try:
                raw = client.chat.completions.with_raw_response.create(**sent)
                reply = parse(raw.text, self.spec)
            except openai.OpenAIError as error:
                wanted = next_form(sent, error, self.optional)
                if wanted is None:
                    names = partial(served_names, client, self.spec)
                    raise refusal(error, self.spec, str(body["model"]), names) from error
                sent = changed(sent, wanted)
                learnt.append(wanted)
            else:
                # Only what helped: the server may have refused it for another reason.
                self._learnt += [change for change in learnt if change not in self._learnt]
                return reply

    def _spend(self) -> None:
        """Count a request, unless the budget forbids it."""
        with self._lock:
            spent, spec = self.replies.spent(self.purse), self.spec
            requests = spent.requests + self._failed + self._flying
            if spec.max_requests is not None and requests >= spec.max_requests:
                raise ValueError(
                    f"server {spec.place}: max_requests of {spec.max_requests} is reached: raise "
                    "it to go on"
                )
            if spec.max_tokens is not None and spent.tokens >= spec.max_tokens:
                raise ValueError(
                    f"server {spec.place}: max_tokens of {spec.max_tokens} is reached "
                    f"({spent.tokens} are spent): raise it to go on"
                )
            self._flying += 1
            self.counts.requests += 1


def _bracketed(*notes: str) -> str:
    """What is said behind a message, if there is anything."""
    given = ", ".join(note for note in notes if note)
    return f" ({given})" if given else ""
