"""The forms in which people pass preferences, as rows of weights and names."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from numbers import Real
from typing import Any

import numpy as np
import polars as pl

from paretohqd.frames.sources import Source
from paretohqd.kernels.arrays import is_pandas, named_columns

TEXT = (pl.String, pl.Categorical, pl.Enum)


def rows_and_names(preferences: Any) -> tuple[Any, tuple[str, ...] | None]:
    """Rows of weights, each in order or {objective: weight}, and the preferences' names, if any.

    Args:
        preferences: Rows; {objective: weight}; {name: row}; a frame with a column per objective
            and perhaps one of text; what is none of these is handed back as it is.

    Raises:
        ValueError: Names that are no text, empty or equal, or two columns of text.

    Example:
        >>> rows_and_names({"a": 0.5, "b": 0.5})
        ([{'a': 0.5, 'b': 0.5}], None)
        >>> rows_and_names({"even": {"a": 0.5, "b": 0.5}})
        ([{'a': 0.5, 'b': 0.5}], ('even',))
        >>> rows_and_names(pl.DataFrame({"b": [0.5], "a": [0.5], "name": ["even"]}))
        ([{'b': 0.5, 'a': 0.5}], ('even',))
    """
    if _is_table(preferences):
        return _of_table(preferences)
    preferences = _labelled(preferences)
    if isinstance(preferences, Mapping):
        if preferences and all(map(_is_weight, preferences.values())):
            return [preferences], None
        return list(map(_labelled, preferences.values())), _checked(list(preferences))
    if isinstance(preferences, list | tuple):
        return list(map(_labelled, preferences)), None
    return preferences, None


def _is_table(value: Any) -> bool:
    if isinstance(value, np.ndarray):
        return value.dtype.names is not None and value.ndim == 1
    if isinstance(value, pl.Series) or getattr(value, "ndim", 2) != 2:
        return False
    table = isinstance(value, pl.DataFrame | pl.LazyFrame) or hasattr(value, "__arrow_c_stream__")
    return table or is_pandas(value)


def _of_table(table: Any) -> tuple[list[dict[str, Any]], tuple[str, ...] | None]:
    if is_pandas(table) and len(table) and all(isinstance(name, str) for name in table.index):
        table = table.reset_index()
    if isinstance(table, np.ndarray):
        table = pl.DataFrame(table)
    frame = Source.of(table).frame.lazy().collect()
    texts = [name for name, kind in frame.schema.items() if kind in TEXT]
    if len(texts) > 1:
        raise ValueError(
            f"preferences: columns {texts[0]!r} and {texts[1]!r} are both text, but one names the "
            "preferences and the others are the objectives' weights"
        )
    # Columns of arrays stand for all their components, as they do among the scores.
    columns = {str(name): column for name, column in named_columns(frame.drop(texts))}
    names = _checked(frame[texts[0]].to_list()) if texts else None
    return pl.DataFrame(columns).to_dicts(), names


def _labelled(row: Any) -> Any:
    """A pandas series whose labels are text as {label: value}; what else there is as it is."""
    named = is_pandas(row) and all(isinstance(label, str) for label in row.index)
    return dict(row.items()) if named and getattr(row, "ndim", 0) == 1 else row


def _is_weight(value: object) -> bool:
    return isinstance(value, Real | Decimal) and not isinstance(value, bool)


def _checked(names: list[Any]) -> tuple[str, ...]:
    if wrong := [name for name in names if not isinstance(name, str)]:
        raise ValueError(f"preferences: names are text, got {wrong[0]!r}")
    if not all(name.strip() for name in names):
        raise ValueError("preferences: an empty name")
    if twice := [name for place, name in enumerate(names) if name in names[:place]]:
        raise ValueError(f"preferences: {twice[0]!r} is the name of two")
    return tuple(names)
