"""What tests of expressions share: small frames, and every way in which a query may be run."""

import polars as pl
from polars.testing import assert_frame_equal

ENGINES = ["in-memory", "streaming"]
FRAME = pl.DataFrame(
    {
        "helpful": [0.5, 1.0, 0.0, 0.25, 0.5],
        "length": [10, 30, 5, 30, 10],
        "prompt": ["x", "y", "x", "y", "y"],
    }
)
OBJECTIVES = {"helpful": "max", "length": "min"}
HOLED = FRAME.with_columns(helpful=pl.Series([0.5, None, 0.0, float("nan"), 0.25]))


def in_chunks(frame):
    """The same rows, the first of which begin within another buffer."""
    longer = pl.concat([frame[-1:], frame], rechunk=True)
    cut = len(frame) // 3
    parts = [longer[1 : 1 + cut], frame[cut : cut + 1], longer[2 + cut :]]
    whole = pl.concat(parts, rechunk=False) if len(frame) else frame
    assert_frame_equal(whole, frame)
    return whole


def everywhere(frame, expression, **more):
    """What an expression gives with the frame and lazily, on both engines, whole and in chunks."""
    results = [
        data.lazy().with_columns(expression, **more).collect(engine=engine)
        for data in (frame, in_chunks(frame))
        for engine in ENGINES
    ]
    results.append(in_chunks(frame).with_columns(expression, **more))
    for each in results[1:]:
        assert_frame_equal(each, results[0])
    return results[0]
