"""Select the scored answers to fine-tune on, for the trade-off that you want.

Answers scored by several reward models go in as a Polars frame; a training set for each preference
comes out: the rows of the best Pareto layers nearest to the preference's ray (ParetoHqD,
arXiv 2504.16628). Importing this loads NumPy and Polars only; `run` and `score`, and the rooms of
models, rewards and trainers, load torch or what else they need when they are first asked for.
"""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

from paretohqd.frames.first_layers import FirstLayers
from paretohqd.frames.functions import front, layers
from paretohqd.frames.near_rows import rays
from paretohqd.kernels._core import DEBUG_BUILD as _DEBUG_BUILD
from paretohqd.kernels._core import __version__
from paretohqd.kernels.hypervolume import (
    Estimate,
    hypervolume,
    hypervolume_contributions,
    hypervolume_estimate,
)
from paretohqd.kernels.layers import pareto_front, pareto_layers
from paretohqd.kernels.rays import Nearest, nearest_to_rays, preference_grid
from paretohqd.selection import namespace as _namespace  # noqa: F401 - registers frame.pareto
from paretohqd.selection.choosing import choose, choose_from, select
from paretohqd.selection.overlap import selection_overlap
from paretohqd.selection.pair_dataset import preference_pairs
from paretohqd.selection.result import Selection
from paretohqd.selection.rule import SelectOptions
from paretohqd.selection.same_rows import SameRowsWarning

if TYPE_CHECKING:
    from paretohqd.rewards.scoring import score
    from paretohqd.runs.pipeline import run

__all__ = [
    "Estimate",
    "FirstLayers",
    "Nearest",
    "SameRowsWarning",
    "SelectOptions",
    "Selection",
    "__version__",
    "choose",
    "choose_from",
    "front",
    "hypervolume",
    "hypervolume_contributions",
    "hypervolume_estimate",
    "layers",
    "nearest_to_rays",
    "pareto_front",
    "pareto_layers",
    "preference_grid",
    "preference_pairs",
    "rays",
    "run",
    "score",
    "select",
    "selection_overlap",
]

if _DEBUG_BUILD:
    warnings.warn(
        "paretohqd's Rust core was built without optimisation and is many times slower: build it "
        "with --release",
        RuntimeWarning,
        stacklevel=2,
    )

_LATER = {"run": "paretohqd.runs.pipeline", "score": "paretohqd.rewards.scoring"}
"""Functions whose modules need more packages, by the module: imported when they are asked for."""


def __getattr__(name: str) -> Any:
    if name not in _LATER:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    globals()[name] = value = getattr(import_module(_LATER[name]), name)
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_LATER})
