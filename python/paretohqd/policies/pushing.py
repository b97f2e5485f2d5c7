"""An exported folder on the Hub: what goes up is listed, looked through and asked for first."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from paretohqd.models.adapters import CONFIG, WEIGHTS
from paretohqd.models.names import check_hub_name
from paretohqd.policies.export import CARD
from paretohqd.safety.secrets import secret_in

ALLOWED = (WEIGHTS, CONFIG, CARD)
"""Files of an adapter that go up; nothing else that lies there does."""

_PLACE = re.compile(r"(?<![\w/:.~-])/[A-Za-z][\w.-]*/[\w./-]*|file://|\b[A-Za-z]:\\")
"""A file's place on some machine: an absolute path of two names or more."""


def check_push(repo: str) -> None:
    """Refuse what can go nowhere, before anything is made for it.

    Raises:
        ValueError: PARETOHQD_OFFLINE, or a name that is none.
    """
    if os.environ.get("PARETOHQD_OFFLINE") == "1":
        raise ValueError("push: PARETOHQD_OFFLINE=1 forbids it")
    check_hub_name(repo, "push")
    if "/" not in repo:
        raise ValueError(f"push: {repo!r}: expected OWNER/NAME")


def push(
    folder: str | Path,
    repo: str,
    *,
    agreed: Callable[[str], bool],
    public: bool = False,
    api: Any = None,
) -> str:
    """Upload an exported adapter to a new repository of the Hub.

    Args:
        folder: What `export_adapter` wrote.
        repo: OWNER/NAME, of a repository that is not there yet.
        agreed: Gets what will be done, as text; returns whether it may be.
        public: Whether everybody may see it; only its owner can otherwise.
        api: huggingface_hub's HfApi, with its own login, if not given.

    Returns:
        Where it lies.

    Raises:
        ValueError: No adapter there, a name that is none, a text that holds a token or a path of
            this machine, a base that others cannot load, PARETOHQD_OFFLINE, or nobody agreed.
    """
    check_push(repo)
    place = Path(folder)
    missing = [name for name in ALLOWED if not (place / name).is_file()]
    if missing:
        raise ValueError(f"push: {place} is no exported adapter: {', '.join(missing)} missing")
    for name in (CONFIG, CARD):
        text = (place / name).read_text(encoding="utf-8")
        what = secret_in(text) or ("a path of some machine" if _PLACE.search(text) else None)
        if what:
            raise ValueError(f"push: {name} holds {what}: take it out first")
    base = json.loads((place / CONFIG).read_text(encoding="utf-8"))["base_model_name_or_path"]
    if "/" not in base:
        raise ValueError(
            f"push: the adapter's base, {base!r}, is no model of the Hub: others cannot load it"
        )
    sizes = {name: (place / name).stat().st_size for name in ALLOWED}
    listed = "\n".join(f"  {name}  {size:,} bytes" for name, size in sizes.items())
    who = "everybody" if public else "its owner alone"
    if not agreed(f"to {repo}, a new repository that {who} can see:\n{listed}"):
        raise ValueError("push: not agreed, and nothing was sent")
    if api is None:
        from huggingface_hub import HfApi

        api = HfApi()
    made = api.create_repo(repo_id=repo, private=not public, exist_ok=False)
    api.upload_folder(
        repo_id=repo,
        folder_path=str(place),
        allow_patterns=list(ALLOWED),
        commit_message="An adapter and its card",
    )
    return str(made)
