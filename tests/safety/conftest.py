"""What every attack is made beside."""

from __future__ import annotations

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
