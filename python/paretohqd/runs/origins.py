"""Which commits a run loads its models at, and what its starter allowed: kept in the run folder.

A branch of the hub may move while a run is under way or before it is resumed. The commit of each
model is found out once, when the run begins, and holds from then on.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from paretohqd.models import base, consent, hub
from paretohqd.models.names import EMBEDDED, is_local
from paretohqd.runs import layout
from paretohqd.runs.config import Config, Settings
from paretohqd.runs.folder import RunFolder


def model_names(settings: Config) -> list[str]:
    """The models that a run loads: its base and its reward models."""
    rewards = (objective.model for objective in settings.objectives)
    return [settings.model.name, *(name for name in rewards if name is not None)]


def pin(settings: Settings, folder: RunFolder) -> tuple[Settings, Settings]:
    """Settings with commits in place of revisions, as the folder remembers them.

    Returns:
        What models are loaded by, and what the keys of stages hold: the same, but in folders that
        were begun before commits were kept, whose finished stages stay as they are.

    Raises:
        ValueError: A commit that cannot be found out, or what the folder remembers is none.
    """
    if folder.rank == 0:
        before = folder.read_json(layout.COMMITS)
        older = folder.read_json(layout.CHECKED) is not None and any(_on_hub(settings))
        kept = before or {"in_keys": not older, "commits": {}}
        commits = dict(kept["commits"])
        for name, revision in _on_hub(settings):
            if _label(name, revision) not in commits:
                commits[_label(name, revision)] = hub.find_commit(name, revision)
        now = {**kept, "commits": commits}
        if now != before:
            folder.write_json(layout.COMMITS, now)
    folder.barrier()
    kept = folder.read_json(layout.COMMITS)
    known: dict[str, str] = kept["commits"]
    for label, one in known.items():
        if not consent.COMMIT.fullmatch(str(one)):  # the folder may come from anyone
            raise ValueError(
                f"{folder.folder / layout.COMMITS}: {label}: {one!r} is no commit: begin a new run"
            )

    def commit(name: str | None, revision: str | None) -> str | None:
        return known.get(_label(name, revision), revision)

    spec, objectives = settings.model, settings.objectives
    loaded = dataclasses.replace(
        settings,
        model=dataclasses.replace(spec, revision=commit(spec.name, spec.revision)),
        objectives=tuple(
            dataclasses.replace(o, revision=commit(o.model, o.revision)) for o in objectives
        ),
    )
    return loaded, loaded if kept["in_keys"] else settings


def keep_consent(folder: RunFolder, scorers: Mapping[str, str]) -> Iterable[str]:
    """Write down what was allowed besides, and say it.

    Args:
        folder: The run folder.
        scorers: Those that are code, with the hash of each.

    Returns:
        Lines for people.
    """
    allowed = consent.current()
    if not (allowed.unsafe_settings or allowed.remote_code or allowed.send_to or scorers):
        return []
    code = {
        name: commit or base.fingerprint(Path(name), folder.hash_path)
        for name, commit in allowed.remote_code.items()
    }
    record: dict[str, Any] = {"unsafe_settings": allowed.settings, "own_code": code}
    if scorers:
        record["scorers"] = dict(scorers)
    if allowed.send_to:
        record["send_to"] = sorted(allowed.send_to)
    if folder.rank == 0:
        folder.write_json(layout.CONSENT, record)
    passed = ", ".join(allowed.settings) or "none is used"
    return [
        *(f"--allow-code: {name} (sha256 {mark[:12]})" for name, mark in scorers.items()),
        *([f"--unsafe-settings: {passed}"] if allowed.unsafe_settings else []),
        *(f"--trust-remote-code: {name} ({mark}) may run its code" for name, mark in code.items()),
        *(f"--send-to: {host} may get prompts and answers" for host in sorted(allowed.send_to)),
    ]


def _on_hub(settings: Config) -> Iterable[tuple[str, str | None]]:
    spec = settings.model
    for name, revision in [
        (spec.name, spec.revision),
        *((o.model, o.revision) for o in settings.objectives),
    ]:
        if name is not None and name != EMBEDDED and not is_local(name):
            yield name, revision


def _label(name: str | None, revision: str | None) -> str:
    return f"{name}@{revision or 'main'}"
