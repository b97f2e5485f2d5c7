"""A selection drawn, in the notebook or to a file."""

from paretohqd.plots.chart import check_picture, plot, save

__all__ = ["check_picture", "plot", "save"]
