"""Forked processes, Ctrl-C and threads that cannot be had: each in a process of its own."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import time

import pytest

# Far more than any of these programs takes on a busy machine: a call that hangs must not hang us.
HANGING = 120.0

linux = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
forks = pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")

CLOUD = """
import os, threading, time
import numpy as np
import paretohqd as pq

points = np.random.default_rng(0).random((50_000, 3))

def threads():
    names = [open(f"/proc/self/task/{task}/comm").read() for task in os.listdir("/proc/self/task")]
    return sum(name.startswith("paretohqd-") for name in names)
"""


def run(program: str, **options: object) -> str:
    """What a program prints that sees a cloud of points."""
    done = subprocess.run(
        [sys.executable, "-c", CLOUD + textwrap.dedent(program)],
        capture_output=True,
        text=True,
        timeout=HANGING,
        **options,  # type: ignore[call-overload]
    )
    assert done.returncode == 0, done.stderr
    return str(done.stdout)


@forks
@pytest.mark.parametrize("n_threads", [None, 1, 2, 5])
def test_a_forked_child_computes(n_threads: int | None) -> None:
    program = f"""
    call = lambda: pq.pareto_layers(points, n_threads={n_threads}).sum()
    expected = call()
    # A child of a child, too, each before and after the parent's next call.
    for depth in range(2):
        child = os.fork()
        if child:
            assert os.waitpid(child, 0)[1] == 0
            assert call() == expected
            os._exit(0)
        assert call() == expected
        assert call() == expected
    """
    run(program)


@forks
def test_a_child_forked_amid_calls_of_other_threads_computes() -> None:
    program = """
    expected = pq.pareto_layers(points).sum()
    done = threading.Event()

    def work():
        # Sizes in turn, so that pools come and go while the process forks.
        for turn in range(10**9):
            if done.is_set():
                return
            assert pq.pareto_layers(points[:20_000], n_threads=2 + turn % 6).min() == 0

    workers = [threading.Thread(target=work) for _ in range(3)]
    for worker in workers:
        worker.start()
    try:
        for _ in range(20):
            child = os.fork()
            if not child:
                ok = pq.pareto_layers(points).sum() == expected
                ok &= pq.pareto_layers(points, n_threads=3).sum() == expected
                os._exit(0 if ok else 1)
            assert os.waitpid(child, 0)[1] == 0
    finally:
        done.set()
    """
    run(program)


WORKERS = """
import multiprocessing, sys
from concurrent.futures import ProcessPoolExecutor
import numpy as np
import paretohqd as pq

points = np.random.default_rng(0).random((50_000, 3))

def work(seed):
    assert not np.isnan(points).any()
    return int(pq.pareto_layers(np.roll(points, seed, axis=0), n_threads=THREADS).sum())

if __name__ == "__main__":
    expected = work(0)
    context = multiprocessing.get_context(sys.argv[1])
    with context.Pool(2) as pool:
        assert pool.map(work, range(4)) == [expected] * 4
    with ProcessPoolExecutor(2, mp_context=context) as pool:
        assert list(pool.map(work, range(4))) == [expected] * 4
