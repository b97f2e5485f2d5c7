"""What a saved adapter says of its base: its name and commit, not where it lay on a machine."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from paretohqd.frames.writing import write_text

CONFIG = "adapter_config.json"


def base_identity(model: Any) -> dict[str, str | None]:
    """The name of a model's base and its commit, in PEFT's words.

    Args:
        model: A base, or one with adapters.

    Returns:
        `base_model_name_or_path`: the name on the hub, or that of the folder without where it is;
        `revision`: the commit that a model of the hub was loaded at, else None.
    """
    base = model.get_base_model() if hasattr(model, "get_base_model") else model
    commit = getattr(base.config, "_commit_hash", None)
    return named_base(str(base.name_or_path), commit)


def named_base(place: str, commit: str | None) -> dict[str, str | None]:
    """The same, from what transformers was given.

    Example:
        >>> named_base("/home/me/.cache/paretohqd/SmolLM2-1a2b3c", None)
        {'base_model_name_or_path': 'SmolLM2-1a2b3c', 'revision': None}
        >>> named_base("/cache/models--some--tiny/snapshots/" + 8 * "01ab9", None)["revision"][:8]
        '01ab901a'
    """
    path = Path(place)
    kept = re.fullmatch(r"models--(.+)", path.parent.parent.name)
    if path.parent.name == "snapshots" and kept:  # the hub's cache
        name = kept[1].replace("--", "/", 1)
        return {"base_model_name_or_path": name, "revision": commit or path.name}
    if path.is_absolute() or path.is_dir():
        return {"base_model_name_or_path": path.name, "revision": None}
    return {"base_model_name_or_path": place, "revision": commit}


def without_places(folder: Path, model: Any) -> None:
    """Take this machine's paths out of a saved adapter: an adapter is made to be given away.

    Args:
        folder: Where `save_pretrained` of `model` wrote.
        model: The base with the adapter.
    """
    # The model card names the base by its path and tells nothing else.
    (folder / "README.md").unlink(missing_ok=True)
    file = folder / CONFIG
    if file.is_file():
        saved = json.loads(file.read_text(encoding="utf-8")) | base_identity(model)
        if isinstance(saved.get("target_modules"), list):
            # PEFT writes a set, in another order in every process.
            saved["target_modules"].sort()
        write_text(file, json.dumps(saved, indent=2, sort_keys=True))
