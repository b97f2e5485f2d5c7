"""What a selection gives: the chosen rows, and all that is needed to judge and to use them."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import TYPE_CHECKING, Any, Self, Unpack

import numpy as np
import polars as pl
from numpy.typing import NDArray

from paretohqd.frames.notebooks import html_table, numbered
from paretohqd.frames.objectives import column
from paretohqd.selection.asking import why_of
from paretohqd.selection.copies import repeated
from paretohqd.selection.explanation import explanation, headline, remarks
from paretohqd.selection.overlap import selection_overlap
from paretohqd.selection.preferences import Directions, ray_weights
from paretohqd.selection.ranks import Rank
from paretohqd.selection.rule import Rule
from paretohqd.selection.why import Why

if TYPE_CHECKING:
    import altair as alt
    from datasets import Dataset, DatasetDict

    from paretohqd.selection.dataset import DatasetColumns

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False, kw_only=True, repr=False)
class Selection:
    """A selection with what it was made from.

    `chosen["brief"]` and `chosen[0]` are the rows of one preference, by its name or its number,
    `len(chosen)` is the number of preferences, `"brief" in chosen` says whether there is one, and
    `for name, rows in chosen` goes through all: numbers come in the place of names where
    preferences have none.

    A pickled one has all but `scores` and `beside`, which may be the whole input: what shows all
    rows, as the plot does, shows the pool then.

    Attributes:
        rows: Long frame: k rows per preference, see `select`.
        preferences: (P, M) weights; each row sums to 1.
        objectives: The direction, "max" or "min", of each objective.
        pool: The rows that could be chosen, in the input's order: `row` (its number there) and
            `layer`, whose names begin with the prefix too, and one Float64 column per objective,
            in the input's units.
        r_min: (M,) nadir, in the input's units: the worst of the reference set per objective.
            Within groups each has its own; this is the worst of all.
        r_max: (M,) ideal, in the input's units: the best of the reference set per objective.
        n_rows: Rows of the input.
        scores: One column per objective over all rows of the input; None if it is not at hand.
        preference_names: Names of the preferences, if they have any.
        by: Columns within whose values rows were chosen; None: all together.
        rank: By what rows were ranked, see `select`; if not by the distance to a ray, the pool is
            the rows that reference points come from and the chosen ones.
        directions: Which way the rays run, see `select`.
        duplicates: Whether copies could be chosen, see `select`.
        copy_columns: The columns in which copies are equal; none if these cannot be compared.
        left_out: Rows of the pool's layers that are left out of it as copies.
        prefix: What the names of the added columns begin with.
        excluded: Rows that do not meet the condition (`where`).
        dropped_rows: Rows that were dropped for null or NaN scores.
        dropped: How many null and NaN scores each objective has, where rows were dropped.
        rule: How rows were chosen; None if that is not known.
        beside: What tells groups, values of `distinct` and copies apart: one column for each such
            column of the input, over all its rows; None if they are not at hand.

    Example:
        >>> import polars as pl
        >>> import paretohqd as pq
        >>> frame = pl.DataFrame({"help": [1.0, 0.8, 0.0], "safe": [0.0, 0.7, 1.0]})
        >>> chosen = pq.choose(frame, ["help", "safe"], {"useful": [0.9, 0.1], "kind": [0.1, 0.9]},
        ...                    k=1)
        >>> chosen
        rows       3 in all, 3 in the pool
        layers     1 in the pool, with 3 rows
        >>> chosen["kind"]["row"].to_list(), len(chosen), "rude" in chosen
        ([2], 2, False)
        >>> [(name, rows["row"].to_list()) for name, rows in chosen]
        [('useful', [0]), ('kind', [2])]
    """

    rows: pl.DataFrame
    preferences: Floats
    objectives: dict[str, str]
    pool: pl.DataFrame
    r_min: Floats
    r_max: Floats
    n_rows: int
    scores: pl.LazyFrame | None = None
    preference_names: tuple[str, ...] | None = None
    by: tuple[str, ...] | None = None
    rank: Rank = "ray"
    directions: Directions = "paper"
    duplicates: str = "keep"
    copy_columns: tuple[str, ...] = ()
    left_out: int = 0
    prefix: str = ""
    excluded: int = 0
    dropped_rows: int = 0
    dropped: dict[str, int] = field(default_factory=dict)
    rule: Rule | None = None
    beside: pl.LazyFrame | None = None

    def __repr__(self) -> str:
        """The first two lines of `explain`, not the frames."""
        return "\n".join(headline(self))

    def _repr_html_(self) -> str:
        """A small table for notebooks."""
        return html_table("Selection", self._facts())

    def __copy__(self) -> Self:
        """Another object of the same frames, scores included."""
        return replace(self)

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        """A copy that shares nothing, scores included."""
        return type(self)(
            **{each.name: copy.deepcopy(getattr(self, each.name), memo) for each in fields(self)}
        )

    def __getstate__(self) -> dict[str, Any]:
        """All but what is there of all rows: a pickle of that would hold the whole input."""
        return {**self.__dict__, "scores": None, "beside": None}

    def __len__(self) -> int:
        """The number of preferences."""
        return len(self.preferences)

    def __iter__(self) -> Iterator[tuple[str | int, pl.DataFrame]]:
        """Each preference's name, or its number where there are no names, and its rows."""
        for key in self._keys():
            yield key, self[key]

    def __contains__(self, preference: object) -> bool:
        """Whether there is a preference of this name or number."""
        return self._number(preference) is not None

    def __getitem__(self, preference: int | str) -> pl.DataFrame:
        """The rows of one preference, by number or by name, nearest first.

        Raises:
            ValueError: There is no such preference.
        """
        number = self._number(preference)
        if number is None:
            names = self.preference_names
            named = f" or one of {', '.join(names)}" if names else ""
            raise ValueError(
                f"preference: expected 0 to {len(self) - 1}{named}, got {preference!r}"
            )
        return self.rows.filter(self.column("preference") == number)

    def column(self, name: str) -> pl.Expr:
        """A column of `rows` or `pool` that was added, by its name without the prefix."""
        return column(f"{self.prefix}{name}")

    def of(self, preference: int | str) -> pl.DataFrame:
        """The same as `self[preference]`."""
        return self[preference]

    def _of_pool(self, name: str) -> NDArray[Any]:
        return self.pool.get_column(f"{self.prefix}{name}").to_numpy()

    def _keys(self) -> Sequence[str | int]:
        return self.preference_names or range(len(self))

    def _number(self, preference: object) -> int | None:
        """The number of a preference that is given by name or number; None if there is none."""
        if isinstance(preference, str):
            names = self.preference_names or ()
            return names.index(preference) if preference in names else None
        if isinstance(preference, bool) or not isinstance(preference, int | np.integer):
            return None
        return int(preference) if 0 <= preference < len(self) else None

    def _facts(self) -> dict[str, str]:
        """What there is, in a few words."""
        sizes = self.layer_sizes()
        objectives = (f"{name} ({direction})" for name, direction in self.objectives.items())
        facts = {
            "preferences": numbered(len(self), "preference"),
            "rows": f"{len(self.rows):,} rows chosen of {self.n_rows:,}",
            "pool": f"a pool of {sum(sizes):,} rows in {numbered(len(sizes), 'layer')}",
            "objectives": ", ".join(objectives),
        }
        if self.by is not None:
            facts["groups"] = f"within groups of {', '.join(self.by)}"
        if self.scores is None:
            facts["scores"] = "scores of the pool alone"
        return facts

    @property
    def through(self) -> Floats:
        """(P, M) further points of the rays, in units of the box: r_min is 0, r_max is 1."""
        return ray_weights(self.preferences, self.directions)

    @property
    def layer(self) -> NDArray[np.int32]:
        """(n_rows,) Pareto layer of every input row; -1 beyond the pool."""
        layer = np.full(self.n_rows, -1, dtype=np.int32)
        layer[self._of_pool("row")] = self._of_pool("layer")
        return layer

    def layer_sizes(self) -> list[int]:
        """Rows in each layer of the pool, best first."""
        return [int(size) for size in np.bincount(self._of_pool("layer"))]

    def overlap(self) -> Floats:
        """(P, P) Jaccard index of the preferences' sets of rows; 1 on the diagonal."""
        rows = self.rows.select(preference=self.column("preference"), row=self.column("row"))
        # Within groups a preference may have got no row.
        some = np.unique(rows["preference"].to_numpy())
        whole = np.eye(len(self))
        whole[np.ix_(some, some)] = selection_overlap(rows)
        return whole

    def copies(self) -> int:
        """How many chosen rows are copies of another that the same preference got."""
        return repeated(self.rows, self.copy_columns, f"{self.prefix}preference")

    def summary(self) -> dict[str, Any]:
        """What the selection was made from, as numbers, lists and text only."""
        return {
            "n_rows": self.n_rows,
            "objectives": self.objectives,
            "preferences": self.preferences.tolist(),
            "preference_names": self.preference_names,
            "by": self.by,
            "rank": self.rank,
            "directions": self.directions,
            "layers": self.layer_sizes(),
            "r_min": self.r_min.tolist(),
            "r_max": self.r_max.tolist(),
            **({"excluded": self.excluded} if self.excluded else {}),
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
        return explanation(self)

    def why(self, row: int) -> Why:
        """Why a row of the input was chosen or not.

        What dominates it, its layer, and for each preference its distance, its place in the order
        and its position among the chosen rows. A row of the pool is compared with the pool; for
        others, for `duplicates="drop"` and where `rank` is not "ray", the scores of all rows are
        read again, in batches. Within groups the row is compared with those of its group. Where
        scores are not at hand (after pickling, or of rows that came in parts), what only they could
        tell is left open.

        Args:
            row: Its number in the input, as in the column `row`.

        Returns:
            A value that prints as a text; its `table` has a row for each preference. See
            `paretohqd.selection.why.Why`.

        Raises:
            ValueError: There is no such row; the selection has groups and was pickled, or was put
                together by hand; the input cannot be read again, or its rows come in another order.

        Example:
            >>> import polars as pl
            >>> import paretohqd as pq
            >>> frame = pl.DataFrame({"help": [1.0, 0.8, 0.0, 0.1], "safe": [0.0, 0.7, 1.0, 0.1]})
            >>> chosen = pq.choose(frame, ["help", "safe"], {"kind": [0.1, 0.9]}, k=1)
            >>> chosen.why(1)
            row        1, not chosen
            scores     help (max) 0.8, safe (max) 0.7
            layer      0; the pool has 1 layer, 0 is the front
            dominated  by no row
              0 kind: place 1 of 3, 1 was taken; distance 0.2761, the last one taken 0.1104
            >>> chosen.why(3).dominated_by, chosen.why(2).table["position"].to_list()
            (array([1]), [0])
        """
        return why_of(self, row)

    def remarks(self) -> list[str]:
        """Lines on rows that were dropped and rows that are copies, where there are any."""
        return remarks(self)

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
                answer, output, chosen; beside chosen and rejected it has to be named. An answer
                may be a whole dialogue whose last message it is: it must begin with the row's
                prompt, if there is a column of prompts.
            messages: Or the column of whole dialogues; by default messages, conversations or
                conversation, where prompts or answers are missing.
            system: The column of system messages; by default system, system_prompt or
                system_message. Empty ones are none.

        Returns:
            A dataset with the columns prompt and completion, each a list of messages, on which
            TRL trains the completion alone; and tools, where rows have such a column. Tool calls
            and results stay as they are.

        Raises:
            ValueError: No such preference or column, columns that could both hold the answers, an
                empty answer, a dialogue that does not end with one, a part that is no text, or
                what else is no conversation.
        """
        from paretohqd.selection.dataset import sft_dataset

        rows = self.rows if preference is None else self[preference]
        return sft_dataset(
            rows,
            prompt=prompt,
            completion=completion,
            messages=messages,
            system=system,
            keep=[f"{self.prefix}preference"] if preference is None else [],
        )

    def to_datasets(self, **columns: Unpack[DatasetColumns]) -> DatasetDict:
        """What `to_dataset` gives for each preference, by its name, as a DatasetDict.

        Where preferences have no names, the keys are their numbers as text: "0", "1", ..
        (The Hub takes a key for a split, whose name has letters, digits, "_" and dots alone.)

        Args:
            columns: `prompt`, `completion`, `messages` and `system`, as for `to_dataset`.

        Raises:
            ValueError: As `to_dataset`.
        """
        from paretohqd.selection.dataset import dataset_dict

        return dataset_dict({str(key): self.to_dataset(key, **columns) for key in self._keys()})

    def plot(self, **options: Any) -> alt.ConcatChart:
        """The scores, the front, the rays and the chosen rows as an altair chart.

        Options are those of `paretohqd.plots.plot`; `paretohqd.plots.save` writes PNG, SVG or a
        page that needs nothing else.
        """
        from paretohqd.plots.selection import plot

        return plot(self, **options)
