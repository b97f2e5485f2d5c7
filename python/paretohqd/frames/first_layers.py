"""The first Pareto layers of rows that come in parts, exact, with only those layers kept."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from copy import copy
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal, Self

import numpy as np
import polars as pl
from numpy.typing import NDArray

from paretohqd.frames.bad_rows import bad_rows_named
from paretohqd.frames.condition import Condition
from paretohqd.frames.kept_layers import KeptLayers, Layered
from paretohqd.frames.noise import Epsilon, noise_of
from paretohqd.frames.notebooks import html_table, numbered
from paretohqd.frames.objectives import ObjectiveColumns, ObjectivesLike, in_order, refuse_taken
from paretohqd.frames.sources import Source
from paretohqd.frames.writing import write_frame

ADDED = ("row", "layer")
"""Columns that a state adds to those of its rows."""

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
        where: A condition, as an expression or as text like SQL's WHERE: only rows that meet it
            count, as if the others were not there.
        epsilon: The noise of each score, one number for all or one each: layers are those of scores
            rounded down to whole multiples of it.
        nan: "raise" refuses null and NaN scores, "drop" leaves such rows out.
        n_threads: Threads; RAYON_NUM_THREADS or all cores by default.

    Raises:
        ValueError: Not one stop of at least 1, or what is no condition.

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
        where: pl.Expr | str | None = None,
        epsilon: Epsilon | None = None,
        nan: Literal["raise", "drop"] = "raise",
        n_threads: int | None = None,
    ) -> None:
        """See the class."""
        # What the caller does to a list or mapping later is no concern of this state.
        self.objectives = objectives if isinstance(objectives, str) else in_order(objectives)
        self.where = None if where is None else Condition.of(where)
        """Which rows count; None: all."""
        self.epsilon = _copied(epsilon)
        """The noise of each score, as it was given."""
        self.layers = KeptLayers(upto=upto, at_least=at_least, nan=nan, n_threads=n_threads)
        """What is kept, which knows nothing of names and files."""

    def __copy__(self) -> Self:
        """A state of its own: frames and arrays are shared, but never changed."""
        other = type(self).__new__(type(self))
        other.__dict__.update(self.__dict__, layers=copy(self.layers))
        return other

    def __repr__(self) -> str:
        """In one line, without the rows."""
        return f"<FirstLayers: {'; '.join(self._facts().values())}>"

    def _repr_html_(self) -> str:
        """A small table for notebooks."""
        return html_table("FirstLayers", self._facts())

    def _facts(self) -> dict[str, str]:
        """What there is, in a few words and without work."""
        if self.at_least is None:
            wanted = numbered(self.limit or 0, "layer")
        else:
            wanted = f"the fewest layers that hold {self.at_least:,} rows"
        names = self.objectives
        return {
            "objectives": names if isinstance(names, str) else ", ".join(map(str, names)),
            "kept": wanted,
            **({} if self.where is None else {"where": str(self.where)}),
            **({} if self.epsilon is None else {"noise": str(self.epsilon)}),
            "rows": f"{self.rows:,} rows added, {self.layers.held:,} of them held",
        }

    @property
    def at_least(self) -> int | None:
        """How many rows the layers are to hold; None: `limit` layers are kept."""
        return self.layers.at_least

    @property
    def limit(self) -> int | None:
        """Layers that are kept, if that is known yet."""
        return self.layers.limit

    @property
    def nan(self) -> Literal["raise", "drop"]:
        """What is done about null and NaN scores."""
        return self.layers.nan

    @property
    def rows(self) -> int:
        """Rows added so far."""
        return self.layers.rows

    @property
    def usable(self) -> int:
        """Those of them that meet the condition and were not dropped."""
        return self.layers.usable

    @property
    def dropped(self) -> dict[str, int]:
        """How many null and NaN each objective had in the others."""
        return self.layers.dropped

    @property
    def excluded(self) -> int:
        """How many rows do not meet the condition."""
        return self.layers.excluded

    @property
    def low(self) -> NDArray[np.float64] | None:
        """(M,) the worst of each objective over all rows; larger is better here."""
        return self.layers.low

    @property
    def high(self) -> NDArray[np.float64] | None:
        """(M,) the best."""
        return self.layers.high

    def add(self, rows: object) -> Self:
        """Take in further rows: anything that `paretohqd.select` takes.

        Rows are numbered in the order in which they are added. An error leaves the state as it was.

        Raises:
            ValueError: A column is missing or no score, or a score is null or NaN; columns differ
                from those of the rows before, or have types with which theirs have none in common.
        """
        source = Source.of(rows)
        scores = self._scores(source.schema)
        scores.refuse_absent(source.absent)
        refuse_taken(source.names, ADDED)
        layers = copy(self.layers)
        layers.noise = noise_of(self.epsilon, scores.names)
        layers.refuse_other_columns(source.schema)
        frame = source.frame
        batches = [frame] if isinstance(frame, pl.DataFrame) else source.batches([pl.all()])
        with bad_rows_named(source, scores, layers.nan):
            for batch in batches:
                layers.extend(batch, scores)
        self.layers = layers
        return self

    def _scores(self, schema: Mapping[str, pl.DataType]) -> ObjectiveColumns:
        """The objectives among some columns, and the condition on these."""
        scores = ObjectiveColumns.of(schema, self.objectives)
        if self.where is not None:
            self.where.check(schema)
        return replace(scores, where=self.where)

    def merge(self, other: FirstLayers) -> Self:
        """Take in the rows of another state, as if they had been added after those of this one.

        Rows that are kept on several machines, or day by day, become one state without being read
        again.

        Args:
            other: A state of the same objectives, stop, condition and noise; it stays as it is.

        Raises:
            ValueError: Any of these or the columns differ.

        Example:
            >>> import polars as pl
            >>> from paretohqd import FirstLayers
            >>> parts = [{"a": [1, 0], "b": [0, 1]}, {"a": [2, 0], "b": [0, 0]}]
            >>> one, other = (FirstLayers(["a", "b"], upto=1).add(part) for part in parts)
            >>> one.merge(other).frame["row"].to_list()
            [1, 2]
        """
        if not isinstance(other, FirstLayers):
            raise ValueError(f"merge: expected another FirstLayers, got {type(other).__name__}")
        names = ("objectives", "at_least", "where", "epsilon", "nan")
        for name in names if self.at_least else (*names, "limit"):
            mine, its = getattr(self, name), getattr(other, name)
            if mine != its:
                what = {"limit": "upto"}.get(name, name)
                raise ValueError(f"{what}: {its!r} there, {mine!r} here: only like states merge")
        if other.low is None:  # nothing was added to it, not even a frame without rows
            return self
        layers = copy(self.layers)
        layers.noise = other.layers.noise
        self.layers = layers.merge(copy(other.layers))
        return self

    def needed(self) -> int:
        """How many of the kept layers the answer has: all, or the fewest with `at_least` rows."""
        return self.layers.needed()

    def enough(self) -> bool:
        """Whether the kept layers hold `at_least` rows, or all there are."""
        return self.layers.enough()

    def finite(self) -> bool:
        """Whether no score of any row is infinite."""
        return self.layers.finite()

    @property
    def whole(self) -> bool:
        """Whether no usable row was left out. It merges what waits with what is kept first."""
        return self.layers.whole()

    @property
    def kept(self) -> pl.DataFrame:
        """All kept rows in the order in which they were added, with `row` and `layer`.

        With `at_least` these are more than asked for: later rows may push some of them aside. What
        waits is merged with what is kept first.
        """
        return _table(self.layers.settled())

    @property
    def frame(self) -> pl.DataFrame:
        """The rows of the layers asked for: the columns added, `row` and `layer`.

        What waits is merged with what is kept first.

        Raises:
            ValueError: Nothing was added, or the kept layers do not suffice (see `enough`).
        """
        return _table(self.layers.answer())

    def layer_sizes(self) -> list[int]:
        """Rows in each layer of `frame`, best first."""
        return [int(size) for size in np.bincount(self.layers.answer().layer)]

    def save(self, path: str | Path) -> None:
        """Write the state to a Parquet file, whole or not at all.

        Raises:
            ValueError: Nothing was added, or another ending than .parquet.
            OSError: The file cannot be written.
        """
        path = Path(path)
        if path.suffix.lower() != ".parquet":
            raise ValueError(f"{path}: expected a name that ends in .parquet")
        # What was not asked is left out, as in states of older versions.
        where = {} if self.where is None else {"where": self.where.written}
        epsilon = {} if self.epsilon is None else {"epsilon": self.epsilon}
        asked = {"objectives": self.objectives, **where, **epsilon}
        state = {"version": 1, **asked, **self.layers.facts()}
        write_frame(self.kept, path, metadata={KEY: json.dumps(state, default=float)})

    @classmethod
    def load(cls, path: str | Path, *, n_threads: int | None = None) -> Self:
        """Read a saved state, to which further rows can be added.

        Raises:
            ValueError: Not a file that `save` wrote.
        """
        source = Source.of(path)
        with source.reading():
            if len(source.files) != 1:
                raise ValueError(f"{path}: expected the one file that save() wrote")
            (file,) = source.files
            with open(file, "rb") as opened:
                text: Any = pl.read_parquet_metadata(opened).get(KEY)
            kept = pl.read_parquet(file, glob=False)
        if text is None:
            raise ValueError(f"{path}: holds no saved layers: it was not written by save()")
        state = json.loads(text)
        # States of older versions know neither a condition nor noise.
        where, epsilon = state.get("where"), state.get("epsilon")
        self = cls(state["objectives"], upto=1, epsilon=epsilon, nan=state["nan"])
        self.where = None if where is None else Condition.read(where)
        rows = kept.drop(ADDED)
        self.layers = KeptLayers.of_facts(
            state,
            Layered(rows, kept["row"].to_numpy(), kept["layer"].to_numpy()),
            self._scores(rows.schema),
            n_threads=n_threads,
        )
        self.layers.noise = noise_of(self.epsilon, self._scores(rows.schema).names)
        return self


def _copied(epsilon: Epsilon | None) -> Epsilon | None:
    """The noise as it was given, whatever the caller does to a list or mapping later."""
    if isinstance(epsilon, Mapping):
        return dict(epsilon)
    if epsilon is None or isinstance(epsilon, str) or not isinstance(epsilon, Iterable):
        return epsilon
    return list(epsilon)


def _table(layered: Layered) -> pl.DataFrame:
    """Rows with their numbers and layers."""
    return layered.frame.with_columns(
        pl.Series("row", layered.row, dtype=pl.Int64),
        pl.Series("layer", layered.layer, dtype=pl.Int32),
    )
