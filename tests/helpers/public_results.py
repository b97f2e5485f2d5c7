"""What is public: names, and the arguments of each function and method."""

from __future__ import annotations

import inspect
from functools import partial
from typing import Any

import polars as pl

import paretohqd as pq
from helpers.world import Call, World

FUNCTIONS = (
    "achievement",
    "choose",
    "choose_from",
    "crowding_distance",
    "crowding_expr",
    "epsilon_additive",
    "front",
    "front_expr",
    "hypervolume",
    "hypervolume_contributions",
    "hypervolume_estimate",
    "hypervolume_subset",
    "igd_plus",
    "layer_expr",
    "layers",
    "least_achievement",
    "nearest_to_rays",
    "pareto_front",
    "pareto_layers",
    "preference_grid",
    "preference_pairs",
    "r2_indicator",
    "rays",
    "select",
    "selection_overlap",
    "FirstLayers",
)
METHODS = {
    "FirstLayers": ("add", "enough", "layer_sizes", "load", "save"),
    "Selection": (
        "copies",
        "explain",
        "layer_sizes",
        "of",
        "overlap",
        "plot",
        "remarks",
        "summary",
        "to_dataset",
        "to_datasets",
        "why",
    ),
    "frame.pareto": ("choose", "front", "hypervolume", "layers", "rays", "select"),
}


def _arguments(name: str, w: World) -> list[list[str]]:
    """The name, kind and default of each argument of a function, or of a class or its method."""
    owner, _, method = name.rpartition(".")
    first = pl.DataFrame().pareto if owner == "frame.pareto" else getattr(pq, owner or method)
    function: Any = getattr(first, method) if owner else first
    return [
        [each.name, each.kind.name, repr(each.default)]
        for each in inspect.signature(function).parameters.values()
    ]


RESULTS: dict[str, Call] = {
    "names: paretohqd": lambda w: sorted(pq.__all__),
    **{f"arguments: {name}": partial(_arguments, name) for name in FUNCTIONS},
    **{
        f"arguments: {owner}.{method}": partial(_arguments, f"{owner}.{method}")
        for owner, methods in METHODS.items()
        for method in methods
    },
}
