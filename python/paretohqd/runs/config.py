"""What a run is: one frozen dataclass per section of the YAML file, read strictly.

Nothing heavy is imported here, so a misspelt key is reported before torch has loaded. The
sections `train`, `train_stage2` and `lora` are kept as plain mappings for TRL's SFTConfig and
PEFT's LoraConfig; which of their keys are followed is checked when a run starts.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from sys import float_info
from typing import Any, Literal, TypeVar

from paretohqd.models.names import named_model
from paretohqd.models.spec import Model
from paretohqd.models.template_files import find_template
from paretohqd.runs.config_reader import from_mapping
from paretohqd.runs.place import refuse_outside
from paretohqd.runs.written import with_shown_paths
from paretohqd.runs.yaml_reader import read_yaml_file
from paretohqd.safety.printing import first_acting
from paretohqd.safety.secrets import refuse_secrets
from paretohqd.selection.rule import Rule

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


Options = Mapping[str, Any]
"""Keys and values as a library takes them."""


@dataclass(frozen=True, kw_only=True)
class Data:
    """Where the answers come from and which prompts are kept for evaluation."""

    source: str
    """`embedded:conversations`, a Parquet, CSV or JSONL file, or `hub:NAME`."""
    subset: str | None = None
    split: str = "train"
    revision: str | None = None
    prompt: str = "prompt"
    """Column of prompts: texts, or messages of which one is a prompt. Where there is none of this
    name, the columns of common layouts are looked for (see `Selection.to_dataset`)."""
    response: str = "response"
    """Column of answers, likewise; or of whole dialogues, where there are no prompts. Without it a
    row with chosen and rejected becomes two."""
    conversation: str | None = None
    """Column by which rows belong together; the prompt where there is none."""
    held_out: int = 64
    """Conversations set aside: one prompt of each is a candidate for evaluation."""
    prompts: str | None = None
    """Another source of prompts for stage 2, which needs no answers; the pool's own prompts where
    there is none. `subset` and `revision` are those of `source` alone."""
    max_rows: int | None = None
    """Take this many rows, drawn with the seed; of a file with plain texts no others are kept."""
    max_characters: int | None = 100_000
    """Longer prompts and answers are invalid, before anything reads them: some scorers take a time
    that grows with the square of a text."""
    memory_limit: int | None = None
    """Bytes that the rows of a file may take; half of the machine's memory by default."""
    max_word_overlap: float | None = None
    """Leave out answers that share more of their words than this with the prompt."""
    invalid: Literal["raise", "drop"] = "raise"
    """What happens to empty answers, to texts longer than `max_characters` and to prompts longer
    than `train.max_length`."""


@dataclass(frozen=True, kw_only=True)
class Objective:
    """One reward: a scorer, a sequence-classification model or a column that is already there."""

    name: str
    scorer: str | None = None
    """`embedded:harmless`, `embedded:positivity`, `embedded:relevance` or
    `embedded:informativeness`."""
    model: str | None = None
    """Hub name or folder of a transformers sequence-classification model; a folder's path begins
    with ./, ../, ~/ or /."""
    revision: str | None = None
    template: str | None = None
    """Text with {prompt} and {response}, or `chat` for the tokenizer's own template."""
    pair: bool | None = None
    """Give the model prompt and answer as a pair of texts (or, false, as one); found out where it
    is not given."""
    output: int | None = None
    """Which output of a head with several."""
    column: str | None = None
    """Scores that the data already have; answers made by the run are scored as above."""
    max_length: int | None = None
    batch_size: int | None = None
    dtype: str | None = None


@dataclass(frozen=True, kw_only=True)
class Selection:
    """How training rows are chosen (method: Pareto layers, then nearest to each ray)."""

    k: int = 100
    k_stage2: int | None = None
    """Half of `k` where it is not given, as in the paper."""
    upto: int | None = None
    at_least: int | None = None
    bounds: Literal["pool", "all"] = "pool"
    scale: Literal["box", "none"] = "box"
    directions: Literal["paper", "tchebycheff"] = "paper"
    """Which way the rays run, see `paretohqd.select`."""
    one_per_prompt: bool = False
    duplicates: Literal["keep", "drop"] = "keep"
    """Whether copies of an answer to a prompt may be chosen too."""

    def rule(self, *, k: int) -> Rule:
        """The rule by which a stage chooses k rows for each preference."""
        return Rule(
            k=k,
            upto=self.upto,
            at_least=self.at_least,
            bounds=self.bounds,
            scale=self.scale,
            directions=self.directions,
            distinct="prompt" if self.one_per_prompt else None,
            duplicates=self.duplicates,
        )


