"""What trackers get: a run for each adapter, with its name and the group that it belongs to."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any

BOARD, GROUP = "TENSORBOARD_LOGGING_DIR", "WANDB_RUN_GROUP"
"""Variables by which transformers' callbacks and wandb are told."""


@contextmanager
def tracked(group: str | None, name: str | None) -> Iterator[None]:
    """Let what is trained within be a run of its own, in a group.

    TensorBoard's files lie in a folder of group and name below TENSORBOARD_LOGGING_DIR; wandb gets
    the group, and begins another run afterwards.

    Args:
        group: What the adapters of a run have in common; None leaves all as it is.
        name: The adapter's.
    """
    if group is None or name is None:
        yield
        return
    before = {variable: os.environ.get(variable) for variable in (BOARD, GROUP)}
    if (place := before[BOARD]) is not None:
        os.environ[BOARD] = str(board(place, group, name))
    os.environ.setdefault(GROUP, group)
    try:
        yield
    finally:
        for variable, value in before.items():
            if value is None:
                os.environ.pop(variable, None)
            else:
                os.environ[variable] = value
        if "wandb" in sys.modules and getattr(sys.modules["wandb"], "run", None) is not None:
            sys.modules["wandb"].finish()  # or the next adapter's losses would go on in this run


def board(place: str, group: str, name: str) -> Path:
    """Folder of a tracked adapter's files.

    Example:
        >>> board("logs", "mine", "stage1-00-kind").as_posix()
        'logs/mine/stage1-00-kind'
    """
    return Path(place).expanduser() / group / name


def wants_board(report_to: Any) -> bool:
    """Whether a setting names TensorBoard."""
    return "tensorboard" in ([report_to] if isinstance(report_to, str) else list(report_to or ()))


def log_measures(group: str, name: str, values: Mapping[str, float], *, step: int) -> None:
    """Write what a model reached beside its losses, for TensorBoard.

    Args:
        group: As for `tracked`.
        name: Likewise.
        values: By the names of what was measured.
        step: How far the model was trained.
    """
    try:
        boards = import_module("torch.utils.tensorboard")
    except ImportError:
        boards = import_module("tensorboardX")
    place = board(os.environ[BOARD], group, name)
    with boards.SummaryWriter(str(place)) as writer:
        for key, value in values.items():
            writer.add_scalar(f"eval/{key}", value, step)
