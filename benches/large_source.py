"""Memory of a run's first stages on more answers than memory holds: split, score, select.

    python benches/large_source.py FOLDER [ROWS]

Makes ROWS answers (10,000,000) of about 1 kB in Parquet files of FOLDER, which takes up to three
times their size on the disk, and runs the stages on them with rules as scorers and a tiny model's
tokenizer, each measured alone: its peak of resident memory, and its time.
"""

import json
import resource
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import polars as pl

ROWS = 10_000_000
FILE_ROWS = 500_000


def make(folder: Path, rows: int) -> None:
    """Prompts of 100 to 300 characters, each with four answers of 600 to 900."""
    folder.mkdir(parents=True)
    rng = np.random.default_rng(0)
    letters = "".join(rng.choice(list("abcdefghijklmnop qrstuvwxyz. "), 1_000_000))
    for number, start in enumerate(range(0, rows, FILE_ROWS)):
        n = min(FILE_ROWS, rows - start)
        prompt = (start + np.arange(n)) // 4
        places = rng.integers(0, 990_000, n)
        sizes = rng.integers(600, 900, n)
        texts = [letters[a : a + b] + "." for a, b in zip(places, sizes, strict=True)]
        asked = [f"{p} " + letters[p * 97 % 990_000 :][: 100 + p % 200] for p in prompt.tolist()]
        pl.DataFrame({"prompt": asked, "response": texts}).write_parquet(
            folder / f"{number:03d}.parquet", row_group_size=50_000
        )


def configuration(folder: Path) -> dict[str, object]:
    sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
    from helpers.tiny import tiny_causal

    model = folder / "model"
    if not model.exists():
        tiny_causal(model)
    return {
        "run": str(folder / "run"),
        "model": {"name": str(model)},
        "data": {"source": str(folder / "rows"), "invalid": "drop", "held_out": 100},
        "objectives": [
            {
                "name": "terse",
                "scorer": "rule:length",
                "options": {"most": 500, "unit": "characters"},
            },
            {"name": "wordy", "scorer": "rule:length", "options": {"least": 90}},
        ],
        "preferences": 3,
        "selection": {"k": 100},
        "stages": 1,
        "device": "cpu",
        "precision": "float32",
    }


def stage(folder: Path, name: str) -> None:
    """One stage, those before it being there; prints its seconds and its peak of memory."""
    from paretohqd.runs import config, pipeline
    from paretohqd.runs.context import RunContext

    s = RunContext(config.from_mapping(config.Config, configuration(folder)))
    begin = time.perf_counter()
    made = pipeline.split(s)
    if name in ("score", "select"):
        made = pipeline.score(s, 1, made)
    if name == "select":
        pipeline.select(s, 1, made)
    seconds = time.perf_counter() - begin
    s.folder.close()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    print(json.dumps({"stage": name, "seconds": round(seconds, 1), "gigabytes": round(peak, 2)}))


def main() -> None:
    folder = Path(sys.argv[1])
    if len(sys.argv) > 3:
        stage(folder, sys.argv[3])
        return
    rows = int(sys.argv[2]) if len(sys.argv) > 2 else ROWS
    if not (folder / "rows").exists():
        make(folder / "rows", rows)
    size = sum(file.stat().st_size for file in (folder / "rows").iterdir())
    print(json.dumps({"rows": rows, "gigabytes of files": round(size / 1e9, 2)}))
    for name in ("split", "score", "select"):
        subprocess.run([sys.executable, __file__, str(folder), str(rows), name], check=True)


if __name__ == "__main__":
    main()
