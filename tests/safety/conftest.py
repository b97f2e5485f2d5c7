"""What every attack is made beside."""

from __future__ import annotations

import io
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from helpers.planted import make_victims, snapshot


@pytest.fixture
def victims(tmp_path: Path) -> Iterator[Path]:
    """A folder outside of all runs, which must be the same afterwards."""
    home = tmp_path / "victims"
    make_victims(home)
    before = snapshot(home)
    yield home
    assert snapshot(home) == before


@pytest.fixture
def answers_yes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever is asked says yes: nobody must be asked."""
    monkeypatch.setattr("builtins.input", lambda *question: "y")
    monkeypatch.setattr("sys.stdin", io.StringIO("y\n" * 100))


@pytest.fixture
def no_modules_of_models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Code that models bring is copied below the test's own folder, and forgotten."""
    from transformers import dynamic_module_utils

    monkeypatch.setattr(dynamic_module_utils, "HF_MODULES_CACHE", str(tmp_path / "modules"))
    monkeypatch.setattr(sys, "path", list(sys.path))
