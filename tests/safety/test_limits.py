"""Files that are small and become large: refused before the memory is taken, or read in parts."""

from __future__ import annotations

import gzip
import json
import resource
import subprocess
import sys
import time
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl
import pytest

import paretohqd as pq
from helpers.offline_answers import Parts
from paretohqd.frames.reading import sizes
from paretohqd.frames.sources import Source, read_frame
from paretohqd.runs import sections
from paretohqd.runs.data import draw_rows

MB = 1_000_000


@pytest.fixture
def small_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine of 64 MB: 32 for rows, 16 for unpacked text, 4 for a JSON array."""
    monkeypatch.setattr(sizes, "machine_memory", lambda: 64 * MB)


def parquet_text(file: Path) -> None:
    """One long text many times: a dictionary of one entry."""
    text = pl.repeat("x" * 16384, 100_000, eager=True)
    pl.DataFrame({"prompt": text, "response": text}).write_parquet(file)


def parquet_numbers(file: Path) -> None:
    pl.DataFrame({"a": np.zeros(20_000_000)}).write_parquet(file)


def parquet_columns(file: Path) -> None:
    rows = np.zeros((20_000, 500))
    pl.DataFrame(rows, schema=[f"c{i}" for i in range(500)]).write_parquet(file)


def parquet_lists(file: Path) -> None:
    pl.DataFrame({"a": pl.repeat([0.0] * 1000, 20_000, eager=True)}).write_parquet(file)


def parquet_structs(file: Path) -> None:
    text = pl.repeat("x" * 4096, 50_000, eager=True)
    pl.DataFrame({"t": text}).select(pl.struct("t").alias("s")).write_parquet(file)


def parquet_cell(file: Path) -> None:
    pl.DataFrame({"a": ["y", "x" * 50_000_000]}).write_parquet(file)


def arrow_text(file: Path) -> None:
    text = pl.repeat("x" * 16384, 10_000, eager=True)
    pl.DataFrame({"a": text}).write_ipc(file, compression="zstd")


def csv_gzip(file: Path) -> None:
    with gzip.open(file, "wb") as packed:
        packed.write(b"a,b\n" + b"1,2\n" * 10_000_000)


def csv_gzip_parts(file: Path) -> None:
    """Many members, each of which is small."""
    part = gzip.compress(b"1,2\n" * 500_000)
    file.write_bytes(gzip.compress(b"a,b\n") + part * 20)


def csv_one_line(file: Path) -> None:
    with gzip.open(file, "wb") as packed:
        packed.write(b"a" * 40_000_000)


def jsonl_gzip(file: Path) -> None:
    with gzip.open(file, "wb") as packed:
        packed.write(b'{"a": 1, "b": 2}\n' * 2_000_000)


def jsonl_zlib(file: Path) -> None:
    file.write_bytes(zlib.compress(b'{"a": 1, "b": 2}\n' * 2_000_000))


def jsonl_zstd(file: Path) -> None:
    frame = pl.DataFrame({"a": pl.repeat("x" * 1000, 40_000, eager=True)})
    frame.lazy().sink_ndjson(file, compression="zstd")


def json_array(file: Path) -> None:
    file.write_text("[" + ",".join(['{"a": 1, "b": 2}'] * 400_000) + "]")


def json_array_gzip(file: Path) -> None:
    file.write_bytes(gzip.compress(b"[" + b",".join([b'{"a": 1, "b": 2}'] * 400_000) + b"]"))


def jsonl_keys(file: Path) -> None:
    """Each line has a key of its own: as many cells as lines times lines."""
    file.write_text("".join(json.dumps({f"k{i}": 1}) + "\n" for i in range(3000)))


BOMBS = {
    parquet_text: "rows.parquet",
    parquet_numbers: "rows.parquet",
    parquet_columns: "rows.parquet",
    parquet_lists: "rows.parquet",
    parquet_structs: "rows.parquet",
    parquet_cell: "rows.parquet",
    arrow_text: "rows.arrow",
    csv_gzip: "rows.csv.gz",
    csv_gzip_parts: "rows.csv.gz",
    csv_one_line: "rows.csv.gz",
    jsonl_gzip: "rows.jsonl.gz",
    jsonl_zlib: "rows.jsonl.zlib",
    jsonl_zstd: "rows.jsonl.zst",
    json_array: "rows.json",
    json_array_gzip: "rows.json.gz",
    jsonl_keys: "rows.jsonl",
}
PACKED = [bomb for bomb, name in BOMBS.items() if "z" in name.rpartition(".")[2]]


@pytest.mark.usefixtures("small_machine")
@pytest.mark.parametrize("bomb", BOMBS, ids=lambda bomb: bomb.__name__)
def test_what_would_not_fit_is_refused(bomb: Callable[[Path], None], tmp_path: Path) -> None:
    file = tmp_path / BOMBS[bomb]
    bomb(file)
    with pytest.raises(ValueError, match=r"rows.*(more than|unpacks to)"):
        read_frame(file)


@pytest.mark.usefixtures("small_machine")
@pytest.mark.parametrize("bomb", PACKED, ids=lambda bomb: bomb.__name__)
def test_packed_text_is_refused_in_selections_too(
    bomb: Callable[[Path], None], tmp_path: Path
) -> None:
    file = tmp_path / BOMBS[bomb]
    bomb(file)
    with pytest.raises(ValueError, match=r"rows.*(more than|unpacks to)"):
        pq.select(str(file), ["a", "b"], k=1)


@pytest.mark.usefixtures("small_machine")
@pytest.mark.parametrize("ending", ["csv.gz", "jsonl.gz", "jsonl.zlib", "jsonl.zst", "json.gz"])
def test_packed_files_that_fit_are_read(ending: str, tmp_path: Path) -> None:
    frame = pl.DataFrame({"a": range(1000), "b": [f"text {i}" for i in range(1000)]})
    kind, _, packing = ending.partition(".")
    file = tmp_path / f"rows.{ending}"
    if packing == "zst":
        frame.lazy().sink_ndjson(file, compression="zstd")
    else:
        text = {"csv": frame.write_csv, "jsonl": frame.write_ndjson, "json": frame.write_json}[
            kind
        ]()
        file.write_bytes((gzip if packing == "gz" else zlib).compress(text.encode()))
    assert read_frame(file).equals(frame)


def test_a_limit_can_be_set(tmp_path: Path) -> None:
    file = tmp_path / "rows.parquet"
    frame = pl.DataFrame({"a": ["text"] * 1000, "b": [[1, 2], [3]] * 500})
    frame.write_parquet(file)
    assert read_frame(file, memory_limit=MB).equals(frame)
    with pytest.raises(ValueError, match=r"rows\.parquet: its rows take more than 0\.0 MB"):
        read_frame(file, memory_limit=10_000)


@pytest.mark.parametrize("name", ["csv.gz", "jsonl.zlib", "csv.zst"])
def test_unpacked_sizes_are_bounds(name: str, tmp_path: Path) -> None:
    """Of incompressible and of repeated text, counted up to the limit and no further."""
    rng = np.random.default_rng(0)
    for text in (rng.bytes(3 * MB).hex().encode(), b"a,b\n" * MB, b"1\n"):
        file = tmp_path / f"rows.{name}"
        if name.endswith("zst"):
            lines = pl.DataFrame({"t": [text.decode().strip()]})
            lines.lazy().sink_csv(
                file, include_header=False, quote_style="never", compression="zstd"
            )
        else:
            file.write_bytes((gzip if name.endswith("gz") else zlib).compress(text))
        whole = sizes.unpacked_bytes(str(file), 100 * MB)
        assert len(text.strip()) <= whole
        assert sizes.unpacked_bytes(str(file), 1000) >= min(1000, len(text.strip()))


def test_a_row_group_of_equal_numbers_is_read_in_slices(tmp_path: Path) -> None:
    """230 kB that a selection would hold as 1.6 GB."""
    file = tmp_path / "rows.parquet"
    pl.DataFrame({"a": np.zeros(50_000_000), "b": np.zeros(50_000_000)}).write_parquet(
        file, row_group_size=50_000_000
    )
    batches = Source.of(str(file)).batches([pl.all()])
    assert len(next(batches)) == 64, "the first slice, which shows how large rows are"
    program = (
        "import resource, sys; from paretohqd.frames.sources import Source; import polars as pl\n"
        "before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "rows = sum(map(len, Source.of(sys.argv[1]).batches([pl.all()])))\n"
        "print(rows, (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, str(file)], capture_output=True, text=True, check=True
    )
    rows, grown = map(int, done.stdout.split())
    assert rows == 50_000_000
    assert grown < 400, "MB, of 800 in the row group"


def test_names_of_columns_are_compared_in_time(tmp_path: Path) -> None:
    file = tmp_path / "rows.csv"
    names = ",".join(f"c{i}" for i in range(60_000))
    file.write_text(f"{names},c7\n")
    start = time.process_time()
    with pytest.raises(ValueError, match="2 columns are called 'c7'"):
        Source.of(str(file))
    assert time.process_time() - start < 5, "every pair took 40 seconds"


def spec_of(tmp_path: Path, frame: pl.DataFrame, **more: object) -> sections.Data:
    file = tmp_path / "rows.parquet"
    frame.write_parquet(file)
    return sections.Data(source=str(file), held_out=1, **more)  # type: ignore[arg-type]


def prompts(n: int) -> pl.DataFrame:
    return pl.DataFrame({"prompt": [f"Question {i}?" for i in range(n)], "response": ["Yes."] * n})


def split(spec: sections.Data, seen: list[int]) -> object:
    def lengths(frame: pl.DataFrame) -> pl.Series:
        seen.append(frame["prompt"].str.len_chars().max())  # type: ignore[arg-type]
        return frame["prompt"].str.len_chars().cast(pl.Int64)

    return Parts.of(spec, prompt_lengths=lengths, limit=10**9)


@pytest.mark.parametrize("column", ["prompt", "response"])
def test_a_long_text_is_refused_before_anything_reads_it(column: str, tmp_path: Path) -> None:
    frame = (
        prompts(6)
        .with_row_index()
        .with_columns(
            pl.when(pl.col("index") == 3)
            .then(pl.lit("word " * 30_000))
            .otherwise(column)
            .alias(column)
        )
    )
    seen: list[int] = []
    with pytest.raises(ValueError, match=r"1 of 6 rows have texts of more than 100000 characters"):
        split(spec_of(tmp_path, frame.drop("index")), seen)
    assert seen == []
    done = split(spec_of(tmp_path, frame.drop("index"), invalid="drop"), seen)
    assert done.dropped["text too long"] == 1  # type: ignore[attr-defined]
    assert max(seen) < 20
    seen.clear()
    split(spec_of(tmp_path, frame.drop("index"), max_characters=None), seen)
    assert column == "response" or max(seen) == 150_000


@pytest.mark.usefixtures("small_machine")
def test_max_rows_acts_before_all_rows_are_held(tmp_path: Path) -> None:
    """Texts of 98 MB on a machine that may hold 32: only those that were drawn."""
    frame = pl.DataFrame(
        {"prompt": [f"{i}" for i in range(6000)], "response": ["x" * 16384] * 6000}
    )
    spec = spec_of(tmp_path, frame, max_rows=50)
    assert len(draw_rows(spec, 0)) == 50
    with pytest.raises(ValueError, match="its rows take more than 32"):
        draw_rows(spec_of(tmp_path, frame), 0)


def test_memory_of_this_machine_is_known() -> None:
    assert sizes.machine_memory() > resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
