"""Which files a path stands for: nothing is left out in silence."""

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import polars as pl
import pytest

import paretohqd as pq
from paretohqd.frames.reading.formats import TO_CONVERT, kind_of
from paretohqd.frames.reading.paths import find_files, local_path
from paretohqd.frames.sources import Source, read_frame

FRAME = pl.DataFrame({"a": [1.0, 0.0], "b": [0.0, 1.0]})


def test_home_and_file_urls(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    FRAME.write_parquet(tmp_path / "my scores.parquet")
    for name in ("~/my scores.parquet", "~/my*.parquet", f"file://{tmp_path}/my%20scores.parquet"):
        assert pq.select(name, ["a", "b"], 2, k=1)["row"].to_list() == [0, 1]
    assert read_frame(Path("~/my scores.parquet")).height == 2
    assert local_path("~nobody-of-this-name/x.csv") == "~nobody-of-this-name/x.csv"
    with pytest.raises(ValueError, match="a file of another machine"):
        Source.of("file://elsewhere/x.csv")


LISTED = """
import os, sys
from paretohqd.frames.sources import Source
Source.of(sys.argv[1])  # what is imported late may lie where only the superuser reads
os.setuid(65534)
for pattern in sys.argv[1:]:
    try:
        print(len(Source.of(pattern).files))
    except ValueError as error:
        print(error)
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="only the superuser can become somebody else")
def test_a_folder_that_may_not_be_listed_is_named():
    # Not pytest's folder: that is the superuser's alone.
    folder = Path(tempfile.mkdtemp())
    folder.chmod(0o755)
    for name in ("open", "closed"):
        (folder / name).mkdir()
        FRAME.write_parquet(folder / name / "x.parquet")
    (folder / "closed").chmod(0o700)
    patterns = [folder, f"{folder}/*/*.parquet", f"{folder}/**/*.parquet", f"{folder}/open/*"]
    run = subprocess.run(
        [sys.executable, "-c", LISTED, *map(str, patterns)],
        capture_output=True,
        text=True,
        check=True,
    )
    *refused, listed = run.stdout.splitlines()
    assert listed == "1"
    assert len(refused) == 3
    for line in refused:
        assert line.startswith(f"{folder}/closed: a folder that cannot be listed (Permission den")
    shutil.rmtree(folder)


def test_an_error_of_the_system_names_the_folder(tmp_path, monkeypatch):
    FRAME.write_parquet(tmp_path / "x.parquet")

    def closed(folder):
        raise PermissionError(13, "Permission denied", str(folder))

    monkeypatch.setattr(os, "scandir", closed)
    with pytest.raises(ValueError, match="a folder that cannot be listed"):
        Source.of(tmp_path)


def test_links_and_pipes(tmp_path):
    FRAME.write_parquet(tmp_path / "x.parquet")
    (tmp_path / "gone.parquet").symlink_to(tmp_path / "none.parquet")
    for path in (tmp_path, tmp_path / "gone.parquet", tmp_path / "*.parquet"):
        with pytest.raises(ValueError, match=r"gone\.parquet: a link to .*none\.parquet, which"):
            Source.of(path)
    (tmp_path / "gone.parquet").unlink()
    os.mkfifo(tmp_path / "pipe.csv")
    for path in (tmp_path, tmp_path / "pipe.csv", tmp_path / "*.csv"):
        with pytest.raises(ValueError, match=r"pipe\.csv: not a file"):
            Source.of(path)


def test_what_other_programs_leave_in_a_folder(tmp_path):
    FRAME.write_parquet(tmp_path / "part-0.snappy.parquet")
    for name in ("_SUCCESS", ".part-0.crc", "dataset_info.json", "README.md", "x.parquet.tmp"):
        (tmp_path / name).write_text("{}")
    assert find_files(str(tmp_path)) == [str(tmp_path / "part-0.snappy.parquet")]
    (tmp_path / "part-1.csv.bz2").write_bytes(b"BZ")
    with pytest.raises(ValueError, match=r"part-1\.csv\.bz2: \.bz2 files are not read: unpack it"):
        Source.of(tmp_path)


@pytest.mark.parametrize("ending", TO_CONVERT)
def test_files_that_must_be_converted(tmp_path, ending):
    path = tmp_path / f"x{ending}"
    path.write_bytes(b"x")
    for call in (Source.of, read_frame):
        with pytest.raises(ValueError, match=rf"x\{ending}: \{ending} files are not read: \w"):
            call(path)


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("x.PARQUET", "Parquet"),
        ("x.y.parquet", "Parquet"),
        ("x.csv.gz", "CSV"),
        ("x.tsv.zst", "TSV"),
        ("x.json", "JSON"),
        ("x.ndjson.zlib", "JSON"),
        ("x.feather", "Arrow"),
    ],
)
def test_kinds(name, kind):
    assert kind_of(f"/a.csv/{name}").name == kind


@pytest.mark.parametrize("name", ["x", ".csv", "csv", "x.parquet.gz", "x.gz", "x.csv.gz.gz", "x."])
def test_names_that_say_nothing(name):
    with pytest.raises(ValueError, match="expected a name that ends in"):
        kind_of(name)
