"""A finished run of tiny models, for all tests of this folder."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def finished(parts: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of a run of two stages with three named preferences."""
    from helpers.small_run import do, settings

    run = tmp_path_factory.mktemp("finished") / "run"
    named = {"kind": [1.0, 0.0], "both": [0.5, 0.5], "brief": [0.0, 1.0]}
    do(settings(parts, str(run), preferences=named, train__learning_rate=5e-2))
    return run


@pytest.fixture
def copied(finished: Path, parts: Path, tmp_path: Path) -> Path:
    """The run, and its base beside it, which the configuration names."""
    shutil.copytree(finished, tmp_path / "run")
    shutil.copytree(parts / "model", tmp_path / "model")
    return tmp_path / "run"
