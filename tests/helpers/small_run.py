"""A whole run on a tiny model with tiny reward models: settings and data for the tests."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import polars as pl

from helpers.tiny import sentences
from paretohqd.runs import config


def write_data(path: Path) -> None:
    """Four answers to each of thirty prompts."""
    texts = sentences()
    pl.DataFrame(
        {
            "prompt": [texts[i // 4 * 7 % 588] for i in range(120)],
            "response": [texts[(i * 31 + 3) % 588] for i in range(120)],
        }
    ).write_parquet(path)


def settings(folder: Path, run: str = "run", **more: Any) -> config.Config:
    """Settings of a run in `folder`, which the fixture `parts` has filled."""
    return config.from_mapping(config.Config, mapping(folder, run, **more))


def mapping(folder: Path, run: str, **more: Any) -> dict[str, Any]:
    """What the YAML file of such a run would hold; `more` replaces keys, `__` for dots."""
    settings: dict[str, Any] = {
        "run": str(folder / run),
        "model": {"name": str(folder / "model")},
        "data": {"source": str(folder / "data.parquet"), "held_out": 5},
        "objectives": [
            {"name": "kind", "model": str(folder / "kind")},
            {"name": "brief", "model": str(folder / "brief")},
        ],
        "preferences": 3,
        "selection": {"k": 6},
        "train": {"max_steps": 3, "per_device_train_batch_size": 2, "learning_rate": 1e-2},
        "lora": {"r": 4},
        "generation": {"prompts": 8, "max_new_tokens": 8},
        "device": "cpu",
        "precision": "float32",
        "threads": 1,
    }
    for dotted, value in more.items():
        inner, (*sections, last) = settings, dotted.split("__")
        for section in sections:
            inner = inner.setdefault(section, {})
        inner[last] = value
    return settings


def do(chosen: config.Config) -> list[str]:
    """Run it; returns the lines that a person would see."""
    from paretohqd.plots.progress import Screen
    from paretohqd.runs.pipeline import run

    file = io.StringIO()
    run(chosen, screen=Screen(file=file))
    return file.getvalue().splitlines()


def finished(run: Path) -> set[str]:
    return {
        path.parent.relative_to(run).as_posix()
        for path in run.rglob("manifest.json")
        if not any(part.endswith(".work") for part in path.relative_to(run).parts)
    }


def contents(run: Path) -> dict[str, bytes]:
    """Every file of every stage, but for the manifests, which tell the time."""
    return {
        path.relative_to(run).as_posix(): path.read_bytes()
        for stage in finished(run)
        for path in (run / stage).rglob("*")
        if path.is_file() and path.name != "manifest.json"
    }
