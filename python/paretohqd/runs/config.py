"""What a run is: the whole YAML file as a frozen dataclass, read strictly.

Nothing heavy is imported here. The sections `train`, `train_stage2` and `lora` are kept as plain
mappings for TRL's SFTConfig and PEFT's LoraConfig; which of their keys are followed is checked when
a run starts.
"""

from __future__ import annotations

import dataclasses
import glob
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, TypeVar

from paretohqd.frames.noise import noise_of
from paretohqd.models.names import named_model
from paretohqd.models.spec import Model
from paretohqd.models.template_files import find_rubric, find_template
from paretohqd.rewards.code import located
from paretohqd.runs.config_reader import from_mapping
from paretohqd.runs.place import refuse_outside
from paretohqd.runs.sections import (
    Data,
    Evaluation,
    Generation,
    Objective,
    Options,
    Selection,
    within,
)
from paretohqd.runs.written import with_shown_paths
from paretohqd.runs.yaml_reader import read_yaml_file
from paretohqd.safety.printing import first_acting
from paretohqd.safety.secrets import refuse_secrets

TAKEN = (
    "prompt",
    "response",
    "conversation",
    "model",
    "sample",
    "tokens",
    "finished",
    "words",
    "short",
    "repetitive",
    "echo",
    "entropy",
    "system_prompt",
    "preference",
    "preference_name",
    "weights",
    "position",
    "distance",
    "layer",
    "row",
)
"""Columns that a run makes, so that no objective can have these names."""


