"""Settings for every test, and tiny models that are made once.

What needs torch is imported by the fixtures that need it: the tests of the core run without it.
"""

from __future__ import annotations

import gc
import os
import shutil
import signal

# Before torch is imported: one thread, so that sums are always added in the same order.
os.environ["OMP_NUM_THREADS"] = "1"
os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["TOKENIZERS_PARALLELISM"] = "false"

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import settings

# What a shell starts in the background ignores SIGINT, and so does every process that it starts.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# No test is timed: machines are shared.
settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")


@pytest.fixture(scope="module", autouse=True)
def _older_objects_are_left_out_of_collections() -> None:
    """A run collects garbage before it loads a model, and looks at every object to do so.

    Where thousands of tests and all packages are in memory, that took most of the tests' time.
    What is alive before a file of tests begins is not looked at again.
    """
    gc.collect()
    gc.freeze()


def pytest_sessionfinish() -> None:
    """What the interpreter should let go of at its end is looked at again."""
    gc.unfreeze()


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """Chromium without a window, where it and playwright are installed."""
    api = pytest.importorskip("playwright.sync_api")
    found = shutil.which("chromium") or shutil.which("chromium-browser")
    if found is None:
        pytest.skip("no Chromium")
    with api.sync_playwright() as running:
        opened = running.chromium.launch(executable_path=found, args=["--no-sandbox"])
        yield opened
        opened.close()


@pytest.fixture(scope="session")
def causal(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of a tiny language model whose answers differ from prompt to prompt and often end."""
    import torch

    from helpers.tiny import tiny_causal

    torch.set_num_threads(1)
    return tiny_causal(tmp_path_factory.mktemp("models") / "causal")


@pytest.fixture(scope="session")
def classifier(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of a tiny reward model."""
    from helpers.tiny import tiny_classifier

    return tiny_classifier(tmp_path_factory.mktemp("models") / "classifier")


@pytest.fixture
def load(causal: Path) -> Callable[..., tuple[Any, Any]]:
    """Loads a fresh tiny model in float32 and its tokenizer, with another template if given."""
    import torch

    from paretohqd.models import base as models
    from paretohqd.models.spec import Model

    def one(template: str | None = None) -> tuple[Any, Any]:
        spec = Model(name=str(causal), chat_template=template)
        return models.load_base(spec, device="cpu", dtype=torch.float32)

    return one


@pytest.fixture
def base(load: Callable[..., tuple[Any, Any]]) -> Any:
    """A fresh tiny model in float32 and its tokenizer."""
    return load()


@pytest.fixture
def sft_trainers(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Trainers that `sft.fit` makes; they do not train."""
    from paretohqd.trainers import sft

    return untrained(monkeypatch, sft, "SFTTrainer")


@pytest.fixture
def pair_trainers(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Trainers that `fit_pairs` makes; they do not train."""
    from paretohqd.trainers import dpo

    return untrained(monkeypatch, dpo, "PairTrainer")


def untrained(monkeypatch: pytest.MonkeyPatch, module: Any, name: str) -> list[Any]:
    """Put a trainer that only notes itself in the place of the module's own."""
    seen: list[Any] = []

    class Spy(getattr(module, name)):  # type: ignore[misc]
        def train(self, *args: Any, **more: Any) -> None:
            seen.append(self)

    monkeypatch.setattr(module, name, Spy)
    return seen


@pytest.fixture(scope="session")
def pairs() -> pl.DataFrame:
    """Ten pairs of answers of different lengths."""
    from helpers.tiny import sentences

    texts = sentences()
    return pl.DataFrame(
        {
            "prompt": [texts[37 * i] for i in range(10)],
            "chosen": [texts[(101 * i + 5) % 588] for i in range(10)],
            "rejected": ["Well: " * (i % 3) + texts[(53 * i + 9) % 588] for i in range(10)],
        }
    )


@pytest.fixture(scope="session")
def rows() -> pl.DataFrame:
    """A small training set."""
    from helpers.tiny import sentences

    texts = sentences()
    return pl.DataFrame(
        {
            "prompt": [texts[37 * i % 588] for i in range(12)],
            "response": [texts[(101 * i + 5) % 588] for i in range(12)],
        }
    )


@pytest.fixture(scope="session")
def parts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder with a model, two reward models and data: what `small_run.settings` names."""
    from helpers.small_run import write_data
    from helpers.tiny import tiny_causal, tiny_classifier

    folder = tmp_path_factory.mktemp("parts")
    tiny_causal(folder / "model")
    tiny_classifier(folder / "kind", seed=1)
    tiny_classifier(folder / "brief", seed=2, kind="gpt2")
    write_data(folder / "data.parquet")
    return folder


@pytest.fixture
def bench(parts: Path, tmp_path: Path) -> Iterator[Callable[..., Any]]:
    """Opens a bench in a run folder of its own, with the data split and scored.

    Takes the budget and settings of `small_comparison.comparison`; opening another closes it.
    """
    import io

    from helpers.small_comparison import comparison
    from paretohqd.compare.workbench import Workbench
    from paretohqd.plots.progress import Screen
    from paretohqd.runs import pipeline
    from paretohqd.runs.context import RunContext

    opened: list[RunContext] = []

    def one(allowed: Any = None, **more: Any) -> Workbench:
        for context in opened:
            context.folder.close()
        chosen = comparison(parts, str(tmp_path / "run"), **{"methods": ["base"], **more})
        s = RunContext(chosen, screen=Screen(file=io.StringIO()))
        opened.append(s)
        pipeline.score(s, 1, pipeline.split(s))
        return Workbench(s, title="it", seed=0, allowed=allowed)

    yield one
    for context in opened:
        context.folder.close()
