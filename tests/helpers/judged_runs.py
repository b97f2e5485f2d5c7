"""Runs of tiny models that a server samples and rates, and that die when it is asked."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from helpers.servers import Got, Said, as_json, failure, judging
from helpers.tiny_server import TinyServer


def rate(shown: dict[str, Any], name: str) -> float:
    """Kind are vowels, brief are few letters."""
    text = shown["answer"]
    vowels = sum(text.count(vowel) for vowel in "aeiou")
    return 1 + 9 * vowels / (1 + len(text)) if name == "kind" else 10 - min(9, len(text) / 20)


class Both:
    """A server of a tiny model and of a judge."""

    def __init__(self, folder: Path) -> None:
        self.tiny, self.judge = TinyServer(folder), judging(rate)

    def __call__(self, got: Got) -> Said:
        if got.path == "/v1/models":
            return as_json({"data": [{"id": "base"}, {"id": "judge"}]})
        return (self.judge if got.body.get("model") == "judge" else self.tiny)(got)


def served(url: str, **more: Any) -> dict[str, Any]:
    """Settings of `small_run` with servers at a URL."""
    judge = {
        "url": url,
        "model": "judge",
        "rubric": "Is the answer good?",
        "retries": 1,
        **more.pop("judge", {}),
    }
    return {
        "objectives": [
            {"name": "kind", "judge": judge},
            {"name": "brief", "judge": judge, "aspect": "Is it short?"},
        ],
        "generation__endpoint": {"url": url, "model": "base", "retries": 1},
        "generation__prompts": 5,
        "train__max_steps": 1,
        "preferences": 2,
        **more,
    }


class Killer:
    """Kills a process when its server gets a request for the n-th time."""

    def __init__(self, answer: Both) -> None:
        self.answer = answer
        self.process: subprocess.Popen[str] | None = None
        self.at: dict[str, int] = {}
        self.lock = threading.Lock()

    def __call__(self, got: Got) -> Said:
        kind = "judge" if got.body.get("model") == "judge" else "sample"
        if got.path.endswith("completions"):
            with self.lock:
                self.at[kind] = self.at.get(kind, 0) - 1
                if self.at[kind] == 0 and self.process is not None:
                    self.process.kill()
                    return failure(500)
        return self.answer(got)


@contextmanager
def started(file: Path, run: Path, *more: str) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        [sys.executable, "-m", "paretohqd", "run", str(file), "--run-folder", str(run), *more],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    try:
        yield process
    finally:
        process.kill()
        process.wait()
