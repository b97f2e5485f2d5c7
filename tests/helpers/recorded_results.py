"""Results of everything public, on generated data: their hashes are recorded and compared.

    PYTHONPATH=tests:python python -m helpers.recorded_results

writes `recorded_bytes.json` beside the tests: {name of a call: hash of its result}.
"""

from __future__ import annotations

import json
import tempfile
import warnings
from collections.abc import Mapping
from pathlib import Path

from helpers import (
    array_results,
    command_results,
    foreign_calls,
    frame_results,
    indicator_results,
    public_results,
    state_results,
)
from helpers.digests import digest
from helpers.world import Call, World

RECORD = Path(__file__).resolve().parents[1] / "recorded_bytes.json"

RESULTS: dict[str, Call] = {
    **public_results.RESULTS,
    **array_results.RESULTS,
    **indicator_results.RESULTS,
    **frame_results.RESULTS,
    **foreign_calls.RESULTS,
    **state_results.RESULTS,
    **command_results.RESULTS,
}


def hashes(calls: Mapping[str, Call], threads: int | None = None) -> dict[str, str]:
    """The hash of each call's result."""
    results = {}
    for name, call in calls.items():
        with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
            warnings.simplefilter("ignore")
            results[name] = digest(call(World(Path(folder).resolve(), threads)))
    return results


def main() -> None:
    """Record what all calls give now."""
    result = hashes(RESULTS)
    RECORD.write_text(json.dumps(result, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    print(f"{len(result)} results in {RECORD.name}")


if __name__ == "__main__":
    main()
