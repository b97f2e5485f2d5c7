"""A selection in words: its rows, its pool, and how much preferences share."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from paretohqd.frames.objectives import column

if TYPE_CHECKING:
    from paretohqd.selection.result import Selection


def headline(selection: Selection) -> list[str]:
    """Two lines: how many rows there are, and what the pool is made of."""
    sizes = selection.layer_sizes()
    shown = ", ".join(map(str, sizes[:12])) + (", ..." if len(sizes) > 12 else "")
    return [
        f"rows       {selection.n_rows:,} in all, {sum(sizes):,} in the pool",
        f"layers     {len(sizes)} in the pool, with {shown} rows",
    ]


def explanation(selection: Selection) -> str:
    """What `Selection.explain` says."""
    lines = headline(selection)
    if selection.by is not None:
        groups = selection.rows.select(map(column, selection.by)).n_unique()
        lines.append(
            f"groups     {groups:,} of {', '.join(selection.by)}, each with its own layers"
        )
    for (name, direction), worst, best in zip(
        selection.objectives.items(), selection.r_min, selection.r_max, strict=True
    ):
        lines.append(f"bounds     {name} ({direction}): worst {worst:g}, best {best:g}")
    lines += remarks(selection)
    lines.append("overlap    with the next preference, and the largest with any other")
    overlap = selection.overlap()
    np.fill_diagonal(overlap, np.nan)
    names = selection.preference_names
    got = {
        number: (rows, f", the farthest at {farthest:.3g}")
        for number, rows, farthest in selection.rows.group_by(selection.column("preference"))
        .agg(pl.len().alias("#"), selection.column("distance").max())
        .iter_rows()
    }
    for number in range(len(selection)):
        rows, farthest = got.get(number, (0, ""))
        weights = ", ".join(f"{weight:.3g}" for weight in selection.preferences[number].tolist())
        label = names[number] if names else f"({weights})"
        last = number + 1 == len(overlap)
        following = "   -" if last else f"{overlap[number, number + 1]:.2f}"
        largest = "   -" if len(overlap) == 1 else f"{np.nanmax(overlap[number]):.2f}"
        lines.append(f"  {number:>3} {label}: {following} {largest}; {rows} rows{farthest}")
    return "\n".join(lines)


def remarks(selection: Selection) -> list[str]:
    """What `Selection.remarks` says."""
    lines = []
    if selection.excluded:
        lines.append(f"excluded   {selection.excluded:,} rows do not meet the condition")
    if selection.dropped_rows:
        each = ", ".join(f"{count:,} in {name}" for name, count in selection.dropped.items())
        lines.append(f"dropped    {selection.dropped_rows:,} rows: null or NaN scores ({each})")
    equal = f"equal in {', '.join(selection.copy_columns)}"
    if selection.left_out:
        lines.append(f"copies     {selection.left_out:,} left out of the pool ({equal})")
    if copies := selection.copies():
        advice = "; duplicates='drop' leaves them out" if selection.duplicates == "keep" else ""
        lines.append(
            f"copies     {copies:,} of {len(selection.rows):,} chosen rows repeat another of their "
            f"preference ({equal}){advice}"
        )
    return lines
