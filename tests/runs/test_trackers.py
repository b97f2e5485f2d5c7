"""What a tracker gets of a run."""

from __future__ import annotations

import os
import struct
from pathlib import Path
from types import SimpleNamespace

import pytest

from helpers.small_run import do, settings
from paretohqd.runs.metrics import Metrics
from paretohqd.trainers.tracking import tracked, wants_board

pytestmark = pytest.mark.slow


def scalars(folder: Path) -> dict[str, list[tuple[int, float]]]:
    """Tags with (step, value) of all event files in a folder."""
    from tensorboardX.proto.event_pb2 import Event

    found: dict[str, list[tuple[int, float]]] = {}
    for file in sorted(folder.glob("events.*")):
        data, at = file.read_bytes(), 0
        while at < len(data):
            (length,) = struct.unpack("<Q", data[at : at + 8])
            event = Event.FromString(data[at + 12 : at + 12 + length])
            at += 12 + length + 4
            for value in event.summary.value:
                if value.HasField("simple_value"):
                    found.setdefault(value.tag, []).append((event.step, value.simple_value))
    return found


def test_a_run_for_each_adapter_with_what_it_reached(
    parts: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    logs = tmp_path / "logs"
    monkeypatch.setenv("TENSORBOARD_LOGGING_DIR", str(logs))
    named = {"kind": [1.0, 0.0], "brief": [0.0, 1.0]}
    chosen = settings(
        parts, str(tmp_path / "mine"), preferences=named, train__report_to="tensorboard"
    )
    do(chosen)
    adapters = [f"stage{stage}-{name}" for stage in (1, 2) for name in ("00-kind", "01-brief")]
    assert sorted(path.name for path in (logs / "mine").iterdir()) == adapters
    measured = Metrics.from_json((tmp_path / "mine/evaluate/summary/metrics.json").read_text())
    for name in adapters:
        found = scalars(logs / "mine" / name)
        assert [step for step, _ in found["train/loss"]] == [1, 2, 3]
        model = next(m for m in measured.models if name.startswith(m.model))
        for objective in ("kind", "brief"):
            ((step, value),) = found[f"eval/{objective}"]
            assert step == 3
            assert value == pytest.approx(model.reward[objective].mean, rel=1e-5)
    assert os.environ["TENSORBOARD_LOGGING_DIR"] == str(logs)
    assert "WANDB_RUN_GROUP" not in os.environ


def test_wandb_gets_a_group_and_ends_with_the_adapter(monkeypatch: pytest.MonkeyPatch) -> None:
    """A stand-in: wandb itself is not installed here."""
    ended = []
    wandb = SimpleNamespace(run="a run", finish=lambda: ended.append(1))
    monkeypatch.setitem(__import__("sys").modules, "wandb", wandb)
    monkeypatch.delenv("TENSORBOARD_LOGGING_DIR", raising=False)
    with tracked("mine", "stage1-00"):
        assert os.environ["WANDB_RUN_GROUP"] == "mine"
        assert "TENSORBOARD_LOGGING_DIR" not in os.environ
    assert ended == [1]
    with pytest.raises(RuntimeError), tracked("mine", "stage1-00"):
        raise RuntimeError
    assert ended == [1, 1]
    assert "WANDB_RUN_GROUP" not in os.environ
    monkeypatch.setenv("WANDB_RUN_GROUP", "the user's")
    with tracked("mine", "stage1-00"):
        assert os.environ["WANDB_RUN_GROUP"] == "the user's"
    with tracked(None, None):
        assert os.environ["WANDB_RUN_GROUP"] == "the user's"
    assert len(ended) == 3
    assert wants_board(["none", "tensorboard"])
    assert not wants_board("none")
