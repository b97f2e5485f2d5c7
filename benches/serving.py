"""The server under load: a run's models asked by eight clients at once, one of them killed.

    python benches/serving.py runs/quickstart benches/results/serving.csv

Two hundred requests for four models, streamed and whole; a client is killed while its answer
streams. No request may be lost, and a dozen answers are held against those that the same policies
give alone: in float32 they are the same; in bfloat16 sums over several rows are rounded otherwise
than over one, and how many are the same is written down. So are requests and tokens a second, the
times of answers, and the server's memory before and after.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import statistics
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import polars as pl
import torch

import paretohqd as pq

CLIENTS, REQUESTS, TOKENS = 8, 200, 32
HELD = 12
"""Answers that are compared with those of a policy alone."""
JSON = {"Content-Type": "application/json"}
TALK = [{"role": "user", "content": "How do I sleep better?"}]
PORT = 8765


def main(folder: str, out: str) -> None:
    """Serve, ask, and write the figures."""
    run = pq.load(folder)
    first, *_, last = run.preferences.values()
    between = [(3 * a + b) / 4 for a, b in zip(first, last, strict=True)]
    models: list[Any] = [list(first), list(last), between, "base"]
    command = [sys.executable, "-m", "paretohqd", "serve", folder, "--port", str(PORT)]
    server = subprocess.Popen(command)
    try:
        wait_for()
        asked(0, models)
        before = memory(server.pid)
        gone = multiprocessing.Process(target=endless)
        gone.start()
        start = time.perf_counter()
        with ThreadPoolExecutor(CLIENTS) as pool:
            jobs = [pool.submit(asked, number, models) for number in range(REQUESTS)]
            time.sleep(1)
            gone.kill()
            answers = [job.result() for job in jobs]
        seconds, after = time.perf_counter() - start, memory(server.pid)
    finally:
        server.terminate()
        server.wait()
    assert len(answers) == REQUESTS, "no request is lost"
    same = 0
    for at, weights in enumerate(models[:3]):
        policy = run.policy(weights)
        for number in range(at, 4 * len(models), len(models)):
            alone = policy.generate(TALK, seed=number, max_new_tokens=TOKENS)
            same += answers[number][0] == alone
    dtype = next(run.model(None)[0].parameters()).dtype
    assert same == HELD or dtype == torch.bfloat16, "as the policy answers alone"
    times = sorted(time for _, _, time in answers)
    row = {
        "clients": CLIENTS,
        "requests": REQUESTS,
        "lost": 0,
        "same": same / HELD,
        "format": str(dtype).removeprefix("torch."),
        "seconds": seconds,
        "requests_per_second": REQUESTS / seconds,
        "tokens_per_second": sum(tokens for _, tokens, _ in answers) / seconds,
        "median_seconds": statistics.median(times),
        "p95_seconds": times[int(0.95 * len(times))],
        "mb_before": before,
        "mb_after": after,
    }
    print(json.dumps(row, indent=1))
    Path(out).parent.mkdir(parents=True, exist_ok=True)
    pl.DataFrame([row]).write_csv(out, float_precision=2)


def name(model: Any) -> str:
    """What a request calls a model."""
    return model if isinstance(model, str) else "w:" + ",".join(map(str, model))


def asked(number: int, models: list[Any]) -> tuple[str, int, float]:
    """An answer, its tokens and its seconds; whoever is turned away comes again."""
    body = {"model": name(models[number % len(models)]), "messages": TALK, "seed": number}
    start = time.perf_counter()
    while True:
        connection = HTTPConnection("127.0.0.1", PORT, timeout=120)
        connection.request(
            "POST", "/v1/chat/completions", json.dumps({**body, "max_tokens": TOKENS}), JSON
        )
        reply = connection.getresponse()
        said = json.loads(reply.read())
        connection.close()
        if reply.status == 200:
            break
        assert reply.status == 429, said
        time.sleep(0.5)
    text, tokens = said["choices"][0]["message"]["content"], said["usage"]["completion_tokens"]
    return text, tokens, time.perf_counter() - start


def endless() -> None:
    """A client that would listen for long."""
    connection = HTTPConnection("127.0.0.1", PORT)
    body = {"model": "base", "messages": TALK, "max_tokens": 1500, "stream": True}
    connection.request("POST", "/v1/chat/completions", json.dumps(body), JSON)
    connection.getresponse().read()


def wait_for() -> None:
    """Until the server answers."""
    while True:
        try:
            connection = HTTPConnection("127.0.0.1", PORT)
            connection.request("GET", "/health")
            if connection.getresponse().status == 200:
                return
        except OSError:
            time.sleep(0.2)


def memory(pid: int) -> float:
    """Resident memory of a process in MB."""
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


if __name__ == "__main__":
    main(*sys.argv[1:])
