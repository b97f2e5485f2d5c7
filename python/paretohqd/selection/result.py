"""What a selection gives: the chosen rows, and all that is needed to judge and to use them."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass, field, fields, replace
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import polars as pl
from numpy.typing import NDArray

from paretohqd.frames.notebooks import html_table, numbered
from paretohqd.frames.objectives import column
from paretohqd.selection.copies import repeated
from paretohqd.selection.overlap import selection_overlap
from paretohqd.selection.preferences import Directions, ray_weights

if TYPE_CHECKING:
    import altair as alt
    from datasets import Dataset

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False, kw_only=True, repr=False)
class Selection:
    """A selection with what it was made from.

    A pickled one has all but `scores`, which may be the whole input: what shows all rows, as the
    plot does, shows the pool then.

    Attributes:
        rows: Long frame: k rows per preference, see `select`.
        weights: (P, M) preferences.
        objectives: The direction, "max" or "min", of each objective.
        pool: The rows that could be chosen, in the input's order: `row` (its number there),
            `layer`, and one Float64 column per objective, in the input's units.
        r_min: (M,) nadir, in the input's units: the worst of the reference set per objective.
            Within groups each has its own; this is the worst of all.
        r_max: (M,) ideal, in the input's units: the best of the reference set per objective.
        n: Rows of the input.
        scores: One column per objective over all rows of the input; None if it is not at hand.
        names: Names of the preferences, if they have any.
        by: Columns within whose values rows were chosen; None: all together.
        directions: Which way the rays run, see `select`.
        duplicates: Whether copies could be chosen, see `select`.
        copy_columns: The columns in which copies are equal; none if these cannot be compared.
        left_out: Rows of the pool's layers that are left out of it as copies.
        dropped_rows: Rows that were dropped for null or NaN scores.
        dropped: How many null and NaN scores each objective has, where rows were dropped.
    """

    rows: pl.DataFrame
    weights: Floats
    objectives: dict[str, str]
    pool: pl.DataFrame
    r_min: Floats
    r_max: Floats
    n: int
    scores: pl.LazyFrame | None = None
    names: tuple[str, ...] | None = None
    by: tuple[str, ...] | None = None
    directions: Directions = "paper"
    duplicates: str = "keep"
    copy_columns: tuple[str, ...] = ()
    left_out: int = 0
    dropped_rows: int = 0
    dropped: dict[str, int] = field(default_factory=dict)

    def __repr__(self) -> str:
        """In one line, without the frames."""
        return f"<Selection: {'; '.join(self._told().values())}>"

    def _repr_html_(self) -> str:
        """A small table for notebooks."""
        return html_table("Selection", self._told())

    def __copy__(self) -> Self:
        """Another object of the same frames, scores included."""
        return replace(self)

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        """A copy that shares nothing, scores included."""
        return type(self)(
            **{each.name: copy.deepcopy(getattr(self, each.name), memo) for each in fields(self)}
        )

    def __getstate__(self) -> dict[str, Any]:
        """All but the scores of all rows: a pickle of these would hold the whole input."""
        return {**self.__dict__, "scores": None}

    def _told(self) -> dict[str, str]:
        """What there is, in a few words."""
        sizes = self.layer_sizes()
        objectives = (f"{name} ({direction})" for name, direction in self.objectives.items())
        told = {
            "preferences": numbered(len(self.weights), "preference"),
            "rows": f"{len(self.rows):,} rows chosen of {self.n:,}",
            "pool": f"a pool of {sum(sizes):,} rows in {numbered(len(sizes), 'layer')}",
            "objectives": ", ".join(objectives),
        }
        if self.by is not None:
            told["groups"] = f"within groups of {', '.join(self.by)}"
        if self.scores is None:
            told["scores"] = "scores of the pool alone"
        return told

    @property
    def through(self) -> Floats:
        """(P, M) further points of the rays, in units of the box: r_min is 0, r_max is 1."""
        return ray_weights(self.weights, self.directions)

    @property
    def layer(self) -> NDArray[np.int32]:
        """(n,) Pareto layer of every input row; -1 beyond the pool."""
        layer = np.full(self.n, -1, dtype=np.int32)
        layer[self.pool["row"].to_numpy()] = self.pool["layer"].to_numpy()
        return layer

    def layer_sizes(self) -> list[int]:
        """Rows in each layer of the pool, best first."""
        return [int(size) for size in np.bincount(self.pool["layer"].to_numpy())]

    def overlap(self) -> Floats:
        """(P, P) Jaccard index of the preferences' sets of rows; 1 on the diagonal."""
        return selection_overlap(self.rows)

    def copies(self) -> int:
        """How many chosen rows are copies of another that the same preference got."""
        return repeated(self.rows, self.copy_columns)

    def summary(self) -> dict[str, Any]:
        """What the selection was made from, as numbers, lists and text only."""
        return {
            "rows": self.n,
            "objectives": self.objectives,
            "preferences": self.weights.tolist(),
            "preference_names": self.names,
            "by": self.by,
            "directions": self.directions,
            "layers": self.layer_sizes(),
            "r_min": self.r_min.tolist(),
            "r_max": self.r_max.tolist(),
            "dropped": {"rows": self.dropped_rows, "scores": self.dropped},
            "duplicates": self.duplicates,
            "copies": {
                "columns": list(self.copy_columns),
                "chosen": self.copies(),
                "left_out": self.left_out,
            },
        }

    def explain(self) -> str:
        """A text for people: rows, layers, bounds, and how much preferences share."""
        sizes = self.layer_sizes()
        shown = ", ".join(map(str, sizes[:12])) + (", ..." if len(sizes) > 12 else "")
        lines = [
            f"rows       {self.n:,} in all, {sum(sizes):,} in the pool",
            f"layers     {len(sizes)} in the pool, with {shown} rows",
        ]
        if self.by is not None:
            groups = self.rows.select(map(column, self.by)).n_unique()
            lines.append(f"groups     {groups:,} of {', '.join(self.by)}, each with its own layers")
        for (name, direction), worst, best in zip(
            self.objectives.items(), self.r_min, self.r_max, strict=True
        ):
            lines.append(f"bounds     {name} ({direction}): worst {worst:g}, best {best:g}")
        lines += self.remarks()
        lines.append("overlap    with the next preference, and the largest with any other")
        overlap = self.overlap()
        np.fill_diagonal(overlap, np.nan)
        for number, rows, farthest in (
            self.rows.group_by("preference", maintain_order=True)
            .agg(pl.len().alias("rows"), pl.col("distance").max().alias("farthest"))
            .iter_rows()
        ):
            weights = ", ".join(f"{weight:.3g}" for weight in self.weights[number].tolist())
            label = self.names[number] if self.names else f"({weights})"
            last = number + 1 == len(overlap)
            following = "   -" if last else f"{overlap[number, number + 1]:.2f}"
            largest = "   -" if len(overlap) == 1 else f"{np.nanmax(overlap[number]):.2f}"
            lines.append(
                f"  {number:>3} {label}: {following} {largest}; {rows} rows, the farthest at "
                f"{farthest:.3g}"
            )
        return "\n".join(lines)

    def remarks(self) -> list[str]:
        """Lines on rows that were dropped and rows that are copies, where there are any."""
        lines = []
        if self.dropped_rows:
            each = ", ".join(f"{count:,} in {name}" for name, count in self.dropped.items())
            lines.append(f"dropped    {self.dropped_rows:,} rows: null or NaN scores ({each})")
        equal = f"equal in {', '.join(self.copy_columns)}"
        if self.left_out:
            lines.append(f"copies     {self.left_out:,} left out of the pool ({equal})")
        if found := self.copies():
            advice = "; duplicates='drop' leaves them out" if self.duplicates == "keep" else ""
            lines.append(
                f"copies     {found:,} of {len(self.rows):,} chosen rows repeat another of their "
                f"preference ({equal}){advice}"
            )
        return lines

    def of(self, preference: int | str) -> pl.DataFrame:
        """The rows of one preference, by number or by name, nearest first.

        Raises:
            ValueError: there is no such preference.
        """
        names: Sequence[Any] = self.names or ()
        number: Any = names.index(preference) if preference in names else preference
        whole = isinstance(number, int | np.integer) and not isinstance(number, bool)
        if not whole or not 0 <= number < len(self.weights):
            told = f" or one of {', '.join(names)}" if names else ""
            raise ValueError(
                f"preference: expected 0 to {len(self.weights) - 1}{told}, got {preference!r}"
            )
        return self.rows.filter(pl.col("preference") == number)

    def to_dataset(
        self,
        preference: int | str | None = None,
        *,
        prompt: str | None = None,
        completion: str | None = None,
        messages: str | None = None,
        system: str | None = None,
    ) -> Dataset:
        """A Hugging Face Dataset that TRL's SFTTrainer takes as it is.

        Needs the package `datasets`. Prompts and answers are texts or lists of messages: {role,
        content}, or {from, value} as in ShareGPT, as objects or as JSON.

        Args:
            preference: One preference, by number or name; None: all, told apart by the column
                `preference`.
            prompt: The column of prompts; by default the first of prompt, question, instruction,
                query that there is. To an `instruction` belong the columns input, context and
                history, to a `question` or a `query` context.
            completion: The column of answers; by default the first of completion, response,
                answer, output, chosen. An answer may be a whole dialogue whose last message it is:
                it must begin with the row's prompt, if there is a column of prompts.
            messages: Or the column of whole dialogues; by default messages, conversations or
                conversation, where prompts or answers are missing.
            system: The column of system messages; by default system, system_prompt or
                system_message. Empty ones are none.

        Returns:
            A dataset with the columns prompt and completion, each a list of messages, on which
            TRL trains the completion alone; and tools, where rows have such a column. Tool calls
            and results stay as they are.

        Raises:
            ValueError: no such preference or column, columns that could both hold the answers, an
                empty answer, a dialogue that does not end with one, a part that is no text, or
                what else is no conversation.
        """
        from paretohqd.selection.dataset import sft_dataset

        rows = self.rows if preference is None else self.of(preference)
        columns = {
            "prompt": prompt,
            "completion": completion,
            "messages": messages,
            "system": system,
        }
        return sft_dataset(rows, keep=["preference"] if preference is None else [], **columns)

    def plot(self, **options: Any) -> alt.ConcatChart:
        """The scores, the front, the rays and the chosen rows as an altair chart.

        Options are those of `paretohqd.plots.plot`; `paretohqd.plots.save` writes PNG, SVG or a
        page that needs nothing else.
        """
        from paretohqd.plots.selection import plot

        return plot(self, **options)
