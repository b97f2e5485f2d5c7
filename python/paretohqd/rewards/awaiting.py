"""The event loop in which functions are awaited: one, as long as the process lives.

A module's semaphores, locks and clients belong to the loop that first waited for them. With a loop
for each call they would fail from the second piece of rows on.
"""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Awaitable
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import suppress
from typing import Any

GRACE = 5.0
"""Seconds that a function has to clean up after Ctrl-C."""

POLL = 0.1
"""Seconds after which Ctrl-C is seen, whichever thread the system tells of it."""

_loops: dict[int, asyncio.AbstractEventLoop] = {}
"""By process: a forked child finds its parent's loop, whose thread it has not."""


def awaited(returned: Awaitable[Any]) -> Any:
    """The result of what is awaited, also where a loop is running already, as in a notebook."""
    over = threading.Event()

    async def work() -> Any:
        try:
            return await returned
        finally:
            over.set()

    loop = _loop()
    if _running() is loop:  # a function that scores by another one: its own loop waits for it
        with ThreadPoolExecutor(1) as thread:
            return thread.submit(asyncio.run, work()).result()
    result = asyncio.run_coroutine_threadsafe(work(), loop)
    try:
        while not wait([result], POLL).done:
            pass
        return result.result()
    except BaseException:
        if not over.is_set():
            result.cancel()
            over.wait(GRACE)
        raise


def _loop() -> asyncio.AbstractEventLoop:
    """The loop of this process, which runs in a thread that nobody waits for at the end."""
    process = os.getpid()
    if process not in _loops:
        made = asyncio.new_event_loop()
        if _loops.setdefault(process, made) is made:
            threading.Thread(target=_run, args=(made,), name="awaiting", daemon=True).start()
        else:  # another thread was first
            made.close()
    return _loops[process]


def _run(loop: asyncio.AbstractEventLoop) -> None:
    asyncio.set_event_loop(loop)
    while True:
        with suppress(SystemExit, KeyboardInterrupt):  # they go on where the function was called
            loop.run_forever()


def _running() -> asyncio.AbstractEventLoop | None:
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None
