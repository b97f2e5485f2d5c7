"""The first Pareto layers of rows that come in parts, exact, with only those layers kept."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, Self

import numpy as np
import polars as pl
from numpy.typing import NDArray

from paretohqd.frames.batches import compacted
from paretohqd.frames.notebooks import html_table, numbered
from paretohqd.frames.objectives import ObjectiveColumns, ObjectivesLike, in_order, refuse_taken
from paretohqd.frames.reading.schemas import common_type, converted
from paretohqd.frames.screen import Screen
from paretohqd.frames.sources import Source
from paretohqd.frames.writing import write_frame
from paretohqd.kernels.layers import pareto_layers
from paretohqd.kernels.points import Objectives, optional_count

SETTLE = 1 << 16
"""Rows that wait, at least, before they are merged with the kept ones."""

KEY = "paretohqd.first_layers"
"""Where a saved state says what it is, in the Parquet file's metadata."""


class FirstLayers:
    """The first Pareto layers of all rows added so far.

    The first L layers of a union lie within the union of the parts' first L layers, and so do all
    rows that dominate them: what is left out of a part can be forgotten, and the layers of what is
    kept are those of all rows. The answer does not depend on how the rows were divided.

    "At least q rows" is no such property (a row beyond a part's first q may be within those of the
    union), so `at_least` keeps the layers that hold twice as many so far. Rows added later may, in
    rare cases, push so much aside that the kept layers no longer hold q rows: `enough` says so,
    and then all rows must be read again with a larger `upto`.

    Args:
        objectives: Column names, larger is better, or {name: "max" | "min"}; a column of
            fixed-size arrays stands for all its components.
        upto: How many layers to keep.
        at_least: Keep the fewest layers that hold this many rows.
        nan: "raise" refuses null and NaN scores, "drop" leaves such rows out.
        n_threads: Threads; RAYON_NUM_THREADS or all cores by default.

    Raises:
        ValueError: not one stop of at least 1.

    Example:
        >>> import polars as pl
        >>> from paretohqd import FirstLayers
        >>> state = FirstLayers(["help", "safe"], upto=1)
        >>> state.add(pl.DataFrame({"help": [1.0, 0.2], "safe": [0.0, 0.1]})).frame["row"].to_list()
        [0, 1]
        >>> state.add(pl.DataFrame({"help": [0.3], "safe": [0.9]})).frame["row"].to_list()
        [0, 2]
    """

    def __init__(
        self,
        objectives: ObjectivesLike | str,
        *,
        upto: int | None = None,
        at_least: int | None = None,
        nan: Literal["raise", "drop"] = "raise",
        n_threads: int | None = None,
    ) -> None:
        """See the class."""
        if (upto is None) == (at_least is None):
            raise ValueError(
                f"choose one of upto ({upto}) and at_least ({at_least}): how much to keep"
            )
        if nan not in ("raise", "drop"):
            raise ValueError(f"nan must be 'raise' or 'drop', got {nan!r}")
        # What the caller does to a list or mapping later is no concern of this state.
        self.objectives = objectives if isinstance(objectives, str) else in_order(objectives)
        self.at_least = optional_count("at_least", at_least)
        self.limit = optional_count("upto", upto)
        """Layers that are kept, if that is known yet."""
        self.nan: Literal["raise", "drop"] = nan
        self.n_threads = optional_count("n_threads", n_threads)
        self.rows = 0
        """Rows added so far."""
        self.usable = 0
        """Those of them that were not dropped."""
        self.dropped: dict[str, int] = {}
        """How many null and NaN each objective had in the others."""
        self.low: NDArray[np.float64] | None = None
        """(M,) the worst of each objective over all rows; larger is better here."""
        self.high: NDArray[np.float64] | None = None
        """(M,) the best."""
        self.floor = 0
        """Layers that are kept whatever `at_least` needs: set before all rows are read again."""
        self._kept: pl.DataFrame | None = None
        self._layer: NDArray[np.int32] = np.empty(0, dtype=np.int32)
        self._waiting: list[pl.DataFrame] = []
        self._screen: Screen | None = None

    def __copy__(self) -> Self:
        """A state of its own: frames and arrays are shared, but never changed."""
        other = type(self).__new__(type(self))
        other.__dict__.update(self.__dict__, _waiting=list(self._waiting))
        return other

    def __repr__(self) -> str:
        """In one line, without the rows."""
        return f"<FirstLayers: {'; '.join(self._told().values())}>"

    def _repr_html_(self) -> str:
        """A small table for notebooks."""
        return html_table("FirstLayers", self._told())

    def _told(self) -> dict[str, str]:
        """What there is, in a few words and without work."""
        held = len(self._layer) + sum(map(len, self._waiting))
        if self.at_least is None:
            wanted = numbered(self.limit or 0, "layer")
        else:
            wanted = f"the fewest layers that hold {self.at_least:,} rows"
        names = self.objectives
        return {
            "objectives": names if isinstance(names, str) else ", ".join(map(str, names)),
            "kept": wanted,
            "rows": f"{self.rows:,} rows added, {held:,} of them held",
        }

    def add(self, rows: object) -> Self:
        """Take in further rows: anything that `paretohqd.select` takes.

        Rows are numbered in the order in which they are added. An error leaves the state as it was.

        Raises:
            ValueError: a column is missing or no score, or a score is null or NaN; columns differ
                from those of the rows before, or have types with which theirs have none in common.
        """
        source = Source.of(rows)
        ObjectiveColumns.of(source.schema, self.objectives).refuse_absent(source.absent)
        before = {**self.__dict__, "_waiting": list(self._waiting)}
        try:
            for batch in source.batches([pl.all()]) if source.lazy else [source.frame]:
                self._add(batch)  # type: ignore[arg-type]
        except BaseException:
            self.__dict__.update(before)
            raise
        return self

    def _add(self, frame: pl.DataFrame) -> None:
        scores = ObjectiveColumns.of(frame.schema, self.objectives)
        refuse_taken(frame.columns, ["row", "layer"])
        before = self._kept if self._kept is not None else next(iter(self._waiting), None)
        if before is not None and (expected := before.drop("row").schema) != frame.schema:
            frame = self._of_common_types(frame, expected)
        points, rows, worst, best = self._looked_at(frame, scores)
        self.low = worst if self.low is None else np.minimum(self.low, worst)
        self.high = best if self.high is None else np.maximum(self.high, best)
        kept = rows
        if self.limit is not None:
            layer = pareto_layers(points.columns, upto=self.limit, n_threads=self.n_threads)
            kept = rows[layer >= 0]
        numbers = pl.Series("row", self.rows + kept, dtype=pl.Int64)
        self._waiting.append(compacted(frame[kept]).with_columns(numbers))
        self.rows += len(frame)
        waiting = sum(map(len, self._waiting))
        unscreened = self._screen is None and self.limit is not None
        if unscreened or waiting >= max(SETTLE, len(self._layer)):
            self._settle()
            self._choose_screen(points)

    def _of_common_types(self, frame: pl.DataFrame, expected: pl.Schema) -> pl.DataFrame:
        """Give rows and those before them the types that hold both, if they differ in no more."""
        types = {
            name: common_type(dtype, frame.schema.get(name, pl.Null()))
            for name, dtype in expected.items()
        }
        if frame.columns != expected.names() or None in types.values():
            raise ValueError(
                f"the columns differ from those of the rows before: "
                f"{_difference(expected, frame, types)}"
            )
        want: dict[str, pl.DataType] = types  # type: ignore[assignment]
        self._kept = None if self._kept is None else converted(self._kept, want)
        self._waiting = [converted(rows, want) for rows in self._waiting]
        return converted(frame, want)

    def _looked_at(
        self, frame: pl.DataFrame, scores: ObjectiveColumns
    ) -> tuple[Objectives, NDArray[np.int64], NDArray[np.float64], NDArray[np.float64]]:
        """Points that may be in the first layers and their rows; worst and best of all points."""
        screen = self._screen
        passed = None if screen is None else screen.passed(frame, scores, self.n_threads)
        if passed is not None:
            rows, worst, best = passed
            try:
                points = self._points(frame[rows], scores)
            except ValueError:
                pass  # Below it counts in all rows.
            else:
                if points.kept is None:
                    self.usable += len(frame)
                    return points, rows, worst, best
        points = self._points(frame, scores)
        self.usable += points.n
        self.count_dropped(points.dropped)
        kept = np.arange(len(frame)) if points.kept is None else points.kept
        return points, kept, points.worst(), points.best()

    def count_dropped(self, more: Mapping[str, int]) -> None:
        """Add to how many null and NaN the objectives had."""
        names = dict.fromkeys([*self.dropped, *more])
        self.dropped = {name: self.dropped.get(name, 0) + more.get(name, 0) for name in names}

    def _points(self, frame: pl.DataFrame, scores: ObjectiveColumns) -> Objectives:
        return Objectives.of(frame.select(scores.expressions), maximize=scores.larger, nan=self.nan)

    def _choose_screen(self, seen: Objectives) -> None:
        """Choose rows of the last kept layer that show most other rows to be past it."""
        if self.limit is None or self._kept is None:
            return
        scores = ObjectiveColumns.of(self._kept.schema, self.objectives)
        last = self._kept[np.flatnonzero(self._layer == self.limit - 1)]
        self._screen = Screen.of(self._points(last, scores), seen)

    def _settle(self) -> None:
        """Merge what waits with what is kept, and forget what is past the limit."""
        if not self._waiting:
            return
        frame = pl.concat([*([] if self._kept is None else [self._kept]), *self._waiting])
        scores = ObjectiveColumns.of(frame.schema, self.objectives)
        points = self._points(frame, scores)
        wanted = 2 * self.at_least if self.at_least is not None else len(frame)
        layer = pareto_layers(
            points.columns,
            upto=self.limit,
            at_least=wanted if self.limit is None else None,
            n_threads=self.n_threads,
        )
        held = np.bincount(layer[layer >= 0]).cumsum()
        if self.at_least is not None and held[-1:].sum() >= wanted:
            # Of more rows fewer layers are needed.
            self.limit = max(self.floor, int(np.searchsorted(held, wanted)) + 1)
            layer = np.where(layer < self.limit, layer, np.int32(-1))
        inside = layer >= 0
        self._kept = compacted(frame[np.flatnonzero(inside)])
        self._layer, self._waiting = layer[inside], []

    def needed(self) -> int:
        """How many of the kept layers the answer has: all, or the fewest with `at_least` rows."""
        self._settle()
        sizes = np.bincount(self._layer)
        if self.at_least is None:
            return len(sizes)
        return min(int(np.searchsorted(sizes.cumsum(), self.at_least)) + 1, len(sizes))

    def enough(self) -> bool:
        """Whether the kept layers hold `at_least` rows, or all there are."""
        self._settle()
        return (
            self.at_least is None
            or len(self._layer) >= self.at_least
            or len(self._layer) == self.usable
        )

    def bytes(self) -> int:
        """Memory of the rows that are kept or wait, in bytes."""
        frames = [*self._waiting, *([] if self._kept is None else [self._kept])]
        return sum(int(frame.estimated_size()) for frame in frames) + self._layer.nbytes

    def finite(self) -> bool:
        """Whether no score of any row is infinite."""
        ends = [end for end in (self.low, self.high) if end is not None and self.usable]
        return all(np.isfinite(end).all() for end in ends)

    @property
    def whole(self) -> bool:
        """Whether no usable row was left out."""
        self._settle()
        return len(self._layer) == self.usable

    @property
    def kept(self) -> pl.DataFrame:
        """All kept rows in the order in which they were added, with `row` and `layer`.

        With `at_least` these are more than asked for: later rows may push some of them aside.
        """
        self._settle()
        if self._kept is None:
            raise ValueError("no rows were added yet: add some first")
        return self._kept.with_columns(layer=pl.Series(self._layer, dtype=pl.Int32))

    @property
    def frame(self) -> pl.DataFrame:
        """The rows of the layers asked for: the columns added, `row` and `layer`.

        Raises:
            ValueError: nothing was added, or the kept layers do not suffice (see `enough`).
        """
        kept = self.kept
        if not self.enough():
            raise ValueError(
                f"the {self.limit} layers that were kept hold {len(kept)} rows of the "
                f"{self.at_least} asked for: read all rows again with upto={2 * (self.limit or 1)}"
            )
        return kept.filter(pl.col("layer") < self.needed())

    def layer_sizes(self) -> list[int]:
        """Rows in each layer of `frame`, best first."""
        return [int(size) for size in np.bincount(self.frame["layer"].to_numpy())]

    def save(self, path: str | Path) -> None:
        """Write the state to a Parquet file, whole or not at all.

        Raises:
            ValueError: nothing was added, or another ending than .parquet.
            OSError: the file cannot be written.
        """
        path = Path(path)
        if path.suffix.lower() != ".parquet":
            raise ValueError(f"{path}: expected a name that ends in .parquet")
        state = {
            "version": 1,
            "objectives": self.objectives,
            "limit": self.limit,
            "floor": self.floor,
            "at_least": self.at_least,
            "nan": self.nan,
            "rows": self.rows,
            "usable": self.usable,
            "dropped": self.dropped,
            "low": None if self.low is None else self.low.tolist(),
            "high": None if self.high is None else self.high.tolist(),
        }
        write_frame(self.kept, path, metadata={KEY: json.dumps(state)})

    @classmethod
    def load(cls, path: str | Path, *, n_threads: int | None = None) -> Self:
        """Read a saved state, to which further rows can be added.

        Raises:
            ValueError: not a file that `save` wrote.
        """
        source = Source.of(path)
        with source.reading():
            if len(source.files) != 1:
                raise ValueError(f"{path}: expected the one file that save() wrote")
            (file,) = source.files
            with open(file, "rb") as opened:
                state: Any = pl.read_parquet_metadata(opened).get(KEY)
            kept = pl.read_parquet(file, glob=False)
        if state is None:
            raise ValueError(f"{path}: holds no saved layers: it was not written by save()")
        state = json.loads(state)
        self = cls(state["objectives"], upto=1, nan=state["nan"], n_threads=n_threads)
        self.limit, self.floor, self.at_least = (
            state[name] for name in ("limit", "floor", "at_least")
        )
        self.rows, self.usable = state["rows"], state["usable"]
        # States of older versions do not know.
        self.dropped = state.get("dropped", {})
        self.low, self.high = (
            None if state[end] is None else np.array(state[end]) for end in ("low", "high")
        )
        self._layer, self._kept = kept["layer"].to_numpy(), kept.drop("layer")
        return self


def _difference(
    expected: pl.Schema, frame: pl.DataFrame, types: Mapping[str, pl.DataType | None]
) -> str:
    for name, dtype in expected.items():
        if name not in frame.schema:
            return f"no column {name!r}"
        if types[name] is None:
            return f"column {name!r} is {frame.schema[name]}, was {dtype}"
    if more := [name for name in frame.columns if name not in expected]:
        return f"a new column {more[0]!r}"
    return f"another order of columns: {', '.join(frame.columns)}"
