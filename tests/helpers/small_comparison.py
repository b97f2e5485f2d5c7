"""A whole comparison on a tiny model: settings for the tests."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

from helpers.small_run import mapping
from paretohqd.compare.config import Comparison
from paretohqd.runs.config_reader import from_mapping

GRPO = {
    "per_device_train_batch_size": 2,
    "gradient_accumulation_steps": 1,
    "num_generations": 2,
    "max_completion_length": 8,
    "learning_rate": 1e-2,
}
"""Steps of few tokens."""


def comparison(folder: Path, run: str, **more: Any) -> Comparison:
    """Settings of a comparison in folder `run`, of the parts that the fixture has put in `folder`.

    Steps are of one row, so that a budget can be met nearly.
    """
    given = {
        "preferences": [[1.0, 0.0], [0.0, 1.0]],
        "generation__prompts": 6,
        "train__per_device_train_batch_size": 1,
        "pairs": {"per_device_train_batch_size": 1},
        "reinforcement": GRPO,
    }
    settings: Comparison = from_mapping(Comparison, mapping(folder, run, **{**given, **more}))
    return settings


def do(chosen: Comparison) -> list[str]:
    """Run it; returns the lines that a person would see."""
    from paretohqd.compare.comparison import compare
    from paretohqd.plots.progress import Screen

    file = io.StringIO()
    compare(chosen, screen=Screen(file=file))
    return file.getvalue().splitlines()
