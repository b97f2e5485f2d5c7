"""What a run is: one frozen dataclass per section of the YAML file, read strictly.

Nothing heavy is imported here, so a misspelt key is reported before torch has loaded. The
sections `train`, `train_stage2` and `lora` are kept as plain mappings: they go verbatim to TRL's
SFTConfig and PEFT's LoraConfig, and their keys are checked against those classes when a run
starts.
"""

from __future__ import annotations

import dataclasses
import difflib
import types
import typing
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal


@dataclass(frozen=True, kw_only=True)
class Model:
    """The base model that every adapter is trained on."""

    name: str = "embedded"
    """`embedded` (SmolLM2-135M-Instruct), a hub name, a folder or a GGUF file."""
    revision: str | None = None
    chat_template: str | None = None
    """Jinja text or a file with it; needed where the tokenizer has none."""


@dataclass(frozen=True, kw_only=True)
class Data:
    """Where the answers come from and which prompts are kept for evaluation."""

    source: str
    """`embedded:conversations`, a Parquet, CSV or JSONL file, or `hub:NAME`."""
    subset: str | None = None
    split: str = "train"
    revision: str | None = None
    prompt: str = "prompt"
    response: str = "response"
    conversation: str | None = None
    """Column by which rows belong together; the prompt where there is none."""
    held_out: int = 64
    """Conversations set aside: one prompt of each is a candidate for evaluation."""
    prompts: str | None = None
    """Another source of prompts for stage 2; the pool's own prompts where there is none."""
    max_rows: int | None = None
    max_word_overlap: float | None = None
    """Leave out answers that share more of their words than this with the prompt."""
    invalid: Literal["raise", "drop"] = "raise"
    """What happens to empty answers and to prompts longer than `train.max_length`."""


@dataclass(frozen=True, kw_only=True)
class Objective:
    """One reward: a scorer, a sequence-classification model or a column that is already there."""

    name: str
    scorer: str | None = None
    """`embedded:harmless`, `embedded:positivity`, `embedded:relevance` or
    `embedded:informativeness`."""
    model: str | None = None
    """Hub name or folder of a transformers sequence-classification model."""
    revision: str | None = None
    template: str | None = None
    """Text with {prompt} and {response}, or `chat` for the tokenizer's own template."""
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
    one_per_prompt: bool = False


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
    """Folder for the results, relative to where the command runs."""
    data: Data
    objectives: tuple[Objective, ...]
    preferences: int | tuple[tuple[float, ...], ...] = 11
    """A number of preferences (spread evenly on the simplex) or the weights themselves."""
    model: Model = field(default_factory=Model)
    selection: Selection = field(default_factory=Selection)
    train: Mapping[str, Any] = field(default_factory=dict)
    train_stage2: Mapping[str, Any] = field(default_factory=dict)
    """What differs from `train` in stage 2."""
    lora: Mapping[str, Any] = field(default_factory=dict)
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
        names = [objective.name for objective in self.objectives]
        if len(names) < 2:
            raise ValueError(
                "objectives: a trade-off needs two or more; for one, sort by its score and take k"
            )
        if len(set(names)) < len(names):
            raise ValueError(f"objectives: names must differ, got {', '.join(names)}")
        for objective in self.objectives:
            if objective.scorer is not None and objective.model is not None:
                raise ValueError(f"objectives: {objective.name} has both a scorer and a model")
            if objective.scorer is None and objective.model is None:
                raise ValueError(
                    f"objectives: {objective.name} has neither a scorer nor a model: a run scores "
                    "answers that do not exist yet; for scores in columns use `paretohqd select`"
                )
        _positive(self.data, "data", "held_out", "max_rows")
        _positive(self.selection, "selection", "k", "k_stage2", "upto", "at_least")
        _positive(self.generation, "generation", "prompts", "max_new_tokens", "batch_size")
        _positive(self.evaluation, "evaluation", "prompts")
        if self.selection.upto is not None and self.selection.at_least is not None:
            raise ValueError("selection: give upto or at_least, not both")


def load_config(path: str | Path, overrides: Mapping[str, Any] | None = None) -> Config:
    """Read a run's configuration from a YAML file.

    Args:
        path: the file. Files that it names are looked for beside it, then where the command runs.
        overrides: values by dotted key that replace the file's, such as {"selection.k": 50}.

    Returns:
        The configuration, with input files as absolute paths.

    Raises:
        ValueError: not a mapping, an unknown or missing key, or a value of the wrong kind; the
            message names the key.
        FileNotFoundError: no such file.
    """
    import yaml

    path = Path(path)
    try:
        mapping = yaml.safe_load(path.read_text(encoding="utf-8"))
    except yaml.YAMLError as error:
        raise ValueError(f"{path}: not valid YAML: {' '.join(str(error).split())}") from None
    if not isinstance(mapping, dict):
        raise ValueError(f"{path}: expected a mapping of settings, got {type(mapping).__name__}")
    for dotted, value in (overrides or {}).items():
        *sections, last = dotted.split(".")
        inner = mapping
        for section in sections:
            inner = inner.setdefault(section, {})
            if not isinstance(inner, dict):
                raise ValueError(f"{dotted}: {section} is not a section")
        inner[last] = value
    return _with_paths(from_mapping(Config, mapping), path.absolute().parent)