@dataclass(frozen=True, kw_only=True)
class Config:
    """A whole run."""

    run: str
    """Folder for the results, below the one where the command runs; given by hand, any."""
    data: Data
    """Where the answers come from."""
    objectives: tuple[Objective, ...]
    """The rewards, two or more."""
    preferences: int | tuple[tuple[float, ...] | Options, ...] | Options | None = None
    """A number of preferences (spread evenly on the simplex), or the weights themselves: rows in
    the objectives' order, {objective: weight} of any sum, or {name: weights}. By default 11 with
    two objectives, else as many as the nearest even lattice has."""
    model: Model = field(default_factory=Model)
    """The base model."""
    selection: Selection = field(default_factory=Selection)
    """How training rows are chosen."""
    train: Options = field(default_factory=dict)
    """Settings of TRL's SFTConfig, verbatim."""
    train_stage2: Options = field(default_factory=dict)
    """What differs from `train` in stage 2."""
    lora: Options = field(default_factory=dict)
    """Settings of PEFT's LoraConfig, verbatim."""
    generation: Generation = field(default_factory=Generation)
    """How answers are sampled."""
    evaluation: Evaluation = field(default_factory=Evaluation)
    """What is measured."""
    stages: Literal[1, 2] = 2
    """1 ends after the first training; 2 trains further on answers that stage-1 models gave."""
    seed: int = 0
    """Whatever is drawn is drawn with it: rows, prompts, batches, answers."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """Where models run; `auto` takes a GPU where torch finds one."""
    precision: Literal["auto", "float32", "bfloat16"] = "auto"
    """Numbers of training and sampling; `auto` takes bfloat16 where the CPU or GPU has it."""
    train_together: bool = False
    """Let the processes of a launcher train each adapter together, for a base that needs several
    GPUs; by default each trains whole adapters, as a single process would."""
    threads: int | None = None
    """Threads of torch on a CPU; where it is not given, what OMP_NUM_THREADS says, else as many as
    the affinity and the quotas of the process allow."""

    def __post_init__(self) -> None:
        """Refuse what no later stage could make sense of."""
        self._check_objectives()
        self._check_selection()
        if isinstance(self.preferences, int):
            within(self, "", 1, None, "preferences")
        within(self, "", 0, 2**31 - 1, "seed")
        within(self, "", 1, None, "threads")

    def _check_objectives(self) -> None:
        names = [objective.name for objective in self.objectives]
        if len(names) < 2:
            raise ValueError(
                "objectives: a trade-off needs two or more; for one, sort by its score and take k"
            )
        if len(set(names)) < len(names):
            raise ValueError(f"objectives: names must differ, got {', '.join(names)}")
        for i, objective in enumerate(self.objectives):
            if acting := first_acting(objective.name):
                raise ValueError(
                    f"objectives[{i}].name: holds the character {acting}, which is not seen or "
                    "acts on a terminal: choose another name"
                )
            if not objective.name or objective.name in TAKEN:
                raise ValueError(
                    f"objectives[{i}].name: {objective.name!r} is empty or a column of the run's "
                    "own: choose another name"
                )
            if objective.scorer is not None and objective.model is not None:
                raise ValueError(f"objectives: {objective.name} has both a scorer and a model")
            if objective.judge is not None and (objective.scorer or objective.model):
                raise ValueError(
                    f"objectives: {objective.name} has a judge and a scorer or a model: give one"
                )
            if objective.aspect is not None and objective.judge is None:
                raise ValueError(f"objectives: {objective.name}: aspect goes with a judge")
            if objective.scorer is None and objective.model is None and objective.judge is None:
                raise ValueError(
                    f"objectives: {objective.name} has neither a scorer nor a model: a run scores "
                    "answers that do not exist yet; for scores in columns use `paretohqd select`"
                )
            for column in objective.columns or ():
                if column in TAKEN or column in names:
                    raise ValueError(
                        f"objectives[{i}].columns: {column!r} is an objective or a column of the "
                        "run's own: rename it in the data"
                    )
            counts = ("max_length", "batch_size", "batch_tokens")
            within(objective, f"objectives[{i}]", 1, None, *counts)
            within(objective, f"objectives[{i}]", 0, None, "output")

    def _check_selection(self) -> None:
        """Refuse points and noise of other objectives, and columns that differ in stage 2."""
        names, chosen = [objective.name for objective in self.objectives], self.selection
        try:
            chosen.rule(k=chosen.k).box([True] * len(names), names)
            noise_of(chosen.epsilon, names)
        except ValueError as error:
            raise ValueError(f"selection: {error}") from None
        own = set(TAKEN) - {"prompt", "response", "conversation"}
        for column in self.selection.columns:
            if column in own:
                raise ValueError(
                    f"selection: {column!r} is a column of the run's own, with other values in "
                    "stage 2 than in the data: rename it in the data"
                )


Settings = TypeVar("Settings", bound=Config)


def load_settings(
    kind: type[Settings], path: str | Path, overrides: Mapping[str, object] | None = None
) -> Settings:
    """Read a configuration from a YAML file.

    Args:
        kind: Config, or a dataclass that extends it.
        path: The file. Files that it names are looked for beside it, then where the command runs.
        overrides: Values by dotted key that replace the file's, such as {"selection.k": 50}. A
            "run" given so may lie anywhere; that of the file lies below the working folder.

    Returns:
        The configuration, with input files as absolute paths, which are written relative to the
        file's folder.

    Raises:
        ValueError: Not a mapping, an unknown or missing key, a value of the wrong kind, a secret, a
            chat template or a rubric that is not below the file's folder, or a run folder outside
            the working folder; the message names the key.
        FileNotFoundError: No such file.
    """
    path = Path(path)
    try:
        mapping = read_yaml_file(path)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None
    if not isinstance(mapping, dict):
        raise ValueError(f"{path}: expected a mapping of settings, got {type(mapping).__name__}")
    for dotted, value in (overrides or {}).items():
        *sections, last = dotted.split(".")
        inner = mapping
        for section in sections:
            if inner.get(section) is None:
                inner[section] = {}
            inner = inner[section]
            if not isinstance(inner, dict):
                raise ValueError(f"{dotted}: {section} is not a section")
        inner[last] = value
    refuse_secrets(mapping)  # before any message could show one
    settings: Settings = from_mapping(kind, mapping)
    if "run" not in (overrides or {}):
        refuse_outside(settings.run)
    folder = path.absolute().parent
    return with_shown_paths(_with_paths(settings, folder), settings, folder)


def _with_paths(config: Settings, folder: Path) -> Settings:
    """Turn names of existing files and folders into absolute paths, the file's folder first.

    A pattern of names that finds a file becomes one with an absolute path likewise.
    """
    folders = (folder, Path.cwd())

    def resolve(name: str | None) -> str | None:
        if not name or name == "embedded":
            return name
        for base in folders:
            try:
                path = base / Path(name).expanduser()
                if path.exists():
                    return str(path.absolute())
                if not glob.has_magic(name):
                    continue
                pattern = os.path.join(glob.escape(str(base)), Path(name).expanduser())
                if any(glob.iglob(pattern, recursive=True)):
                    return pattern
            except (OSError, RuntimeError, ValueError):  # too long, of no user, a null in it
                continue
        return name

    replace = dataclasses.replace
    model = replace(
        config.model,
        name=named_model(config.model.name, "model.name", folders),
        chat_template=find_template(config.model.chat_template, folder),
    )
    data = replace(
        config.data, source=resolve(config.data.source), prompts=resolve(config.data.prompts)
    )
    objectives = tuple(
        replace(
            o,
            model=o.model and named_model(o.model, f"objectives[{i}].model", folders),
            scorer=located(o.scorer, folder, f"objectives[{i}].scorer"),
        )
        for i, o in enumerate(config.objectives)
    )
    objectives = tuple(
        replace(o, judge=o.judge and replace(o.judge, rubric=find_rubric(o.judge.rubric, folder)))
        for o in objectives
    )
    return replace(config, model=model, data=data, objectives=objectives)
