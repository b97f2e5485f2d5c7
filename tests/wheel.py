"""Install a built wheel alone into an empty environment, and test it: `python tests/wheel.py dist`.

First it must work with what it brings, NumPy and Polars; then what the tests need is added, and the
core tests and the docstrings run against what is installed. Further arguments go to pytest.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import venv
from pathlib import Path

ROOT = Path(__file__).parents[1]

ALONE = """
import sys
import polars as pl
import paretohqd as pq
frame = pl.DataFrame({"a": [1.0, 2.0, 0.0], "b": [1.0, 0.0, 0.5]})
assert frame.pareto.layers(["a", "b"])["layer"].to_list() == [0, 0, 1]
assert len(pq.select(frame, ["a", "b"], 3, k=1)) == 3
assert "torch" not in sys.modules
from importlib.metadata import distributions
print("with", *sorted(f"{d.name} {d.version}" for d in distributions()))
"""


def main(folder: Path, *more: str) -> int:
    """Test the newest wheel of a folder; pytest's exit code."""
    wheels = sorted(folder.glob("*.whl"), key=lambda path: path.stat().st_mtime)
    if not wheels:
        raise SystemExit(f"{folder}: no wheel")
    wheel = wheels[-1].resolve()
    print(f"{wheel.name}: {wheel.stat().st_size / 1e6:.2f} MB", flush=True)
    with tempfile.TemporaryDirectory() as made:
        venv.create(made, with_pip=True)
        python = str(Path(made, "Scripts/python.exe" if os.name == "nt" else "bin/python"))
        pip = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        subprocess.check_call([*pip, str(wheel)])
        subprocess.check_call([python, "-c", ALONE], cwd=made)
        subprocess.check_call(
            [*pip, "--require-hashes", "--no-deps", "--requirement", str(ROOT / "locks/core.txt")]
        )
        return subprocess.call([python, str(ROOT / "tests/core.py"), *more])


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), *sys.argv[2:]))
