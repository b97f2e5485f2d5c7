"""Hashes of frames depend on their content alone; those of files and folders too."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from decimal import Decimal
from itertools import pairwise
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from paretohqd.frames import hashes
from paretohqd.frames.hashes import hash_frame, hash_path

FRAME = pl.DataFrame(
    {
        "text": ["a", None, "", "bä"],
        "score": [1.0, float("nan"), None, -0.5],
        "count": [1, 2, None, 4],
        "good": [True, None, False, True],
        "bytes": [b"x", None, b"", b"yz"],
        "list": [["x"], [], None, ["y", None]],
        "chat": [[{"role": "user", "content": "x"}], None, [], [{"role": None, "content": "z"}]],
        "pair": [{"a": 1, "b": "x"}, None, {"a": None, "b": "y"}, {"a": 3, "b": None}],
        "day": [date(2020, 1, 1), None, date(2021, 1, 1), date(2022, 1, 1)],
        "time": [datetime(2020, 1, 1), None, datetime(2021, 1, 1), datetime(2022, 1, 1)],
        "span": [timedelta(days=1), None, timedelta(0), timedelta(1)],
        "price": [Decimal("1.50"), None, Decimal("2"), Decimal("3")],
        "nothing": [None] * 4,
    }
).with_columns(
    pl.Series("vector", [[1.0, 2.0], None, [3.0, 4.0], [5.0, 6.0]], dtype=pl.Array(pl.Float32, 2)),
    pl.Series("kind", ["u", None, "v", "u"], dtype=pl.Enum(["u", "v"])),
    pl.Series("category", ["u", None, "v", "u"], dtype=pl.Categorical),
)


def test_the_hash_is_known() -> None:
    """It names the stages of run folders: another version must find the same."""
    assert hash_frame(FRAME) == KNOWN


KNOWN = "0fdce9f5eadb54182dac1e6a6c8160c6909f1144d617838d5d2fce011413cb00"


@given(st.lists(st.integers(0, 4), max_size=4), st.integers(1, 3))
def test_how_a_frame_lies_in_memory_does_not_matter(cuts: list[int], rows: int) -> None:
    ends = [0, *sorted(cuts), 4]
    parts = [FRAME[a:b] for a, b in pairwise(ends)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(hashes, "TEXT_ROWS", rows)
        assert hash_frame(pl.concat(parts, rechunk=False)) == hash_frame(FRAME)
        assert hash_frame(FRAME[[3, 2, 1, 0]].reverse()) == hash_frame(FRAME)


def test_a_file_between_does_not_matter(tmp_path: Path) -> None:
    FRAME.write_parquet(tmp_path / "a.parquet")
    assert hash_frame(pl.read_parquet(tmp_path / "a.parquet")) == hash_frame(FRAME)


@pytest.mark.parametrize("name", FRAME.columns)
def test_every_value_and_its_place_matter(name: str) -> None:
    column = FRAME.select(name)
    others = [column[:3], column.rename({name: f"{name}_"})]
    if name != "nothing":
        others += [column[::-1], column[[0, 1, 2, 2]], column[[1, 1, 2, 3]]]
    hashed = {hash_frame(each) for each in (column, *others)}
    assert len(hashed) == 1 + len(others)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"a": ["ab", "c"]}, {"a": ["a", "bc"]}),
        ({"a": ["x"], "b": ["y"]}, {"b": ["y"], "a": ["x"]}),
        ({"a": [1]}, {"a": [1.0]}),
        ({"a": [None]}, {"a": [""]}),
        ({"a": [[], ["x"]]}, {"a": [["x"], []]}),
        ({"a": [[["x"], ["y"]]]}, {"a": [[["x", "y"]]]}),
        ({"a": [float("nan")]}, {"a": [float("inf")]}),
        ({"a": [0.1 + 0.2]}, {"a": [0.3]}),
        ({"a": [{"x": 1}]}, {"a": [{"y": 1}]}),
    ],
)
def test_frames_that_differ(one: dict[str, list[object]], other: dict[str, list[object]]) -> None:
    assert hash_frame(pl.DataFrame(one)) != hash_frame(pl.DataFrame(other))


def test_python_objects_have_no_hash() -> None:
    with pytest.raises(ValueError, match="column 'a' holds Python objects"):
        hash_frame(pl.DataFrame({"a": pl.Series([object()], dtype=pl.Object)}))


def test_hashes_of_paths(tmp_path: Path) -> None:
    remembered, folder = hashes.Hashes(tmp_path), tmp_path / "folder"
    folder.mkdir()
    (folder / "a").write_text("1")
    before = hash_path(folder)
    (folder / "a").rename(folder / "b")
    assert hash_path(folder) != before
    assert (
        hash_path(folder)
        == remembered.path(folder)
        == hashes.hash_json({"b": remembered.path(folder / "b")})
    )
