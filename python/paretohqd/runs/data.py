"""Rows of prompts and answers, from files, the hub or the embedded parts."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import polars as pl

from paretohqd.frames.batches import compacted
from paretohqd.frames.conversations.known_sets import unfold
from paretohqd.frames.conversations.layouts import (
    TEXT,
    find_layout,
    holds_values,
    is_plain,
    texts_of,
)
from paretohqd.frames.conversations.rows import PAIR
from paretohqd.frames.conversations.texts import default_layout, first_turns, prompts_and_answers
from paretohqd.frames.reading.formats import kind_of
from paretohqd.frames.reading.sizes import row_limit, too_large
from paretohqd.frames.sources import Source
from paretohqd.models import embedded
from paretohqd.models.names import check_hub_name, refuse_shadow
from paretohqd.runs import sections

LARGE_BYTES = 1 << 29
"""Rows that may take more memory than this are read some at a time."""

SWELLING = {True: 4, False: 1}
"""How many times larger than a file its rows are taken to be; True: Parquet and the like."""


def load_source(spec: sections.Data, source: str, *, answers: bool = True) -> pl.DataFrame:
    """Rows of a source with at least the columns prompt, response and conversation.

    Prompts and answers may be texts or messages: see `Selection.to_dataset` for where they are
    looked for, if not in the columns that `spec` names. A row with chosen and rejected and no other
    answer becomes two. A prompt of more than one message is written as `write_prompt` does.

    Args:
        spec: The data section of the configuration.
        source: `spec.source` or `spec.prompts`.
        answers: False: a source of prompts, which need not have responses.

    Raises:
        ValueError: No such source, a missing column, one that is not text or has nulls, or rows
            that hold tools or no prompt and answer. Null responses are empty answers, as CSV has
            them.
    """
    if source == "embedded:conversations":
        return embedded.conversations().with_columns(pl.col("conversation").cast(pl.String))
    if source.startswith("embedded:"):
        raise ValueError(f"{source}: did you mean embedded:conversations?")
    if source.startswith("hub:"):
        frame = _from_hub(spec, source)
    else:
        frame = Source.of(source).whole(spec.memory_limit)
    try:
        return _read(frame, spec, answers=answers)
    except ValueError as error:
        raise ValueError(f"{source}: {error}") from error


def local_files(source: str) -> list[Path]:
    """The files of this machine that a source names; a folder or a pattern names several."""
    if source.startswith(("embedded:", "hub:")):
        return []
    return [Path(file) for file in Source.of(source).files]


def source_blocks(spec: sections.Data, seed: int) -> Callable[[], Iterator[pl.DataFrame]]:
    """The rows of the source, as often as it is called: of large files some at a time.

    Raises:
        ValueError: As `load_source`.
    """
    if spec.max_rows is None and not spec.source.startswith(("embedded:", "hub:")):
        source = Source.of(spec.source)
        if _is_large(source):
            return lambda: _read_in_batches(source, spec)
    frame = draw_rows(spec, seed)
    return lambda: iter([frame])


def _is_large(source: Source) -> bool:
    """Whether the rows of files may take too much memory; nothing is known of remote ones."""
    if not source.files:
        return source.lazy
    sizes = (SWELLING[kind_of(file).typed] * Path(file).stat().st_size for file in source.files)
    return sum(sizes) > LARGE_BYTES


def _read_in_batches(source: Source, spec: sections.Data) -> Iterator[pl.DataFrame]:
    start = 0
    for batch in source.batches([pl.all()]):
        try:
            yield _read(batch, spec, answers=True)
        except ValueError as error:
            where = f" (rows counted from row {start} on)" if start else ""
            raise ValueError(f"{spec.source}: {error}{where}") from error
        start += len(batch)


def draw_rows(spec: sections.Data, seed: int) -> pl.DataFrame:
    """The rows of the source, or `spec.max_rows` of them at random, in the source's order.

    Raises:
        ValueError: As `load_source`.
    """
    count = spec.max_rows
    if count is not None and Path(spec.source).is_file():
        try:
            return _draw_in_batches(spec, count, seed)
        except ValueError:
            pass  # What is wrong with all rows is said below.
    frame = load_source(spec, spec.source)
    if count is None or len(frame) <= count:
        return frame
    return frame[_draw_numbers(len(frame), count, seed)]


def given_columns(
    frame: pl.DataFrame, objectives: Sequence[str], columns: Mapping[str, str]
) -> pl.DataFrame:
    """Scores that the data already have, under their objectives' names; no others of these names.

    Example:
        >>> frame = pl.DataFrame({"a": [1.0], "b": [2.0]})
        >>> given_columns(frame, ["a", "b"], {"a": "b", "b": "a"}).row(0)
        (2.0, 1.0)
    """
    for name, column in columns.items():
        if column not in frame.columns:
            raise ValueError(
                f"objectives: {name}: no column {column!r} in the data: it has "
                f"{', '.join(frame.columns)}"
            )
    scores = frame.select(pl.col(column).alias(name) for name, column in columns.items())
    return pl.concat([frame.drop(objectives, strict=False), scores], how="horizontal")


def _draw_in_batches(spec: sections.Data, count: int, seed: int) -> pl.DataFrame:
    """The same for plain texts, without holding those of other rows.

    Raises:
        ValueError: As `load_source`, but about a batch; or another layout, which all rows decide.
    """
    source = Source.of(spec.source)
    pairs = set(PAIR) <= set(source.names) and spec.response not in source.names
    texts, each = (PAIR, 2) if pairs else ((spec.prompt, spec.response), 1)
    rows, parts, start = each * source.rows(), [], 0
    if np.dtype(np.int64).itemsize * rows > (spec.memory_limit or row_limit()):
        raise ValueError("too many rows to draw from")
    drawn = np.arange(rows) if rows <= count else _draw_numbers(rows, count, seed)
    for batch in source.batches([pl.all()]):
        plain = all(name in source.names and is_plain(batch, name) for name in texts)
        frame = _read(batch, spec, answers=True) if plain else batch[:0]
        if len(frame) < each * len(batch):
            raise ValueError("no plain prompts and answers")
        first, last = np.searchsorted(drawn, [start, start + len(frame)])
        parts.append(compacted(frame[drawn[first:last] - start]))
        start += len(frame)
    return pl.concat(parts).rechunk()


def _draw_numbers(n: int, count: int, seed: int) -> np.ndarray:
    """The numbers of `count` out of n rows, the same for the same seed, in order."""
    return np.sort(np.random.default_rng([seed, 1]).permutation(n)[:count])


def _from_hub(spec: sections.Data, source: str) -> pl.DataFrame:
    from datasets import load_dataset

    own, name = source == spec.source, source.removeprefix("hub:")
    # The library would read a folder of that name, and `text` as all files of the working folder.
    refuse_shadow(name, source, [Path.cwd()])
    check_hub_name(name, source)
    if "/" not in name:
        raise ValueError(f"{source}: a name on the hub is OWNER/NAME: write hub:OWNER/{name}")
    data = load_dataset(
        name,
        spec.subset if own else None,
        split=spec.split,
        revision=spec.revision if own else None,
    )
    limit = spec.memory_limit or row_limit()
    if data.data.nbytes > limit:  # it lies in files that are mapped into memory
        raise too_large(source, limit)
    frame: pl.DataFrame = data.to_polars()
    return frame


def _read(frame: pl.DataFrame, spec: sections.Data, *, answers: bool) -> pl.DataFrame:
    """The frame with its texts in columns called prompt, response and conversation."""
    if (spec.prompt, spec.response) == (sections.Data.prompt, sections.Data.response):
        frame = unfold(frame)
    named = {"prompt": spec.prompt, **({"response": spec.response} if answers else {})}
    for option, name in named.items():
        # A source of prompts alone may be pairs beside answers with names of their own.
        pairs = not answers and set(PAIR) <= set(frame.columns)
        if name not in (*frame.columns, option) and not pairs:
            raise _missing(frame, option, name)
        _refuse_type(frame, option, name, holds_values)
    layout = default_layout(
        frame,
        prompt=spec.prompt,
        response=spec.response,
        options="data.prompt, data.response",
        answers=answers,
    )
    if layout.answer == "chosen" and "rejected" in frame.columns and spec.response != "chosen":
        return from_pairs(frame, prompt=layout.prompt, conversation=spec.conversation)
    # A system message is a part of the prompt now.
    used = (layout.prompt, layout.answer, layout.system)
    taken = [name for name in used if name is not None]
    if layout.prompt is not None:
        _refuse_nulls(frame, layout.prompt)
    prompts, responses = prompts_and_answers(frame, layout, allow_empty=True)
    columns = {"prompt": prompts}
    if answers:
        columns["response"] = responses.fill_null("")
    given = spec.conversation
    if given is None and "conversation" in frame.columns and layout.answer != "conversation":
        given = "conversation"
    if given is not None and (answers or given in frame.columns):
        columns["conversation"] = _conversations(frame, given)
        taken.append(given)
    columns.setdefault("conversation", first_turns(prompts))
    others = [c for c in frame.columns if c not in taken and c not in columns]
    return frame.with_columns(**columns).select(*columns, *others)


def _conversations(frame: pl.DataFrame, name: str) -> pl.Series:
    """The column by which rows belong together, as text."""
    if name not in frame.columns:
        raise _missing(frame, "conversation", name)
    _refuse_type(frame, "conversation", name, lambda t: t.is_integer() or t in TEXT)
    _refuse_nulls(frame, name)
    return texts_of(frame, name)


def _missing(frame: pl.DataFrame, option: str, name: str) -> ValueError:
    return ValueError(f"no column {name!r} (it has {', '.join(frame.columns)}): set data.{option}")


def _refuse_type(
    frame: pl.DataFrame, option: str, name: str, fits: Callable[[pl.DataType], bool]
) -> None:
    if name in frame.columns and not fits(frame.schema[name]):
        raise ValueError(f"column {name!r} is {frame.schema[name]}, not text: set data.{option}")


def _refuse_nulls(frame: pl.DataFrame, name: str) -> None:
    missing = frame[name].alias("").is_null()  # "^x.*$" would be taken for a pattern
    if missing.any():
        raise ValueError(
            f"column {name!r} is null in {missing.sum()} of {len(frame)} rows "
            f"(first: row {missing.arg_max()}): fill or drop them"
        )


def from_pairs(
    frame: pl.DataFrame, *, prompt: str | None = None, conversation: str | None = None
) -> pl.DataFrame:
    """Preference pairs as single answers: both the chosen and the rejected one become a row.

    Columns chosen and rejected hold the answers to the prompts of a column, or whole dialogues.
    These are messages, or texts in the form of hh-rlhf, "Human: ... Assistant: ...": the messages
    before the last one of the assistant are the prompt; a dialogue that ends with another turn has
    an empty answer. Each side has the prompt of its own dialogue. Those with the same first turn
    are one conversation, because a conversation may be there several times, cut off after different
    turns. Numbers that a pair has for each side, such as score_chosen and score_rejected, become a
    column, score.

    Example:
        >>> pair = "\\n\\nHuman: Hi\\n\\nAssistant: "
        >>> pairs = pl.DataFrame({"chosen": [pair + "Hello!"], "rejected": [pair + "What?"]})
        >>> from_pairs(pairs).select("prompt", "response", "conversation").rows()
        [('Hi', 'Hello!', 'Hi'), ('Hi', 'What?', 'Hi')]
    """
    sides = []
    for side in PAIR:
        layout = find_layout(frame, prompt=prompt, completion=side)
        prompts, responses = prompts_and_answers(frame, layout, allow_empty=True)
        if conversation is None:
            belong = first_turns(prompts)
        else:
            belong = _conversations(frame, conversation)
        texts = {"prompt": prompts, "response": responses.fill_null(""), "conversation": belong}
        texts["side"] = pl.repeat(side, len(frame), dtype=pl.String, eager=True)
        sides.append(pl.DataFrame(texts | _ratings(frame, side)).with_row_index("row"))
    return pl.concat(sides).sort("row", maintain_order=True).drop("row")


def _ratings(frame: pl.DataFrame, side: str) -> dict[str, pl.Series]:
    """Columns of numbers that each side has its own of, under their common names."""
    other = PAIR[1 - PAIR.index(side)]
    ratings = {}
    for name, dtype in frame.schema.items():
        common = name.removesuffix(f"_{side}").removeprefix(f"{side}_")
        of_both = common != name and name.replace(side, other) in frame.columns
        if of_both and dtype.is_numeric() and common not in ("prompt", "response", "row"):
            ratings[common] = frame[name].cast(pl.Float64)
    return ratings
