"""Frames of scores, given or drawn by hypothesis, for tests of every path that selects."""

from __future__ import annotations

import polars as pl
from hypothesis import strategies as st

NAMES = ["a", "b", "c"]


def frame_of(points):
    """Columns a, b, c from (n, M) scores."""
    return pl.DataFrame({name: points[:, j] for j, name in enumerate(NAMES[: points.shape[1]])})


@st.composite
def frames(draw):
    m = draw(st.sampled_from([2, 3]))
    value = draw(st.sampled_from([st.integers(0, 3), st.integers(-1000, 1000)]))
    rows = draw(st.lists(st.tuples(*[value] * m), min_size=2, max_size=60))
    dtype = draw(st.sampled_from([pl.Float64, pl.Float32, pl.Int16]))
    frame = pl.DataFrame(rows, schema=dict.fromkeys(NAMES[:m], dtype), orient="row")
    prompts = draw(st.lists(st.integers(0, 9), min_size=len(rows), max_size=len(rows)))
    return frame.with_columns(prompt=pl.Series([f"p{i}" for i in prompts]))
