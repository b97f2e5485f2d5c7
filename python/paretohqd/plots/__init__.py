"""What people look at: charts, the frame of a page, progress.

`plot` and `save` draw a selection and write its picture. They need altair, which is loaded when one
of them is named: progress is shown without it.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from paretohqd.plots.selection import plot, save

__all__ = ["plot", "save"]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from paretohqd.plots import selection

    return getattr(selection, name)
