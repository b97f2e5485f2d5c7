"""Settings as they are written and shown: without secrets, files named from where they belong."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from paretohqd.runs import layout
from paretohqd.runs.config_reader import to_mapping
from paretohqd.runs.yaml_reader import read_yaml, read_yaml_file
from paretohqd.safety.places import FoundPath, shown_path
from paretohqd.safety.secrets import redacted

if TYPE_CHECKING:
    from paretohqd.runs.config import Config

Settings = TypeVar("Settings", bound="Config")


def with_shown_paths(found: Settings, given: Settings, folder: Path) -> Settings:
    """Give the files that were found the names that are written: as they lie from a folder.

    Args:
        found: Settings with absolute paths.
        given: The same before files were looked for.
        folder: The configuration's.
    """

    def shown(path: str | None, name: str | None, *, model: bool = False) -> str | None:
        if path is None or name is None or not Path(path).is_absolute():
            return path
        return FoundPath(path, _shown(path, folder, model=model))

    return _with_names(found, given, shown)


def written(settings: Config) -> dict[str, Any]:
    """Settings as plain values for people: what `config.yaml` and pages hold.

    Example:
        >>> from paretohqd.runs.config_reader import from_mapping
        >>> from paretohqd.runs.config import Config
        >>> rewards = [{"name": name, "scorer": "embedded:harmless"} for name in "ab"]
        >>> given = {"run": "out", "data": {"source": "x.csv"}, "objectives": rewards}
        >>> written(from_mapping(Config, given))["data"]["source"]
        'x.csv'
    """

    def shown(path: str | None, name: str | None, *, model: bool = False) -> str | None:
        if path is None or isinstance(path, FoundPath) or not Path(path).is_absolute():
            return path
        return FoundPath(path, _shown(path, Path.cwd(), model=model))

    named = _with_names(settings, settings, shown)
    run = settings.run
    if Path(run).is_absolute():
        run = shown_path(run, Path.cwd())
    plain: dict[str, Any] = redacted(to_mapping(dataclasses.replace(named, run=run)))
    return plain


def shown_config(text: str) -> str:
    """The text of a `config.yaml`, which an older version or a stranger may have written."""
    try:
        plain = read_yaml(text)
    except ValueError:
        return str(redacted(text))
    shown = _without_folders(redacted(plain))
    # As it was written where there is nothing to take out, in comments neither.
    return text if shown == plain and redacted(text) == text else yaml_text(shown)


def read_before(path: Path) -> Any:
    """What a run folder's `config.yaml` held; None where it is none."""
    try:
        return redacted(read_yaml_file(path))
    except ValueError:
        return None


def is_comparison(folder: Path) -> bool:
    """Whether a run folder is that of a comparison, finished or not."""
    if (folder / layout.RESULTS).is_file():
        return True
    config = folder / layout.CONFIG
    before = read_before(config) if config.is_file() else None
    return isinstance(before, dict) and "methods" in before


def yaml_text(plain: Any) -> str:
    """Plain values as YAML."""
    import yaml

    text: str = yaml.safe_dump(plain, sort_keys=False, allow_unicode=True)
    return text


def _without_folders(value: Any) -> Any:
    """Plain values whose absolute paths have lost their folders."""
    if isinstance(value, dict):
        return {key: _without_folders(each) for key, each in value.items()}
    if isinstance(value, list):
        return [_without_folders(each) for each in value]
    if isinstance(value, str) and "\n" not in value and Path(value).is_absolute():
        return Path(value).name
    return value


def _shown(path: str, folder: Path, *, model: bool) -> str:
    shown = shown_path(path, folder)
    # A bare name would be one of the hub.
    return f"./{shown}" if model and not shown.startswith((".", "~")) else shown


def _with_names(found: Settings, given: Settings, shown: Callable[..., str | None]) -> Settings:
    """Settings whose files have other names."""
    replace = dataclasses.replace
    model = replace(
        found.model,
        name=shown(found.model.name, given.model.name, model=True),
        chat_template=shown(found.model.chat_template, given.model.chat_template),
    )
    data = replace(
        found.data,
        source=shown(found.data.source, given.data.source),
        prompts=shown(found.data.prompts, given.data.prompts),
    )
    objectives = tuple(
        replace(
            now,
            model=shown(now.model, before.model, model=True),
            scorer=shown(now.scorer, before.scorer),
        )
        for now, before in zip(found.objectives, given.objectives, strict=True)
    )
    objectives = tuple(
        replace(o, judge=replace(o.judge, rubric=shown(o.judge.rubric, before.judge.rubric)))
        if o.judge is not None and before.judge is not None
        else o
        for o, before in zip(objectives, given.objectives, strict=True)
    )
    return replace(found, model=model, data=data, objectives=objectives)
