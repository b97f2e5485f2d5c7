"""What a finished stage of a run says about itself."""

from __future__ import annotations

import dataclasses
import json
import platform
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any, Self

from paretohqd.safety.secrets import redacted

MANIFEST = "manifest.json"

Notes = Mapping[str, Any]
"""What the work of a stage says about its result, for people and for later stages."""

Settings = Mapping[str, Any]
"""Everything but the inputs that a stage's result depends on: plain values, which JSON holds."""

PACKAGES = ("paretohqd", "numpy", "polars", "torch", "transformers", "trl", "peft", "datasets")


@dataclass(frozen=True, kw_only=True)
class Manifest:
    """How a stage's files came about."""

    stage: str
    """Its name."""
    key: str
    """Hash of the name, the settings and the inputs: the same key, the same result."""
    digest: str
    """Hash of the files: what later stages depend on."""
    settings: Settings
    inputs: Mapping[str, str]
    """Name and hash of each."""
    notes: Notes
    seconds: float
    cpu_seconds: float | None
    """None in folders of older versions."""
    finished: str
    versions: Mapping[str, str]
    files: Mapping[str, str]
    """Path and hash of each."""

    @classmethod
    def read(cls, folder: Path) -> Self:
        """The manifest of a finished stage.

        Raises:
            OSError: There is none.
            ValueError: It is torn.
        """
        try:
            raw = {"cpu_seconds": None} | json.loads((folder / MANIFEST).read_text())
            return cls(**{field.name: raw[field.name] for field in dataclasses.fields(cls)})
        except (KeyError, TypeError) as error:
            raise ValueError(f"{folder / MANIFEST} is no manifest: {error!r}") from None

    def to_json(self) -> str:
        """The text of the file, without secrets and this machine's folders."""
        return json.dumps(redacted(vars(self)), indent=1, default=str)


@dataclass(frozen=True)
class Stage:
    """A finished stage: its folder and what its manifest says."""

    path: Path
    manifest: Manifest

    @property
    def digest(self) -> str:
        """Hash of the stage's files: what later stages depend on."""
        return self.manifest.digest

    @property
    def notes(self) -> Notes:
        """What the work said about its result."""
        return self.manifest.notes


def versions() -> dict[str, str]:
    """Versions of Python and of the packages that a result depends on."""
    installed = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            installed[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return installed
