"""A data source divided: rows to select from, prompts for stage 2 and held-out prompts.

The source is gone through in blocks, of which one at a time is in memory. What is kept of all rows
is a few numbers of each: which rows are left out, and hashes of its prompt and its conversation.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from paretohqd.runs import sections
from paretohqd.runs.data import SourceBlocks, load_source
from paretohqd.runs.unusable import Bools, Lengths, Rules, lengths, longer, original
from paretohqd.selection.choosing import ADDED

Blocks = Callable[[], Iterator[pl.DataFrame]]
"""Gives rows of a source, in order, as often as it is called."""


@dataclass(frozen=True, kw_only=True)
class Split:
    """A data source, divided by conversation."""

    blocks: SourceBlocks
    in_pool: Bools
    """Rows to select from."""
    in_prompts: Bools
    """Rows whose prompts stage 2 draws from: each distinct one once."""
    is_held_out: Bools
    """Rows whose prompts are held out: one of each conversation set aside."""
    drawn: NDArray[np.int64]
    """Of each of these its conversation's place in the order in which they were drawn: the first
    ones are those that a smaller `held_out` sets aside."""
    columns: list[str]
    """What a file of prompts has: prompt, conversation and what rewards read."""
    dropped: dict[str, int]
    """Rows left out, by reason."""
    others: pl.DataFrame | None
    """Prompts of another source, where stage 2 draws from one."""

    def rows(self) -> Iterator[tuple[str, pl.DataFrame]]:
        """The parts pool, prompts and held_out, block by block, each with all of its columns.

        The pool has prompt, response, conversation and the source's other columns.
        """
        start = 0
        for block in self.blocks():
            end = start + len(block)
            yield "pool", block.filter(pl.Series(self.in_pool[start:end]))
            for part, chosen in (("prompts", self.in_prompts), ("held_out", self.is_held_out)):
                if part == "held_out" or self.others is None:
                    rows = block.filter(pl.Series(chosen[start:end]))
                    yield part, rows.select(self.columns)
            start = end
        if self.others is not None:
            yield "prompts", self.others


def split_data(
    spec: sections.Data,
    blocks: SourceBlocks,
    *,
    seed: int,
    prompt_lengths: Lengths,
    limit: int,
    columns: Sequence[str] = (),
    scores: Mapping[str, str] | None = None,
) -> Split:
    """Set whole conversations aside for evaluation.

    Args:
        spec: The data section of the configuration.
        blocks: The rows of its source, as `load_source` gives them.
        seed: Decides which conversations are set aside.
        prompt_lengths: Tokens of each row's prompt; `limit` tokens leave no room for an answer.
        limit: The smaller of `train.max_length` and what the model's context leaves.
        columns: Columns that belong to a prompt, which stay with the prompts.
        scores: Objectives whose scores the data have, with their columns.

    Raises:
        ValueError: As `load_source`; columns that are missing or differ for one prompt, empty
            answers, over-long texts or prompts and rows without scores (unless invalid is "drop"),
            no such column of scores, too few conversations, no rows left, or a column that a
            selection adds.
    """
    rules = Rules(spec, prompt_lengths, limit, scores or {})
    marks = [_Marks.of(block, rules, columns, spec.source) for block in blocks()]
    if not sum(len(each.kept) for each in marks):
        reasons = _listed(blocks.left_out)
        raise ValueError(
            f"{spec.source}: no rows"
            + (f" can be read ({reasons}): data.invalid: raise says why" if reasons else "")
        )
    prompt, conversation = (
        np.concatenate([getattr(each, name) for each in marks], dtype=np.uint64)
        for name in ("prompt", "conversation")
    )
    kept = np.concatenate([each.kept for each in marks])
    echoes = np.concatenate([each.echoes for each in marks])
    _refuse_several(blocks, columns, spec.source)
    dropped = dict(blocks.left_out) | rules.settle(len(kept))
    held = _choose(conversation[kept], spec.held_out, seed)
    aside = kept & np.isin(conversation, held)
    held_out = aside & _first(conversation, aside)
    # Held-out prompts must not be trained on under another conversation's name either.
    same = kept & ~aside & np.isin(prompt, prompt[held_out])
    pool = kept & ~aside & ~same
    dropped["prompt is held out"] = int(same.sum())
    if spec.max_word_overlap is not None:
        dropped["repeats the prompt"] = int((pool & echoes).sum())
        pool &= ~echoes
    if not pool.any():
        raise ValueError(f"{spec.source}: no rows are left to select from ({_listed(dropped)})")
    names, others = ["prompt", "conversation", *columns], None
    if spec.prompts is not None:
        others, left_out = _others(spec, rules, (conversation[aside], prompt[held_out]), columns)
        dropped |= {f"prompt for stage 2 {reason}": n for reason, n in left_out.items()}
        others = others.select(names)
    return Split(
        blocks=blocks,
        in_pool=pool,
        in_prompts=pool & _first(prompt, pool),
        is_held_out=held_out,
        drawn=_places(conversation[held_out], held),
        columns=names,
        dropped=dropped,
        others=others,
    )


def _others(
    spec: sections.Data,
    rules: Rules,
    held: tuple[NDArray[np.uint64], NDArray[np.uint64]],
    columns: Sequence[str],
) -> tuple[pl.DataFrame, Counter[str]]:
    """Prompts of another source that are not held out, and how many are left out, by reason."""
    assert spec.prompts is not None
    left_out: Counter[str] = Counter()
    frame = load_source(spec, spec.prompts, answers=False, left_out=left_out)
    _refuse_missing(frame, columns, spec.prompts)
    _refuse_several(lambda: iter([frame]), columns, spec.prompts)
    if spec.max_characters is not None:
        frame = frame.filter(~longer(frame, ("prompt",), spec.max_characters))
    for name, values in zip(("conversation", "prompt"), held, strict=True):
        frame = frame.filter(pl.Series(~np.isin(_hash(frame[name]), values), dtype=pl.Boolean))
    short = lengths(frame, rules.prompt_lengths) < rules.limit
    frame = frame.filter(short)
    if frame.is_empty():
        raise ValueError(f"{spec.prompts}: no prompts that are not held out and short enough")
    distinct = _comparable(frame["prompt"]).is_first_distinct()
    left_out["too long"] = int((~short).sum())
    return frame.filter(distinct), left_out


def _listed(reasons: Mapping[str, int]) -> str:
    return ", ".join(f"{count} {reason}" for reason, count in reasons.items() if count)


@dataclass(frozen=True, kw_only=True)
class _Marks:
    """What is remembered of the rows of a block."""

    prompt: NDArray[np.uint64]
    conversation: NDArray[np.uint64]
    kept: Bools
    echoes: Bools

    @classmethod
    def of(cls, block: pl.DataFrame, rules: Rules, columns: Sequence[str], source: str) -> _Marks:
        for name in ADDED:
            if name in block.columns:
                raise ValueError(f"{source}: selection adds a column {name!r} too: rename it")
        _refuse_missing(block, columns, source)
        kept = rules.kept(block)
        echoes = np.zeros(len(block), dtype=bool)
        limit = rules.spec.max_word_overlap
        if limit is not None:
            echoes[kept] = ~original(block.filter(pl.Series(kept)), limit)
        return cls(
            prompt=_hash(block["prompt"]),
            conversation=_hash(block["conversation"]),
            kept=kept,
            echoes=echoes,
        )


def _refuse_missing(frame: pl.DataFrame, columns: Sequence[str], source: str) -> None:
    """Refuse columns of prompts that are not there."""
    if missing := [name for name in columns if name not in frame.columns]:
        raise ValueError(
            f"{source}: no column(s) {', '.join(missing)}, which objectives or the selection read: "
            f"it has {', '.join(frame.columns)}"
        )


def _refuse_several(blocks: Blocks, columns: Sequence[str], source: str) -> None:
    """Refuse columns of prompts that a prompt has several values of."""
    for name in columns:
        values = pl.concat(
            pl.DataFrame({"prompt": _comparable(b["prompt"]), "value": b[name]}).unique(
                maintain_order=True
            )
            for b in blocks()
        ).unique(maintain_order=True)
        several = values["prompt"].filter(~values["prompt"].is_unique()).unique(maintain_order=True)
        if len(several):
            raise ValueError(
                f"{source}: column {name!r}, which an objective reads, has several values for each "
                f"of {len(several)} prompts (the first: {several[0][:60]!r}), and an answer that "
                "the run makes to one could be scored by any: leave one value for each prompt"
            )


def _comparable(texts: pl.Series) -> pl.Series:
    """Texts in one Unicode form: a prompt is the same however its accents are written."""
    return texts.str.normalize("NFC")


def _hash(texts: pl.Series) -> NDArray[np.uint64]:
    """A number for each text, as it is compared; of 10^7 texts two share one by 3 in 10^6."""
    return _comparable(texts).hash(seed=0).to_numpy()


def _first(values: NDArray[np.uint64], among: Bools) -> Bools:
    """Which rows are the first of their value among some rows."""
    rows = np.flatnonzero(among)
    first = np.zeros(len(values), dtype=bool)
    first[rows[np.unique(values[rows], return_index=True)[1]]] = True
    return first


def _places(values: NDArray[np.uint64], among: NDArray[np.uint64]) -> NDArray[np.int64]:
    """Where each value stands among others that are all different."""
    order = np.argsort(among)
    return order[np.searchsorted(among[order], values)]


def _choose(conversations: NDArray[np.uint64], count: int, seed: int) -> NDArray[np.uint64]:
    """Some conversations, at random, the same for the same seed."""
    values, places = np.unique(conversations, return_index=True)
    unique = values[np.argsort(places)]  # in the order of their first rows
    if len(unique) <= count:
        raise ValueError(
            f"data.held_out: {count} conversations are to be set aside, but there are only "
            f"{len(unique)}: lower it, or name the column with data.conversation"
        )
    return unique[np.random.default_rng(seed).permutation(len(unique))[:count]]
