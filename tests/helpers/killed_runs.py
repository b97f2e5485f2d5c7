"""Runs that die at a chosen point, each in a process of its own.

Importing torch and its company takes longer than a tiny run. So this script imports them once and
forks a child for every attempt: it reads one JSON object per line, {"config": file, "run": folder,
"die": name of a point or null, "log": file, "env": {}}, and answers with the child's exit status.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO


def kill() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def at_call(module: Any, name: str, number: int = 1, do: Callable[[], None] = kill) -> None:
    """Die when `module.name` is called for the n-th time."""
    original, calls = getattr(module, name), [0]

    def counted(*args: Any, **more: Any) -> Any:
        calls[0] += 1
        if calls[0] == number:
            do()
        return original(*args, **more)

    setattr(module, name, counted)


def at_half(ending: str) -> None:
    """Die when half of the file whose path ends like this is written."""
    from paretohqd.frames import new_files

    open_new = new_files.open_new

    @contextmanager
    def opened(path: Path, **more: Any) -> Iterator[BinaryIO]:
        with open_new(path, **more) as file:
            yield file
        if str(path).endswith(ending):
            path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
            kill()

    for module in list(sys.modules.values()):  # also where it was imported by its name
        if getattr(module, "open_new", None) is open_new:
            setattr(module, "open_new", opened)  # noqa: B010


def at_rename(ending: str) -> None:
    """Die just before a file or folder takes a name that ends like this."""
    replace = Path.replace

    def watched(path: Path, target: Any) -> Path:
        if str(target).endswith(ending):
            kill()
        return replace(path, target)

    Path.replace = watched  # type: ignore[method-assign]


def at_step(fit: int, step: int, number: int = signal.SIGKILL) -> None:
    """Send a signal after a training step of the n-th fit that this process does."""
    from paretohqd.trainers import training

    begin, begun = training.Steps.__init__, [0]

    def counted(self: Any, on_step: Callable[[int, int], None]) -> None:
        begun[0] += 1
        mine = begun[0]

        def watched(done: int, total: int) -> None:
            on_step(done, total)
            if (mine, done) == (fit, step):
                os.kill(os.getpid(), number)

        begin(self, watched)

    training.Steps.__init__ = counted  # type: ignore[method-assign]


def points() -> dict[str, Callable[[], None]]:
    """Where a run can die, in the order in which it comes by."""
    from transformers import Trainer

    from paretohqd.models import answer_batch, sampling
    from paretohqd.rewards import classifier
    from paretohqd.runs import evaluation, report, selecting
    from paretohqd.trainers import training

    return {
        "before run.json": lambda: at_rename("run/run.json"),
        "half of held_out.parquet": lambda: at_half("held_out.parquet"),
        "stage 1, second reward": lambda: at_call(classifier, "score_batches", 2),
        "half of scored.parquet": lambda: at_half("scored.parquet"),
        "stage 1, choosing": lambda: at_call(selecting, "choose_by_rule"),
        "half of selection.parquet": lambda: at_half("selection.parquet"),
        "stage 1, second fit, before a checkpoint": lambda: at_step(2, 1),
        "stage 1, fit, after a checkpoint": lambda: at_step(1, 3),
        "stage 1, fit, within a checkpoint": lambda: at_call(Trainer, "_save_rng_state", 1),
        "stage 1, fit, adapter saved": lambda: at_half("log.json"),
        "stage 1, third fit, before its name": lambda: at_rename("stage1/fit/02"),
        "sampling for stage 2": lambda: at_call(answer_batch.NucleusSampler, "draw", 12),
        "half of answers.parquet": lambda: at_half("answers.parquet"),
        "stage 2, choosing": lambda: at_call(selecting, "choose_by_rule"),
        "stage 2, second fit": lambda: at_step(2, 3),
        "stage 2, manifest of a fit": lambda: at_half("fit/01.work/manifest.json"),
        "sampling for evaluation": lambda: at_call(answer_batch.NucleusSampler, "draw", 20),
        "measuring": lambda: at_call(evaluation, "measure", 3),
        "half of metrics.json": lambda: at_half("metrics.json"),
        "writing the report": lambda: at_call(report, "write_report"),
        "interrupted in a fit": lambda: at_step(2, 2, signal.SIGINT),
        "interrupted in sampling": lambda: at_call(
            sampling, "decode_batch", 2, lambda: os.kill(os.getpid(), signal.SIGINT)
        ),
        "full disk in a fit": lambda: at_call(training, "save_adapter", 2, full_disk),
    }


def full_disk() -> None:
    """No file of this process may grow beyond a kilobyte from here on."""
    import resource

    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))


def attempt(order: dict[str, Any]) -> int:
    """One run in this process; the exit code."""
    os.environ.update(order.get("env", {}))
    if order["die"] is not None:
        points()[order["die"]]()
    from paretohqd.cli.main import main

    return main(["run", order["config"], "--run-folder", order["run"]])


def serve() -> None:
    import altair  # noqa: F401
    import datasets  # noqa: F401
    import peft  # noqa: F401
    import torch
    import trl
    from transformers import (  # noqa: F401
        GPT2ForSequenceClassification,
        LlamaForCausalLM,
        LlamaForSequenceClassification,
        PreTrainedTokenizerFast,
    )

    assert trl.SFTTrainer
    torch.set_num_threads(1)
    # Polars starts threads when it is imported, and threads do not survive a fork.
    assert "polars" not in sys.modules
    for line in sys.stdin:
        order = json.loads(line)
        sys.stdout.flush()
        child = os.fork()
        if child == 0:
            log = os.open(order["log"], os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
            os.dup2(log, 1)
            os.dup2(log, 2)
            code = 99
            try:
                code = attempt(order)
            except BaseException:
                import traceback

                traceback.print_exc()
            finally:
                sys.stdout.flush()
                sys.stderr.flush()
                os._exit(code)
        _, status = os.waitpid(child, 0)
        print(os.waitstatus_to_exitcode(status), flush=True)


if __name__ == "__main__":
    serve()
