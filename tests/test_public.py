"""What `import paretohqd` gives."""

import importlib
import inspect
import pkgutil
import re
import subprocess
import sys
from importlib.util import find_spec

import numpy as np
import polars as pl
import pytest
from polars.testing import assert_frame_equal

import paretohqd as pq
from paretohqd.frames import functions
from paretohqd.kernels import _core

LATER = {"score": "paretohqd.rewards.scoring"}
"""Public functions that are imported when they are used, and where they are."""


def test_no_module_hides_behind_a_public_name():
    """`import paretohqd.layers` would bind the function, not the module."""
    assert [name for name in pq.__all__ if find_spec(f"paretohqd.{name}")] == []


def packages():
    yield pq
    for info in pkgutil.walk_packages(pq.__path__, "paretohqd."):
        if info.ispkg:
            try:
                yield importlib.import_module(info.name)
            except ImportError:  # of an extra that is not installed
                continue


def test_the_name_of_a_module_means_that_module():
    """`import paretohqd.a.b as m` and `mock.patch` look the name up in the package."""
    shadowed = []
    for package in packages():
        for info in pkgutil.iter_modules(package.__path__):
            try:
                module = importlib.import_module(f"{package.__name__}.{info.name}")
            except ImportError:
                continue
            except SystemExit:  # __main__ runs
                continue
            if getattr(package, info.name) is not module:
                shadowed.append(module.__name__)
    assert shadowed == []


def test_every_public_name_is_there():
    assert sorted(pq.__all__) == pq.__all__
    for name in set(pq.__all__) - set(LATER):
        assert getattr(pq, name) is not None
    assert set(pq.__all__) <= set(dir(pq))


def test_load_takes_what_the_policies_take():
    pytest.importorskip("transformers")
    from paretohqd.policies import loaded

    assert inspect.signature(pq.load).parameters == inspect.signature(loaded.load).parameters
    more = list(inspect.signature(pq.policy).parameters)
    assert more == ["run", "weights", *list(inspect.signature(pq.load).parameters)[1:]]


@pytest.mark.parametrize("name", LATER)
def test_what_takes_longer_is_imported_when_it_is_used(name):
    function = getattr(pq, name)
    assert function is getattr(importlib.import_module(LATER[name]), name)
    assert callable(function)
    assert function.__doc__


def test_run_takes_what_the_pipeline_takes():
    pytest.importorskip("transformers")
    from paretohqd.runs import pipeline

    ours, theirs = map(inspect.signature, (pq.run, pipeline.run))
    assert list(ours.parameters) == list(theirs.parameters)
    for name, each in ours.parameters.items():
        assert (each.kind, each.default) == (
            theirs.parameters[name].kind,
            theirs.parameters[name].default,
        )


def test_all_names_are_there_without_torch():
    script = """
import inspect, pydoc, sys
for name in ("torch", "transformers", "trl", "peft"):
    sys.modules[name] = None
from paretohqd import *
import paretohqd as pq
assert set(pq.__all__) <= set(globals())
assert {name for name, _ in inspect.getmembers(pq)} >= set(pq.__all__)
assert "quickstart.yaml" in pydoc.render_doc(pq)
for use in (run, load, lambda name: policy(name, [1, 0])):
    try:
        use("run.yaml")
    except ImportError as error:
        print(error)
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    said = "torch is not installed: pip install 'paretohqd[train]'\n"
    assert done.stdout == 3 * said, done.stderr


def test_other_names_are_attribute_errors():
    with pytest.raises(AttributeError, match="module 'paretohqd' has no attribute 'slect'"):
        _ = pq.slect


def test_importing_loads_numpy_and_polars_alone():
    script = """
import sys
before = set(sys.modules)
import paretohqd
roots = {name.partition(".")[0] for name in set(sys.modules) - before} - {"paretohqd"}
print(*sorted(root for root in roots if root not in sys.stdlib_module_names))
"""
    done = subprocess.run(
        [sys.executable, "-c", script], check=True, capture_output=True, text=True
    )
    others = {root for root in done.stdout.split() if not root.startswith(("_", "polars"))}
    assert others - {"typing_extensions"} == {"numpy"}


def test_the_version_is_that_of_the_binary():
    assert pq.__version__ == _core.__version__


def test_an_unoptimised_build_is_announced(monkeypatch):
    monkeypatch.setattr(_core, "DEBUG_BUILD", True)
    with pytest.warns(RuntimeWarning, match="built without optimisation"):
        importlib.reload(pq)


FRAME = pl.DataFrame({"help": [1.0, 0.75, 0.25, 0.5], "safe": [0.0, 0.5, 0.25, 1.0]})


@pytest.mark.parametrize("lazy", [False, True])
def test_functions_on_frames_are_the_methods(lazy):
    frame = FRAME.lazy() if lazy else FRAME
    names = ["help", "safe"]
    assert_frame_equal(pq.front(frame, names), frame.pareto.front(names))
    assert_frame_equal(pq.layers(frame, names, upto=1), frame.pareto.layers(names, upto=1))
    rays = {"origin": [1, 1], "through": np.zeros((1, 2)), "k": 2}
    assert_frame_equal(pq.rays(frame, names, **rays), frame.pareto.rays(names, **rays))
    least = {"ideal": [1, 1], "directions": [[1, 1], [0, 1]], "k": 2}
    assert_frame_equal(
        pq.achievement(frame, names, **least), frame.pareto.achievement(names, **least)
    )
    assert isinstance(pq.front(frame, names), type(frame))
    chosen = frame.pareto.choose(names, 3, k=1)
    assert isinstance(chosen, pq.Selection)
    assert_frame_equal(chosen.rows, pq.select(FRAME, names, 3, k=1))


@pytest.mark.parametrize(
    ("function", "options"),
    [
        (pq.choose, pq.SelectOptions),
        (pq.layers, functions.LayerOptions),
        (pq.front, functions.FrontOptions),
    ],
)
def test_the_types_of_options_are_those_of_the_function(function, options):
    named = {
        each.name
        for each in inspect.signature(function).parameters.values()
        if each.kind is each.KEYWORD_ONLY
    }
    assert set(options.__annotations__) == named


FUNCTIONS = [
    name for name in pq.__all__ if name not in LATER and inspect.isfunction(getattr(pq, name))
]


@pytest.mark.parametrize("name", FUNCTIONS)
def test_help_says_all_arguments(name):
    function = getattr(pq, name)
    text = inspect.getdoc(function)
    arguments = inspect.signature(function).parameters
    # What select says of its options is their names, and where they are explained.
    options = set(pq.SelectOptions.__annotations__) if name == "select" else set()
    assert [each for each in arguments if f" {each}: " not in text and each not in options] == []
    assert [each for each in options if not re.search(rf"\b{each}\b", text)] == []
    assert "Returns:" in text
    assert ">>> " in text
