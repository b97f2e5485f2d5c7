"""What a selection gives: the chosen rows, and all that is needed to judge and to use them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from paretohqd.metrics import selection_overlap
from paretohqd.preferences import Directions, ray_weights

if TYPE_CHECKING:
    import altair as alt
    from datasets import Dataset

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False, kw_only=True)
class Selection:
    """A selection with what it was made from.

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
            groups = self.rows.select(self.by).n_unique()
            lines.append(f"groups     {groups:,} of {', '.join(self.by)}, each with its own layers")
        for (name, direction), worst, best in zip(
            self.objectives.items(), self.r_min, self.r_max, strict=True
        ):
            lines.append(f"bounds     {name} ({direction}): worst {worst:g}, best {best:g}")
        lines.append("overlap    with the next preference, and the largest with any other")
        for number in range(len(self.weights)):
            lines.append(f"  {number:>3} {self._shares(number)}")
        return "\n".join(lines)

    def _shares(self, number: int) -> str:
        """What a preference shares with others, and how far its rows are."""
        overlap = self.overlap()[number]
        weights = ", ".join(f"{weight:.3g}" for weight in self.weights[number].tolist())
        label = self.names[number] if self.names else f"({weights})"
        following = f"{overlap[number + 1]:.2f}" if number + 1 < len(overlap) else "   -"
        others = np.delete(overlap, number)
        largest = f"{others.max():.2f}" if len(others) else "   -"
        far = self.of(number)["distance"]
        farthest = np.max(far.to_numpy(), initial=0)
        return f"{label}: {following} {largest}; {len(far)} rows, the farthest at {farthest:.3g}"

    def of(self, preference: int | str) -> pl.DataFrame:
        """The rows of one preference, by number or by name, nearest first.

        Raises:
            ValueError: there is no such preference.
        """
        names: Sequence[Any] = self.names or ()
        number: Any = names.index(preference) if preference in names else preference
        if type(number) is not int or not 0 <= number < len(self.weights):
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
    ) -> Dataset:
        """A Hugging Face Dataset that TRL's SFTTrainer takes as it is.

        Needs the package `datasets`.

        Args:
            preference: One preference, by number or name; None: all, told apart by the column
                `preference`.
            prompt: The column of prompts; by default the first of prompt, question, instruction,
                query that there is.
            completion: The column of answers; by default the first of completion, response,
                answer, output, chosen.
            messages: Or the column of conversations, lists of {role, content}, whose last message
                is the answer; by default messages or conversation, where there are no prompts.

        Returns:
            A dataset with the columns prompt and completion, each a list of messages, on which
            TRL trains the completion alone.

        Raises:
            ValueError: no such preference or column, or a conversation without an answer.
        """
        from paretohqd.dataset import sft_dataset

        rows = self.rows if preference is None else self.of(preference)
        columns = {"prompt": prompt, "completion": completion, "messages": messages}
        return sft_dataset(rows, keep=["preference"] if preference is None else [], **columns)

    def plot(self, **options: Any) -> alt.ConcatChart:
        """The scores, the front, the rays and the chosen rows as an altair chart.

        Options are those of `paretohqd.plots.plot`; `paretohqd.plots.save` writes PNG, SVG or a
        page that needs nothing else.
        """
        from paretohqd.plots import plot

        return plot(self, **options)
