"""The sections of a configuration: data, objectives, selection, generation, evaluation.

Nothing heavy is imported here, so a misspelt key is reported before torch has loaded. Every field
has a text of its own: the documentation's page of settings is made from them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from sys import float_info
from typing import Any, Literal

from paretohqd.frames.condition import Condition
from paretohqd.models.spec import SamplingServer
from paretohqd.rewards.rubric import Judge
from paretohqd.selection.rule import Rule

Options = Mapping[str, Any]
"""Keys and values as a library takes them."""


@dataclass(frozen=True, kw_only=True)
class Data:
    """Where the answers come from and which prompts are kept for evaluation."""

    source: str
    """`embedded:conversations`, a Parquet, CSV or JSONL file, a folder of such or a pattern
    (data/*.parquet), or `hub:NAME`."""
    subset: str | None = None
    """The configuration of a data set of the hub."""
    split: str = "train"
    """The split of a data set of the hub."""
    revision: str | None = None
    """Branch, tag or commit of a data set of the hub."""
    prompt: str = "prompt"
    """Column of prompts: texts, or messages of which one is a prompt. Where there is none of this
    name, the columns of common layouts are looked for (see `Selection.to_dataset`)."""
    response: str = "response"
    """Column of answers, likewise; or of whole dialogues, where there are no prompts. Without it a
    row with chosen and rejected becomes two; a column answer, output or completion beside them has
    to be named here, or renamed. Answers may be whole numbers, which a file of CSV reads as such
    (007 as 7)."""
    conversation: str | None = None
    """Column by which rows belong together; without it the column conversation, and where there is
    none the first thing that a user says."""
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
    """What happens to empty answers, to texts longer than `max_characters`, to prompts longer than
    `train.max_length`, and to rows that cannot be read, with tools, a null prompt or a dialogue
    that is none. What is dropped is counted; each side of a pair is a row."""

    def __post_init__(self) -> None:
        """Refuse numbers out of their range."""
        counts = ("held_out", "max_rows", "max_characters", "memory_limit")
        within(self, "data", 1, None, *counts)
        within(self, "data", 0, 1, "max_word_overlap")


@dataclass(frozen=True, kw_only=True)
class Objective:
    """One reward: a scorer, a sequence-classification model or a judge."""

    name: str
    """What its column, and the run's tables and pictures, call it."""
    scorer: str | None = None
    """`embedded:harmless`, `embedded:positivity`, `embedded:relevance` or
    `embedded:informativeness`; a rule, `rule:length`, `rule:finished`, `rule:regex`, `rule:json`,
    `rule:exact` or `rule:number`; or a function, `package.module:function` or `file.py:function`
    with the file beside the configuration, which takes `--allow-code` on the command line."""
    options: Options | None = None
    """A rule's or a function's own settings."""
    columns: tuple[str, ...] | None = None
    """Columns of the data that belong to a prompt and that a function is given besides, such as
    `[solution]`; they are kept with the prompts for answers that the run makes."""
    messages: bool | None = None
    """Give a function messages (or, false, texts), as TRL does for conversations; by default where
    the data hold conversations, and for functions of `trl.rewards`."""
    model: str | None = None
    """Hub name or folder of a transformers sequence-classification model; a folder's path begins
    with ./, ../, ~/ or /."""
    revision: str | None = None
    """Branch, tag or commit of a model of the hub; a run keeps to the commit that it began with."""
    template: str | None = None
    """Text with {prompt} and {response}, or `chat` for the tokenizer's own template."""
    pair: bool | None = None
    """Give the model prompt and answer as a pair of texts (or, false, as one); found out where it
    is not given."""
    output: int | None = None
    """Which output of a head with several."""
    judge: Judge | None = None
    """A language model behind a server that rates answers. Objectives with the same judge are
    rated in one request."""
    aspect: str | None = None
    """What a judge's rating is about, where its rubric does not say it."""
    column: str | None = None
    """Scores that the data already have; answers made by the run are scored as above."""
    max_length: int | None = None
    """Tokens that the model reads; 1024 by default. Longer texts lose their beginning."""
    batch_size: int | None = None
    """Rows scored side by side at most: 64 by default, and 1024 for a function."""
    batch_tokens: int | None = None
    """Tokens that a model reads side by side at most: 16,384 by default."""
    dtype: str | None = None
    """The model's numbers: `float32`, the default, `bfloat16` or `float16`."""


LATER = ("where", "epsilon", "at_most", "exclusive", "diverse", "sample")
"""Settings of a selection that older folders have not: stages keep their keys without them."""


@dataclass(frozen=True, kw_only=True)
class Selection:
    """How training rows are chosen (method: Pareto layers, then nearest to each ray)."""

    k: int = 100
    """Rows for each preference."""
    k_stage2: int | None = None
    """Half of `k` where it is not given, as in the paper."""
    upto: int | None = None
    """The pool is this many layers; without it and `at_least` it grows until it serves all."""
    at_least: int | None = None
    """The pool is the fewest layers that hold this many rows."""
    rank: Literal["ray", "achievement", "sum", "ideal"] = "ray"
    """By what rows are ranked for a preference: the distance to its ray, among rows of the pool; or
    among all rows by achievement, weighted sum or distance from the ideal point, as
    `paretohqd.select` says."""
    bounds: Literal["pool", "all"] | tuple[tuple[float, ...], ...] = "pool"
    """The rows whose least and greatest scores the rays run between, or these two points, r_min
    and r_max, in the order of the objectives."""
    scale: Literal["box", "none"] = "box"
    """The units of the distance to a ray: those of the box between the bounds, or the scores'."""
    directions: Literal["paper", "tchebycheff"] = "paper"
    """Which way the rays run, see `paretohqd.select`."""
    one_per_prompt: bool = False
    """Choose at most one answer to a prompt for each preference."""
    where: str | None = None
    """Which scored answers may be chosen, as in SQL's WHERE: "harmless >= 5 AND topic <> 'law'". It
    may read prompt, response, objectives, and columns of the data of which each prompt has one
    value: answers that the run samples for stage 2 have these too."""
    epsilon: float | tuple[float, ...] | Mapping[str, float] | None = None
    """The noise of the scores: layers do not tell smaller differences, see `paretohqd.select`."""
    at_most: Mapping[str, int] | None = None
    """At most so many rows with the same value of a column for each preference, such as
    {topic: 20}; columns as for `where`."""
    exclusive: bool = False
    """No answer for two preferences: they take turns."""
    diverse: str | None = None
    """A column of embeddings by which k rows far apart are chosen among the best 4 k. As columns
    for `where`, it is of the prompts: their embeddings, not their answers'."""
    sample: int | None = None
    """A seed by which k rows are drawn among the best 4 k, better ones more often; by default the
    first k are taken."""
    duplicates: Literal["keep", "drop"] = "keep"
    """Whether copies of an answer to a prompt may be chosen too."""

    def __post_init__(self) -> None:
        """Refuse numbers out of their range, and two stops."""
        if self.upto is not None and self.at_least is not None:
            raise ValueError("selection: give upto or at_least, not both")
        if self.rank != "ray" and (self.upto or self.at_least) is not None:
            raise ValueError(
                f"selection: rank: {self.rank} chooses from all rows: leave out upto and at_least"
            )
        within(self, "selection", 1, None, "k", "k_stage2", "upto", "at_least")
        within(self, "selection", 0, None, "sample")
        try:
            self.rule(k=self.k)
        except ValueError as error:
            raise ValueError(f"selection: {error}") from None

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns that `where`, `at_most` and `diverse` read."""
        asked = () if self.where is None else Condition.of(self.where).columns
        far = () if self.diverse is None else (self.diverse,)
        return tuple(dict.fromkeys([*asked, *(self.at_most or {}), *far]))

    @property
    def plain(self) -> bool:
        """Whether rows are chosen without any of the settings `LATER`."""
        given = (getattr(self, name) for name in LATER)
        return all(value is None or value is False for value in given)

    def rule(self, *, k: int) -> Rule:
        """The rule by which a stage chooses k rows for each preference."""
        return Rule(
            k=k,
            upto=self.upto,
            at_least=self.at_least,
            rank=self.rank,
            bounds=self.bounds,
            scale=self.scale,
            directions=self.directions,
            distinct="prompt" if self.one_per_prompt else None,
            duplicates=self.duplicates,
            where=self.where,
            epsilon=self.epsilon,
            at_most=self.at_most,
            exclusive=self.exclusive,
            diverse=self.diverse,
            sample=self.sample,
        )


@dataclass(frozen=True, kw_only=True)
class Generation:
    """Sampling answers, for stage 2 and for evaluation."""

    prompts: int = 10_000
    """Prompts that each representative stage-1 model answers for stage 2."""
    max_new_tokens: int = 128
    """An answer stops here at the latest."""
    temperature: float = 0.7
    """0 takes the likeliest token; larger is more random."""
    top_p: float = 0.9
    """The share of probability that may be drawn from."""
    batch_size: int = 64
    """Answers decoded side by side."""
    endpoint: SamplingServer | None = None
    """A server that samples in place of this process; training stays here."""
    trim: bool = False
    """Cut stage-2 answers that hit max_new_tokens after their last whole sentence."""

    def __post_init__(self) -> None:
        """Refuse numbers out of their range."""
        within(self, "generation", 1, None, "prompts", "max_new_tokens", "batch_size")
        within(self, "generation", 0, None, "temperature")
        within(self, "generation", 0, 1, "top_p")


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """What is measured on the held-out prompts."""

    prompts: int | None = None
    """At most this many of the held-out prompts; all where it is not given."""
    min_words: int = 3
    """Answers of fewer words count as short."""
    max_ngram: int = 4
    """Loops of 1 to this many words are looked for."""
    repeats: int = 4
    """An answer loops if the same words stand this many times in a row."""
    distinct: float = 0.3
    """An answer also loops if less than this share of its runs of `max_ngram` words differ."""
    echo: float = 0.5
    """An answer echoes if more than this share of its distinct words occur in the prompt."""

    def __post_init__(self) -> None:
        """Refuse numbers out of their range."""
        within(self, "evaluation", 1, None, "prompts", "max_ngram", "repeats")
        within(self, "evaluation", 0, None, "min_words")
        within(self, "evaluation", 0, 1, "distinct", "echo")


def within(section: object, where: str, low: float, high: float | None, *names: str) -> None:
    """Refuse numbers outside [low, high]; None stands for a setting that is not given."""
    for name in names:
        value = getattr(section, name)
        if value is not None and not low <= value <= (float_info.max if high is None else high):
            wanted = f"at least {low}" if high is None else f"from {low} to {high}"
            key = f"{where}.{name}" if where else name
            raise ValueError(f"{key}: must be {wanted}, got {value}")