@dataclass(frozen=True, kw_only=True)
class Generation:
    """Sampling answers, for stage 2 and for evaluation."""

    prompts: int = 10_000
    """Prompts that each representative stage-1 model answers for stage 2."""
    max_new_tokens: int = 128
    temperature: float = 0.7
    top_p: float = 0.9
    batch_size: int = 64
    trim: bool = False
    """Cut stage-2 answers that hit max_new_tokens after their last whole sentence."""


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """What is measured on the held-out prompts."""

    prompts: int | None = None
    """At most this many of the held-out prompts; all where it is not given."""
    min_words: int = 3
    max_ngram: int = 4
    repeats: int = 4
    distinct: float = 0.3
    echo: float = 0.5


@dataclass(frozen=True, kw_only=True)
class Config:
    """A whole run."""

    run: str
    """Folder for the results, below the one where the command runs; given by hand, any."""
    data: Data
    objectives: tuple[Objective, ...]
    preferences: int | tuple[tuple[float, ...] | Options, ...] | Options | None = None
    """A number of preferences (spread evenly on the simplex), or the weights themselves: rows in
    the objectives' order, {objective: weight} of any sum, or {name: weights}. By default 11 with
    two objectives, else as many as the nearest even lattice has."""
    model: Model = field(default_factory=Model)
    selection: Selection = field(default_factory=Selection)
    train: Options = field(default_factory=dict)
    train_stage2: Options = field(default_factory=dict)
    """What differs from `train` in stage 2."""
    lora: Options = field(default_factory=dict)
    generation: Generation = field(default_factory=Generation)
    evaluation: Evaluation = field(default_factory=Evaluation)
    stages: Literal[1, 2] = 2
    seed: int = 0
    device: Literal["auto", "cpu", "cuda"] = "auto"
    precision: Literal["auto", "float32", "bfloat16"] = "auto"
    threads: int | None = None
    """Threads of torch on a CPU; all where it is not given."""

    def __post_init__(self) -> None:
        """Refuse what no later stage could make sense of."""
        self._check_objectives()
        if self.selection.upto is not None and self.selection.at_least is not None:
            raise ValueError("selection: give upto or at_least, not both")
        if isinstance(self.preferences, int):
            within(self, "", 1, None, "preferences")
        within(self, "", 0, 2**31 - 1, "seed")
        within(self, "", 1, None, "threads")
        counts = ("held_out", "max_rows", "max_characters", "memory_limit")
        within(self.data, "data", 1, None, *counts)
        within(self.data, "data", 0, 1, "max_word_overlap")
        within(self.selection, "selection", 1, None, "k", "k_stage2", "upto", "at_least")
        sizes = ("prompts", "max_new_tokens", "batch_size")
        within(self.generation, "generation", 1, None, *sizes)
        within(self.generation, "generation", 0, None, "temperature")
        within(self.generation, "generation", 0, 1, "top_p")
        within(self.evaluation, "evaluation", 1, None, "prompts", "max_ngram", "repeats")
        within(self.evaluation, "evaluation", 0, None, "min_words")
        within(self.evaluation, "evaluation", 0, 1, "distinct", "echo")

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
            if objective.scorer is None and objective.model is None:
                raise ValueError(
                    f"objectives: {objective.name} has neither a scorer nor a model: a run scores "
                    "answers that do not exist yet; for scores in columns use `paretohqd select`"
                )
            within(objective, f"objectives[{i}]", 1, None, "max_length", "batch_size")
            within(objective, f"objectives[{i}]", 0, None, "output")


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
            chat template that is not below the file's folder, or a run folder outside the working
            folder; the message names the key.
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


def within(section: object, where: str, low: float, high: float | None, *names: str) -> None:
    """Refuse numbers outside [low, high]; None stands for a setting that is not given."""
    for name in names:
        value = getattr(section, name)
        if value is not None and not low <= value <= (float_info.max if high is None else high):
            wanted = f"at least {low}" if high is None else f"from {low} to {high}"
            key = f"{where}.{name}" if where else name
            raise ValueError(f"{key}: must be {wanted}, got {value}")


def _with_paths(config: Settings, folder: Path) -> Settings:
    """Turn names of existing files and folders into absolute paths, the file's folder first."""
    folders = (folder, Path.cwd())

    def resolve(name: str | None) -> str | None:
        if not name or name == "embedded":
            return name
        for base in folders:
            try:
                path = base / Path(name).expanduser()
                if path.exists():
                    return str(path.absolute())
            except (OSError, RuntimeError):  # too long for a name, or of no user: a template, say
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
        replace(o, model=o.model and named_model(o.model, f"objectives[{i}].model", folders))
        for i, o in enumerate(config.objectives)
    )
    return replace(config, model=model, data=data, objectives=objectives)
