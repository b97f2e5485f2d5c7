"""Ray where it is asked for: its import, blocks in their order, and errors in one line.

What a task raises, Ray Data shows as a page of traceback and forgets the cause of. A ValueError,
which is for the caller to read, therefore travels as an answer and is raised on the caller's side;
what was not foreseen keeps its traceback.
"""

from __future__ import annotations

import pickle
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from paretohqd.exceptions import MissingPackageError
from paretohqd.frames import offline

try:
    import pyarrow as pa
    import ray
    import ray.data
except ImportError as error:
    raise MissingPackageError(
        "running on several machines needs Ray: pip install 'paretohqd[ray]'"
    ) from error

__all__ = ["answers", "in_order", "pa", "packed", "ray", "stay_here", "unpacked"]


def stay_here() -> None:
    """Refuse a cluster of other machines where PARETOHQD_OFFLINE is set; else nothing.

    Ray's connections are its own, which no guard of Python's sockets sees. A Ray that has not begun
    begins here as one of this machine alone: by itself it would join what RAY_ADDRESS names, or
    what was started here before.

    Raises:
        ValueError: Ray has begun, and other machines take part.
    """
    if not offline.is_offline():
        return
    if not ray.is_initialized():
        ray.init(address="local", include_dashboard=False)
    others = {
        node["NodeManagerHostname"]
        for node in ray.nodes()
        if node["Alive"] and not offline.is_here(node["NodeManagerHostname"])
    }
    if others:
        offline.refuse(f"the Ray cluster with {', '.join(sorted(others))}")


@contextmanager
def in_order(dataset: Any) -> Iterator[None]:
    """Have a dataset's blocks come in the order of its input, whichever task is done first."""
    options = dataset.context.execution_options
    before = options.preserve_order
    options.preserve_order = True
    try:
        yield
    finally:
        options.preserve_order = before


def packed(work: Callable[[], object]) -> pa.Table:
    """The answer that some work gives, or the ValueError that it raises, as a block of one row."""
    try:
        answer = work()
    except ValueError as error:
        answer = ValueError(str(error))  # a subclass may not survive the journey
    cell = pickle.dumps(answer, protocol=pickle.HIGHEST_PROTOCOL)
    return pa.table({"answer": pa.array([cell], pa.large_binary())})


def unpacked(block: pa.Table) -> Iterator[Any]:
    """The answers in a block: Ray may put those of several tasks into one, or none.

    Raises:
        ValueError: One of them is an error.
    """
    for cell in block["answer"] if block.num_rows else ():
        answer = pickle.loads(cell.as_buffer())
        if isinstance(answer, ValueError):
            raise answer
        yield answer


def answers(dataset: Any) -> list[Any]:
    """Run a dataset whose blocks are `packed`; references to them, in the order of its input."""
    with in_order(dataset):
        return [ref for bundle in dataset.iter_internal_ref_bundles() for ref in bundle.block_refs]
