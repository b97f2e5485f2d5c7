"""Select the scored answers to fine-tune on, for the trade-off that you want.

Answers scored by several reward models go in as a Polars frame; a training set for each preference
comes out: the rows of the best Pareto layers nearest to the preference's ray (ParetoHqD,
arXiv 2504.16628). Importing this loads NumPy and Polars only; scoring, training, generation and
evaluation live in modules of their own and load torch when they are imported.
"""

from importlib.metadata import version as _version

from paretohqd.frames.first_layers import FirstLayers
from paretohqd.frames.functions import layers
from paretohqd.kernels.hypervolume import (
    hypervolume,
    hypervolume_contributions,
    hypervolume_estimate,
)
from paretohqd.kernels.layers import pareto_front, pareto_layers
from paretohqd.kernels.rays import nearest_to_rays, preference_grid
from paretohqd.selection import namespace as _namespace  # noqa: F401 - registers frame.pareto
from paretohqd.selection.choosing import choose, choose_from, select
from paretohqd.selection.overlap import selection_overlap
from paretohqd.selection.result import Selection
from paretohqd.selection.same_rows import SameRowsWarning

__version__ = _version("paretohqd")

__all__ = [
    "FirstLayers",
    "SameRowsWarning",
    "Selection",
    "__version__",
    "choose",
    "choose_from",
    "hypervolume",
    "hypervolume_contributions",
    "hypervolume_estimate",
    "layers",
    "nearest_to_rays",
    "pareto_front",
    "pareto_layers",
    "preference_grid",
    "select",
    "selection_overlap",
]
