"""Why a row was chosen or not, as a value that shows itself: in words, as a table, in notebooks."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import polars as pl
from numpy.typing import NDArray

from paretohqd.frames.notebooks import html_table, numbered
from paretohqd.safety.printing import printable
from paretohqd.selection.preferences import format_weights
from paretohqd.selection.ranks import Rank

LeftOut = Literal["excluded", "dropped", "copy", "layer", "unknown"]
"""Why no preference could choose a row: it does not meet the condition, a score is null or NaN, it
is a copy of a row of the pool, it is beyond the pool's layers, or it is not in the pool and its
scores are not at hand."""

FIRST = 8
"""How many of the rows that dominate one a text names."""

_AMOUNTS: dict[Rank, str] = {
    "ray": "distance",
    "achievement": "achievement",
    "sum": "shortfall",
    "ideal": "distance",
}


@dataclass(frozen=True, eq=False, kw_only=True, repr=False)
class Why:
    """Why a row of the input was chosen or not: see `Selection.why`.

    Printed, it is a text for people; in notebooks, a table. The columns of `table`, which has a row
    for each preference:

    - `preference`, `preference_name` and `weights`: its number, its name if preferences have names,
      and what it weighs each objective by.
    - `distance`: what the column `distance` of chosen rows is: how far it is from the ray in the
      scaled units, or what the preference loses with it, by the rank. Null if it is unknown.
    - `place`: 0 for the first of the `ranked` rows in the preference's order, and so on. Null for
      what is not in the pool, or where `rank` is not "ray" and not all rows are at hand.
    - `position`: 0 for the first of the rows that were taken, and so on. Null if it was not.
    - `last`: the distance of the last row that was taken; null if none of its group was.
    - `skipped`: why it was passed over though the last row that was taken comes after it, or fewer
      than k were: "copy"
      (of a row before it), "distinct" (a row before it has the same value), "at_most" (as many as
      are allowed have), "exclusive" (another preference got it), "diverse" or "sample" (others of
      the best rows were chosen); several with "or" between them where the columns that tell are not
      at hand. Null if it was not.
    - `instead`: the number of the row that was taken, and is the one that it is a copy of or shares
      the value with, the first of several. Null if there is none, or it is unknown.

    Attributes:
        row: Its number in the input.
        scores: Its score in each objective, in the input's units; null is NaN. None if they are not
            at hand.
        objectives: The direction, "max" or "min", of each objective.
        left_out: Why no preference could choose it: "excluded" (it does not meet the condition),
            "dropped" (a score is null or NaN), "copy" (of
            a row of the pool: only the first of copies can be chosen), "layer" (it is beyond the
            pool's layers), "unknown" (it is not in the pool, and its scores are not at hand). None
            if it could be chosen.
        copy_of: The row of the pool that it is a copy of; None if it is none, or if the texts are
            not at hand.
        layer: Its Pareto layer among all rows, or within its group; 0 is the front. None beyond the
            layers of the pool: those of all rows are not numbered.
        layers: How many layers the pool has; within groups, that of the row's group.
        dominated_by: Numbers of the rows that are at least as good in every objective and better in
            one, ascending, shape (d,), int64.
        complete: Whether these are all such rows; if not, those among the pool.
        rank: By what rows were ranked.
        ranked: Among how many rows it has its places: those of the pool, or, where `rank` is not
            "ray", all that were not dropped; within groups, of its group.
        taken: How many of these each preference got; the most, where groups leave some fewer.
        taken_by: How many each of them got, by its number.
        quotas: How many rows with the same value of a column each preference may get.
        by: Columns within whose values rows were chosen; None: all together.
        group: Numbers of the rows of its group, which are all it is compared with, ascending, shape
            (g,), int64; None without groups.
        table: A row for each preference.

    Example:
        >>> import polars as pl
        >>> import paretohqd as pq
        >>> frame = pl.DataFrame({"help": [1.0, 0.8, 0.0, 0.1], "safe": [0.0, 0.7, 1.0, 0.1]})
        >>> why = pq.choose(frame, ["help", "safe"], 3, k=1).why(1)
        >>> why.layer, why.dominated_by, why.chosen, why.ranked
        (0, array([], dtype=int64), True, 3)
        >>> why.table.select("preference", "place", "position").rows()
        [(0, 1, None), (1, 0, 0), (2, 1, None)]
    """

    row: int
    scores: dict[str, float] | None
    objectives: dict[str, str]
    left_out: LeftOut | None
    copy_of: int | None
    layer: int | None
    layers: int
    dominated_by: NDArray[np.int64]
    complete: bool
    rank: Rank
    ranked: int
    taken: int
    taken_by: tuple[int, ...]
    quotas: dict[str, int]
    by: tuple[str, ...] | None
    group: NDArray[np.int64] | None
    table: pl.DataFrame

    @property
    def chosen(self) -> bool:
        """Whether a preference got it."""
        return self.table["position"].count() > 0

    def __repr__(self) -> str:
        """The row in words, a line for each preference at the end."""
        lines = [f"{head:<10} {text}" for head, text in self._facts()]
        lines += [f"  {head}: {text}" for head, text in self._preferences()]
        return "\n".join(map(printable, lines))  # names may act on a terminal

    def _repr_html_(self) -> str:
        """A small table for notebooks."""
        return html_table(f"Row {self.row}", dict([*self._facts(), *self._preferences()]))

    def _facts(self) -> Iterator[tuple[str, str]]:
        """What there is to say of the row whatever the preference."""
        yield "row", f"{self.row}, {self._verdict()}"
        if self.scores is not None and self.left_out != "excluded":
            each = (f"{name} ({self.objectives[name]}) {x:g}" for name, x in self.scores.items())
            yield "scores", ", ".join(each)
        if self.by is not None and self.group is not None:
            yield "group", f"{numbered(len(self.group), 'row')} of the same {', '.join(self.by)}"
        if self.left_out in ("excluded", "dropped", "unknown"):
            return
        layers = f"the pool has {numbered(self.layers, 'layer')}, 0 is the front"
        yield "layer", f"{'beyond the pool' if self.layer is None else self.layer}; {layers}"
        yield "dominated", self._dominated()

    def _verdict(self) -> str:
        """Whether it was chosen, in a few words."""
        if self.chosen:
            every = numbered(len(self.table), "preference")
            return f"chosen for {self.table['position'].count():,} of {every}"
        if self.left_out is None:
            return "not chosen"
        if self.left_out == "copy":
            other = "a row of the pool" if self.copy_of is None else f"row {self.copy_of}"
            return f"left out as a copy of {other}"
        if self.left_out == "excluded":
            return "left out: it does not meet the condition"
        if self.left_out == "dropped":
            missing = [name for name, x in (self.scores or {}).items() if np.isnan(x)]
            return f"left out: its scores are null or NaN in {', '.join(missing)}"
        if self.left_out == "layer":
            return "not in the pool, which ends before its layer"
        return "not in the pool; its scores, which would say why, are not at hand"

    def _dominated(self) -> str:
        """By how many rows, and by which."""
        count = len(self.dominated_by)
        where = "" if self.complete else " of the pool; others are not at hand"
        if not count:
            return f"by no row{where}"
        first = ", ".join(map(str, self.dominated_by[:FIRST].tolist()))
        more = ", .." if count > FIRST else ""
        return f"by {numbered(count, 'row')}{where}: {first}{more}"

    def _preferences(self) -> Iterator[tuple[str, str]]:
        """Each preference's number and name or weights, and what it made of the row."""
        if self.left_out in ("excluded", "dropped"):
            return
        for each in self.table.iter_rows(named=True):
            label = each.get("preference_name") or format_weights(each["weights"])
            yield f"{each['preference']} {label}", self._order(each)

    def _order(self, each: dict[str, Any]) -> str:
        """Where it comes in the order of one preference."""
        amount, place = _AMOUNTS[self.rank], each["place"]
        where = "" if place is None else f"place {place:,} of {self.ranked:,}"
        if each["position"] is not None:
            among = f" ({where})" if where else ""
            return f"chosen, position {each['position']:,}{among}; {amount} {each['distance']:.4g}"
        parts = [where or "not chosen"]
        if each["skipped"] is not None:
            parts.append(self._skipped(each))
        taken = self.taken_by[each["preference"]]
        many = f"{taken:,}" if taken else "none"
        parts.append(f"{many} {'was' if taken <= 1 else 'were'} taken")
        if each["last"] is None:
            own = each["distance"]
            return f"{', '.join(parts)}" + ("" if own is None else f"; {amount} {own:.4g}")
        last = f"the last one taken {each['last']:.4g}"
        if each["distance"] is None:
            return f"{', '.join(parts)}; {amount} of {last}"
        return f"{', '.join(parts)}; {amount} {each['distance']:.4g}, {last}"

    def _skipped(self, each: dict[str, Any]) -> str:
        """Why it was passed over."""
        other = "an earlier row" if each["instead"] is None else f"row {each['instead']}"
        ones, more = (
            " or ".join(name for name, most in self.quotas.items() if (most == 1) == one)
            for one in (True, False)
        )
        return {
            "copy": f"passed over as a copy of {other}",
            "distinct": f"passed over: {other} has the same {ones}",
            "at_most": f"passed over: {other} and others have the same {more}",
            "exclusive": "passed over: another preference got it",
            "diverse": "among the best, but others are further apart",
            "sample": "among the best, but others were drawn",
        }.get(each["skipped"], f"passed over: {each['skipped']}")