"""


@pytest.mark.parametrize("n_threads", [None, 1])
@pytest.mark.parametrize("start", ["fork", "forkserver", "spawn"])
def test_workers_of_multiprocessing_compute(
    start: str, n_threads: int | None, tmp_path: os.PathLike[str]
) -> None:
    import multiprocessing

    if start not in multiprocessing.get_all_start_methods():
        pytest.skip(f"no {start} here")
    path = os.path.join(tmp_path, "work.py")
    with open(path, "w") as file:
        file.write(WORKERS.replace("THREADS", str(n_threads)))
    subprocess.run([sys.executable, path, start], check=True, timeout=HANGING)


@forks
def test_workers_of_a_data_loader_compute() -> None:
    pytest.importorskip("torch")
    program = """
    import torch

    class Layers(torch.utils.data.Dataset):
        def __len__(self):
            return 4

        def __getitem__(self, i):
            return int(pq.pareto_layers(points).sum())

    expected = Layers()[0]
    loader = torch.utils.data.DataLoader(Layers(), num_workers=2, batch_size=None)
    assert list(loader) == [expected] * 4
    """
    run(program)


@linux
def test_no_thread_is_started_that_need_not_be() -> None:
    program = """
    small = points[:1000]
    for n_threads in (1, None):
        rows = points if n_threads == 1 else small
        wide = np.column_stack([small, small, small])[:20]
        pq.pareto_layers(rows, n_threads=n_threads)
        pq.pareto_front(rows, n_threads=n_threads)
        pq.pareto_layers(rows, by=np.arange(len(rows)) % 100, n_threads=n_threads)
        pq.hypervolume(rows, ref=[0] * 3, n_threads=n_threads)
        pq.hypervolume(wide, ref=[0] * 9, n_threads=n_threads)
        pq.hypervolume_contributions(wide, ref=[0] * 9, n_threads=n_threads)
        pq.hypervolume_contributions(rows, ref=[0] * 3, n_threads=n_threads)
        pq.hypervolume_estimate(small, ref=[0] * 3, samples=256, n_threads=1)
        assert threads() == 0, n_threads
    pq.pareto_layers(points, n_threads=3)
    assert threads() == 3
    # Four sizes are kept, those used last.
    for n_threads in (2, 3, 4, 5, 6, 7):
        pq.pareto_layers(points, n_threads=n_threads)
    deadline = time.monotonic() + 60
    while threads() > 4 + 5 + 6 + 7 and time.monotonic() < deadline:
        time.sleep(0.01)
    assert threads() == 4 + 5 + 6 + 7
    """
    for attempt in range(5):
        # Work that takes long is shared. So is a small call that a busy machine has put off.
        try:
            run(program)
            break
        except AssertionError:
            if attempt == 4:
                raise


@linux
def test_threads_that_cannot_be_started_are_an_error() -> None:
    program = """
    import resource

    pq.pareto_layers(points, n_threads=1)
    used = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
    # Address space for a few stacks, and no more.
    before = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (used + (60 << 20), before[1]))
    try:
        pq.pareto_layers(points, n_threads=8)
    except RuntimeError as error:
        assert "ask for fewer threads" in str(error), error
    else:
        raise SystemExit("eight threads were started")
    # Nothing is broken by that.
    resource.setrlimit(resource.RLIMIT_AS, before)
    assert (pq.pareto_layers(points, n_threads=2) == pq.pareto_layers(points, n_threads=1)).all()
    """
    run(program)


# Rows and objectives of a sphere, and a call that takes many seconds on it, most of them minutes.
LONG = {
    "hypervolume": (2500, 10, "pq.hypervolume(points, ref=[0] * 10, n_threads=THREADS)"),
    "hypervolume of four": (2_000_000, 4, "pq.hypervolume(points, ref=[0] * 4, n_threads=THREADS)"),
    "contributions": (
        *(2500, 9),
        "pq.hypervolume_contributions(points, ref=[0] * 9, n_threads=THREADS)",
    ),
    "volumes of groups": (
        *(6000, 10),
        "pq.hypervolume(points, ref=[0] * 10, by=np.arange(6000) % 3, n_threads=THREADS)",
    ),
    "layers": (1_000_000, 8, "pq.pareto_layers(points, n_threads=THREADS)"),
    "layers of groups": (
        *(1_000_000, 8),
        "pq.pareto_layers(points, by=np.arange(1_000_000) % 2, n_threads=THREADS)",
    ),
    "first layers": (1_000_000, 8, "pq.pareto_layers(points, upto=50, n_threads=THREADS)"),
    "estimate": (
        *(20_000, 9),
        "pq.hypervolume_estimate(points, ref=[0] * 9, samples=2**28, n_threads=THREADS)",
    ),
    "rays": (
        *(1_000_000, 5),
        "pq.nearest_to_rays(points, np.ones(5), rays, k=1000, n_threads=THREADS)",
    ),
}

INTERRUPTED = """
import numpy as np
import paretohqd as pq

rng = np.random.default_rng(0)
points = np.abs(rng.standard_normal((ROWS, OBJECTIVES)))
points /= np.linalg.norm(points, axis=1, keepdims=True)
rays = 1 - rng.dirichlet(np.ones(OBJECTIVES), 20_000)
print("begins", flush=True)
CALL
"""


@pytest.mark.parametrize("n_threads", [1, 2])
@pytest.mark.parametrize("name", LONG)
def test_ctrl_c_ends_a_call(name: str, n_threads: int) -> None:
    rows, objectives, call = LONG[name]
    program = INTERRUPTED.replace("CALL", call.replace("THREADS", str(n_threads)))
    program = program.replace("ROWS", str(rows)).replace("OBJECTIVES", str(objectives))
    with subprocess.Popen(
        [sys.executable, "-c", program],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "begins\n"
            time.sleep(0.5)
            assert process.poll() is None, "the call ended before it was interrupted"
            process.send_signal(signal.SIGINT)
            _, errors = process.communicate(timeout=HANGING)
        finally:
            process.kill()
    assert process.returncode == -signal.SIGINT, errors
    assert errors.rstrip().endswith("KeyboardInterrupt"), errors


def test_what_a_signal_raises_comes_out_and_other_signals_stop_nothing() -> None:
    program = """
    import signal

    seen = []

    def handler(number, frame):
        # A handler may call kernels, too.
        seen.append(pq.pareto_layers(points, n_threads=2).max())
        if len(seen) == 3:
            raise LookupError("from the handler")

    signal.signal(signal.SIGALRM, handler)
    many = points[:900].reshape(300, 9)
    for n_threads in (1, 2):
        seen.clear()
        signal.setitimer(signal.ITIMER_REAL, 0.2, 0.2)
        try:
            while True:
                pq.hypervolume(many, ref=[-1] * 9, n_threads=n_threads)
        except LookupError as error:
            assert str(error) == "from the handler"
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
        assert len(seen) == 3
    """
    run(program)