def from_mapping(kind: Any, value: Any, where: str = "") -> Any:
    """Build dataclass `kind` from plain YAML values, strictly.

    >>> from_mapping(Model, {"nam": "x"})
    Traceback (most recent call last):
    ValueError: unknown key nam: did you mean name?
    """
    if not isinstance(value, Mapping):
        raise ValueError(f"{where or 'configuration'}: expected a section, got {value!r}")
    fields = {f.name: f for f in dataclasses.fields(kind)}
    check_keys(value, fields, where)
    hints = typing.get_type_hints(kind)
    missing = [
        name
        for name, f in fields.items()
        if name not in value
        and f.default is dataclasses.MISSING
        and f.default_factory is dataclasses.MISSING
    ]
    if missing:
        raise ValueError(f"missing key {_dotted(where, missing[0])}")
    return kind(**{k: _convert(hints[k], v, _dotted(where, k)) for k, v in value.items()})


def check_keys(given: Iterable[str], known: Iterable[str], where: str) -> None:
    """Raise a ValueError for the first key that is not known, with the nearest one that is."""
    known = list(known)
    for key in given:
        if key not in known:
            close = difflib.get_close_matches(str(key), known, n=1)
            hint = f"did you mean {close[0]}?" if close else f"known keys: {', '.join(known)}"
            raise ValueError(f"unknown key {_dotted(where, key)}: {hint}")


def to_mapping(config: Any) -> dict[str, Any]:
    """The configuration as plain values that YAML and JSON can hold."""
    plain: dict[str, Any] = dataclasses.asdict(config)
    return plain


def _dotted(where: str, key: Any) -> str:
    return f"{where}.{key}" if where else str(key)


def _positive(section: Any, where: str, *names: str) -> None:
    for name in names:
        value = getattr(section, name)
        if value is not None and value < 1:
            raise ValueError(f"{where}.{name}: must be at least 1, got {value}")


def _convert(hint: Any, value: Any, where: str) -> Any:
    """Fit one YAML value to a type hint, or say what was expected."""
    origin, args = typing.get_origin(hint), typing.get_args(hint)
    if dataclasses.is_dataclass(hint):
        return from_mapping(hint, value, where)
    if origin is Literal:
        if value in args and not (isinstance(value, bool) and True not in args):
            return value
        raise ValueError(f"{where}: expected one of {', '.join(map(str, args))}, got {value!r}")
    if origin in (typing.Union, types.UnionType):
        if value is None and type(None) in args:
            return None
        kinds = [a for a in args if a is not type(None)]
        listed = [a for a in kinds if typing.get_origin(a) is tuple]
        return _convert(
            listed[0] if listed and isinstance(value, list | tuple) else kinds[0], value, where
        )
    if origin is tuple:
        if not isinstance(value, list | tuple):
            raise ValueError(f"{where}: expected a list, got {value!r}")
        return tuple(_convert(args[0], v, f"{where}[{i}]") for i, v in enumerate(value))
    if hint is float and isinstance(value, int | float) and not isinstance(value, bool):
        return float(value)
    if hint is int and isinstance(value, bool):
        raise ValueError(f"{where}: expected a whole number, got {value!r}")
    plain = {int: "a whole number", str: "text", bool: "true or false", float: "a number"}
    if hint in plain:
        if not isinstance(value, hint):
            raise ValueError(f"{where}: expected {plain[hint]}, got {value!r}")
        return value
    if not isinstance(value, Mapping):
        raise ValueError(f"{where}: expected a section, got {value!r}")
    return dict(value)


def _with_paths(config: Config, folder: Path) -> Config:
    """Turn names of existing files and folders into absolute paths, the file's folder first."""

    def resolve(name: str | None) -> str | None:
        # "\n" or "{" is template text; a name too long for the file system is no path either.
        if name is None or len(name) > 255 or "\n" in name or "{" in name:
            return name
        for base in (folder, Path.cwd()):
            if (base / name).exists():
                return str((base / name).absolute())
        return name

    replace = dataclasses.replace
    model = replace(
        config.model,
        name=resolve(config.model.name),
        chat_template=resolve(config.model.chat_template),
    )
    data = replace(
        config.data, source=resolve(config.data.source), prompts=resolve(config.data.prompts)
    )
    objectives = tuple(replace(o, model=resolve(o.model)) for o in config.objectives)
    return replace(config, model=model, data=data, objectives=objectives)
