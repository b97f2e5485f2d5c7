"""A stage of a run folder that costs nothing, and what can be done to its files."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from paretohqd.runs.folder import RunFolder


class Work:
    """Writes two files and counts how often it was asked to."""

    def __init__(self, text: str = "result", inside: Callable[[Path], None] | None = None) -> None:
        self.text, self.calls, self.inside = text, 0, inside

    def __call__(self, out: Path) -> dict[str, Any]:
        self.calls += 1
        if self.inside:
            self.inside(out)
        (out / "a.txt").write_text(self.text)
        (out / "deep").mkdir(exist_ok=True)
        (out / "deep" / "b.bin").write_bytes(bytes(range(256)))
        return {"rows": 3}


def do(run: RunFolder, work: Callable[[Path], Any], name: str = "stage1/score", **key: Any) -> Any:
    return run.stage(name, work, **{"settings": {"k": 1}, "inputs": {"data": "x"}, **key})


def flip_bit(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
