"""Links beside whole commands: nothing of what they lead to is changed, or shown to anybody.

Run folders, outputs and folders of data hold links to the victims, which stay as they are to the
byte; the command ends in a refusal. A row of a table is one more attack.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import yaml

from helpers.finished_run import GRIDS, make_run
from helpers.planted import (
    Link,
    begun,
    plant,
    snapshot_of_links,
    to_a_link,
    to_file,
    to_folder,
    to_nothing,
)
from helpers.small_run import mapping
from helpers.world import FRAME
from paretohqd.cli import main
from paretohqd.frames.sources import Source
from paretohqd.frames.writing import write_text


@pytest.fixture
def finished(tmp_path: Path) -> Path:
    return make_run(tmp_path / "run", *GRIDS["two-3"])


SHOWN = (
    "config.yaml",
    "facts.json",
    "evaluate",
    "evaluate/summary",
    "evaluate/summary/metrics.json",
    "evaluate/base/answers.parquet",
    "stage1",
    "stage1/select/selection.parquet",
    "stage1/fit/00/log.json",
    "report.html",
)


@pytest.mark.parametrize("place", SHOWN)
@pytest.mark.parametrize("link", [to_file, to_folder], ids=lambda link: link.__name__)
def test_a_report_shows_nothing_from_outside(
    place: str,
    link: Link,
    finished: Path,
    victims: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    page = finished / "report.html"
    plant(finished, place, link, victims)
    assert main.main(["report", str(finished)]) == 1
    assert "is a link" in capsys.readouterr().err
    assert page.is_symlink() or not page.exists()


def test_a_report_of_a_link_is_refused(
    finished: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "linked").symlink_to(finished)
    assert main.main(["report", str(tmp_path / "linked")]) == 1
    assert "is a link" in capsys.readouterr().err


@pytest.mark.parametrize("key", ["../victims/stage", "/etc", "answers/../../victims"])
def test_a_comparison_cannot_name_answers_outside(
    key: str, tmp_path: Path, victims: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = tmp_path / "run"
    run.mkdir()
    policy = {"weights": [1.0, 0.0], "answers": key}
    method = {"method": "x", "kind": "sft", "budget": "own", "seed": 0, "error": None}
    results = {
        "objectives": ["a", "b"],
        "preferences": [[1.0, 0.0]],
        "bounds": {"a": [0.0, 1.0], "b": [0.0, 1.0]},
        "reference": "x",
        "runs": [{**method, "policies": [policy]}],
    }
    (run / "results.json").write_text(json.dumps(results))
    assert main.main(["report", str(run)]) == 1
    assert f"leads out of {run}" in capsys.readouterr().err
    assert not (run / "report.html").exists()


@pytest.mark.parametrize("command", ["run", "compare"])
@pytest.mark.parametrize("place", [".lock", "stage1", "data.work", "config.yaml", "error.txt"])
def test_commands_refuse_and_leave_alone(
    command: str,
    place: str,
    parts: Path,
    tmp_path: Path,
    victims: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    run = begun(tmp_path / "run")
    link = to_folder if place in ("stage1", "data.work") else to_file
    plant(run, place, link, victims)
    file = tmp_path / "stranger.yaml"
    more = {"methods": ["base"]} if command == "compare" else {}
    file.write_text(yaml.safe_dump(mapping(parts, "x", **more)))
    before = snapshot_of_links(run)
    assert main.main([command, str(file), "--run-folder", str(run)]) == 1
    assert "is a link" in capsys.readouterr().err
    assert snapshot_of_links(run) == before


OUTPUTS = {
    "select": ["select", "ROWS", "--objectives", "a,b", "-k", "2", "--preferences", "3", "-o"],
    "layers": ["layers", "ROWS", "--objectives", "a,b", "-o"],
    "score": ["score", "ROWS", "--reward", "kind=embedded:harmless", "-o"],
    "a picture": [
        *["select", "ROWS", "--objectives", "a,b", "-k", "2", "--preferences", "3", "--plot"]
    ],
    "times": ["bench", "--quick", "--only", "nothing*", "-o"],
}
ENDINGS = {"a picture": ".svg", "times": ".csv"}


@pytest.mark.parametrize("words", OUTPUTS.values(), ids=OUTPUTS)
@pytest.mark.parametrize("link", [to_file, to_nothing, to_a_link], ids=lambda link: link.__name__)
def test_outputs_are_not_written_through_links(
    words: list[str],
    link: Link,
    tmp_path: Path,
    victims: Path,
    capsys: pytest.CaptureFixture[str],
    request: pytest.FixtureRequest,
) -> None:
    kind = next(name for name, given in OUTPUTS.items() if given is words)
    FRAME.write_parquet(tmp_path / "rows.parquet")
    out = tmp_path / f"out{ENDINGS.get(kind, '.parquet')}"
    link(out, victims)
    given = [str(tmp_path / "rows.parquet") if word == "ROWS" else word for word in words]
    assert main.main([*given, str(out)]) == 1
    said = capsys.readouterr().err
    assert "is a link" in said or kind == "times"
    assert out.is_symlink()


def test_what_stands_beside_scores_is_no_link_either(
    tmp_path: Path, victims: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    FRAME.write_parquet(tmp_path / "rows.parquet")
    to_file(tmp_path / "out.parquet.manifest.json", victims)
    with pytest.raises(ValueError, match="is a link"):
        write_text(tmp_path / "out.parquet.manifest.json", "{}")


# Folders of data.


DATA = {
    "a file outside": lambda rows, out: (rows / "b.parquet").symlink_to(out / "rows.parquet"),
    "a folder outside": lambda rows, out: (rows / "deep").symlink_to(out),
    "the disk": lambda rows, out: (rows / "deep").symlink_to("/"),
    "by a folder within": lambda rows, out: (
        (rows / "in").mkdir(),
        (rows / "in" / "b.parquet").symlink_to("../../outside/rows.parquet"),
    ),
    "by a link to a link": lambda rows, out: (
        (rows / "_hidden").symlink_to(out),
        (rows / "b.parquet").symlink_to("_hidden/rows.parquet"),
    ),
}


@pytest.fixture
def rows(tmp_path: Path) -> Path:
    for name in ("rows", "outside"):
        (tmp_path / name).mkdir()
        FRAME.write_parquet(tmp_path / name / "rows.parquet")
    return tmp_path / "rows"


@pytest.mark.parametrize("attack", DATA.values(), ids=DATA)
def test_a_folder_of_data_cannot_lead_outside(
    attack: Callable[[Path, Path], Any], rows: Path, tmp_path: Path
) -> None:
    attack(rows, tmp_path / "outside")
    with pytest.raises(ValueError, match=r"leads by a link to .*, out of .*: name that by itself"):
        Source.of(rows)


@pytest.mark.parametrize("pattern", ["*.parquet", "*/*.parquet", "**/*.parquet"])
def test_a_pattern_cannot_either(pattern: str, rows: Path, tmp_path: Path) -> None:
    (rows / "b.parquet").symlink_to(tmp_path / "outside" / "rows.parquet")
    (rows / "deep").symlink_to(tmp_path / "outside")
    with pytest.raises(ValueError, match="leads by a link to"):
        Source.of(str(rows / pattern))


def test_links_that_somebody_names_are_followed(rows: Path, tmp_path: Path) -> None:
    (tmp_path / "by-hand").symlink_to(rows)
    (tmp_path / "by-hand.parquet").symlink_to(rows / "rows.parquet")
    (rows / "again.parquet").symlink_to("rows.parquet")
    for given, count in (("by-hand", 24), ("by-hand.parquet", 12), ("by-hand/*.parquet", 24)):
        assert Source.of(str(tmp_path / given)).rows() == count


def test_the_hubs_cache_is_read(tmp_path: Path) -> None:
    """Snapshots there are links to files beside them, within the folder of one repository."""
    repository = tmp_path / "datasets--someone--rows"
    snapshot = repository / "snapshots" / "0123abc"
    (snapshot / "data").mkdir(parents=True)
    (repository / "blobs").mkdir()
    FRAME.write_parquet(repository / "blobs" / "f00")
    (snapshot / "data" / "rows.parquet").symlink_to("../../../blobs/f00")
    for folder_ in (snapshot, snapshot / "data"):
        assert Source.of(folder_).rows() == len(FRAME)
    assert Source.of(str(snapshot / "**" / "*.parquet")).rows() == len(FRAME)
    pl.DataFrame({"a": [1]}).write_parquet(tmp_path / "private.parquet")
    (snapshot / "data" / "more.parquet").symlink_to(tmp_path / "private.parquet")
    with pytest.raises(ValueError, match="leads by a link to"):
        Source.of(snapshot)
