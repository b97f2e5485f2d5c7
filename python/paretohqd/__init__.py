"""Select the scored answers to fine-tune on, for the trade-off that you want.

Answers scored by several reward models go in as a Polars frame; a training set for each preference
comes out: the rows of the best Pareto layers nearest to the preference's ray (ParetoHqD,
arXiv 2504.16628). Importing this loads NumPy and Polars only; `run`, and the rooms of models,
rewards and trainers, load torch or what else they need when they are used.
"""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

from paretohqd.exceptions import MissingPackageError
from paretohqd.frames.achievement import achievement
from paretohqd.frames.expressions import crowding_expr, front_expr, layer_expr
from paretohqd.frames.first_layers import FirstLayers
from paretohqd.frames.functions import front, layers
from paretohqd.frames.near_rows import rays
from paretohqd.frames.offline import obey as _obey_offline
from paretohqd.kernels._core import DEBUG_BUILD as _DEBUG_BUILD
from paretohqd.kernels._core import __version__
from paretohqd.kernels.achievement import Achievements, least_achievement
from paretohqd.kernels.crowding import crowding_distance
from paretohqd.kernels.hypervolume import (
    Estimate,
    hypervolume,
    hypervolume_contributions,
    hypervolume_estimate,
)
from paretohqd.kernels.indicators import epsilon_additive, igd_plus, r2_indicator
from paretohqd.kernels.layers import pareto_front, pareto_layers
from paretohqd.kernels.rays import Nearest, nearest_to_rays, preference_grid
from paretohqd.kernels.subset import Subset, hypervolume_subset
from paretohqd.selection import namespace as _namespace  # noqa: F401 - registers frame.pareto
from paretohqd.selection.added_rows import choose_from
from paretohqd.selection.choosing import choose, select
from paretohqd.selection.options import SelectOptions
from paretohqd.selection.overlap import selection_overlap
from paretohqd.selection.pair_dataset import preference_pairs
from paretohqd.selection.result import Selection
from paretohqd.selection.same_rows import SameRowsWarning

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from paretohqd.plots.progress import Screen
    from paretohqd.policies.asking import Weights
    from paretohqd.policies.loaded import Policy, Run
    from paretohqd.rewards.scoring import score
    from paretohqd.runs.config import Config

__all__ = [
    "Achievements",
    "Estimate",
    "FirstLayers",
    "Nearest",
    "SameRowsWarning",
    "SelectOptions",
    "Selection",
    "Subset",
    "__version__",
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
    "load",
    "nearest_to_rays",
    "pareto_front",
    "pareto_layers",
    "policy",
    "preference_grid",
    "preference_pairs",
    "r2_indicator",
    "rays",
    "run",
    "score",
    "select",
    "selection_overlap",
]

_obey_offline()

if _DEBUG_BUILD:
    warnings.warn(
        "paretohqd's Rust core was built without optimisation and is many times slower: build it "
        "with --release",
        RuntimeWarning,
        stacklevel=2,
    )

_LATER = {"score": "paretohqd.rewards.scoring"}
"""Functions whose modules take a while to import, by the module: imported when they are used."""


def __getattr__(name: str) -> Any:
    if name not in _LATER:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    globals()[name] = value = getattr(import_module(_LATER[name]), name)
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_LATER})


# Functions of their own: `from paretohqd import *` and help() work where torch is not installed.
def run(
    settings: Config | str | Path,
    *,
    screen: Screen | None = None,
    verify: bool = False,
    unsafe_settings: bool = False,
    trust_remote_code: Iterable[str] = (),
    allow_code: Iterable[str] = (),
    send_to: Iterable[str] = (),
) -> Path:
    """Do the run that `settings` describes, or what is left of it.

    It scores, selects, fine-tunes and samples in two stages, evaluates, and writes a report; what
    is finished is skipped. Needs the extra `train`.

    Args:
        settings: The run, or the YAML file that describes it, whose run folder lies below the
            working folder (`load_settings(Config, file, {"run": folder})` names any other).
        screen: What shows how it goes; lines and bars on standard error by default.
        verify: Read every file of the finished stages, and redo a stage whose content was changed;
            otherwise only where a file's size, times or inode are others than they were.
        unsafe_settings: Let keys of trainers pass that send data out or that nobody has judged.
        trust_remote_code: Models whose own code may run: "NAME@COMMIT" with the whole commit of a
            name on the hub, or the path of a folder.
        allow_code: Scorers that are code and may run, "package.module:function" or
            "file.py:function" as the configuration writes them.
        send_to: Hosts of servers on other machines that prompts and answers may be sent to.

    Returns:
        The run folder: `evaluate/summary/metrics.json`, `report.html` and every stage.

    Raises:
        ValueError: Bad settings or data; what was finished before stays.
        OSError: The folder cannot be written, or the disk is full; run again when it can.
        ImportError: torch or another package of the extra `train` is not installed.

    Example:
        >>> folder = pq.run("quickstart.yaml")  # doctest: +SKIP
    """
    pipeline = _imported("paretohqd.runs.pipeline")
    folder: Path = pipeline.run(
        settings,
        screen=screen,
        verify=verify,
        unsafe_settings=unsafe_settings,
        trust_remote_code=trust_remote_code,
        allow_code=allow_code,
        send_to=send_to,
    )
    return folder


def load(
    run: str | Path, *, stage: int | None = None, model: str | None = None, device: str = "auto"
) -> Run:
    """Open a finished run for any preference. Needs the extra `train`.

    Args:
        run: The run's folder, which is read and never written.
        stage: Which stage's adapters; the last one's if not given.
        model: The base, where it lies elsewhere by now.
        device: "auto", "cpu" or "cuda".

    Returns:
        The run: `.policy(weights)` for any trade-off; its base is loaded when one first answers.

    Raises:
        ValueError: The run is not finished (what is missing), its folder holds links, or the base
            or its chat template is another one than it was.
        ImportError: torch or another package of the extra `train` is not installed.

    Example:
        >>> pq.load("runs/quickstart").preferences  # doctest: +SKIP
    """
    loaded = _imported("paretohqd.policies.loaded")
    opened: Run = loaded.load(run, stage=stage, model=model, device=device)
    return opened


def policy(
    run: str | Path,
    weights: Weights,
    *,
    stage: int | None = None,
    model: str | None = None,
    device: str = "auto",
) -> Policy:
    """The model of a finished run for a preference: `load(run).policy(weights)`.

    Args:
        run: The run's folder.
        weights: A trained preference's name; or weights, at least 0, by the objectives' names or in
            their order, which are divided by their sum.
        stage: As for `load`, as are the others.
        model: Likewise.
        device: Likewise.

    Returns:
        The adapter of that preference, or the exact sum of its trained neighbours' (`str()` says
        which): `.generate(messages)`, `.stream(messages)`, `.predicted`.

    Raises:
        ValueError: As `load`; or weights that are negative, all 0, or not one for each objective.
        ImportError: As `load`.

    Example:
        >>> pq.policy("runs/quickstart", [0.7, 0.3]).predicted  # doctest: +SKIP
    """
    return load(run, stage=stage, model=model, device=device).policy(weights)


def _imported(module: str) -> Any:
    """A module that needs the extra `train`.

    Raises:
        MissingPackageError: Which package is not installed.
    """
    from importlib import import_module

    try:
        return import_module(module)
    except ModuleNotFoundError as error:
        from paretohqd.runs.failures import sentence

        raise MissingPackageError(sentence(error)) from error
