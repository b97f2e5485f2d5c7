"""The tests of the core and its docstrings, against the paretohqd that is installed.

NumPy and Polars are all that the package needs there; the tests need what `locks/core.txt` names,
and no torch: `python tests/core.py`. Further arguments go to pytest.
"""

from __future__ import annotations

import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

TESTS = Path(__file__).parent

FOLDERS = ("kernels", "frames", "selection", "cli")
"""Rooms that work without the training stack."""

TRAINING = (
    "selection/test_trained_layouts.py",
    "selection/test_texts.py",
)
"""Files in these folders that train or load models; single tests are marked `train`."""

ROOMS = ("kernels", "frames", "selection")
"""Rooms whose docstrings are run."""


def main(more: list[str]) -> int:
    """Run them and return pytest's exit code."""
    package = find_spec("paretohqd")
    assert package is not None
    assert package.submodule_search_locations is not None
    place = Path(package.submodule_search_locations[0])
    print(f"paretohqd in {place}", flush=True)
    return subprocess.call(
        [
            *(sys.executable, "-m", "pytest", "--numprocesses", "auto", "--dist", "loadfile"),
            *("--doctest-modules", "--pyargs", "-m", "not train", *more),
            *(f"--ignore={TESTS / name}" for name in TRAINING),
            *(str(TESTS / folder) for folder in FOLDERS),
            *(f"paretohqd.{room}" for room in ROOMS),
        ],
        cwd=TESTS.parent,
    )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
