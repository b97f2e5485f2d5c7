"""The rewards of a run: made of its objectives, what their scores depend on, and what they read."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import polars as pl

from paretohqd.frames.hashes import hash_path
from paretohqd.models import base, chat, consent
from paretohqd.models.names import absolute, is_local
from paretohqd.models.spec import Model
from paretohqd.rewards import code, scoring
from paretohqd.rewards.answer_rules import Exact, Number
from paretohqd.rewards.callables import CallableReward, is_conversation
from paretohqd.rewards.classifier import load_together
from paretohqd.rewards.judge import JudgeReward, shared
from paretohqd.runs import layout
from paretohqd.runs.sections import Objective
from paretohqd.safety.places import shown_name

LATER = ("options", "columns", "messages", "judge", "aspect")
"""Settings that older folders have not: where they are not given, stages keep their keys."""

SHARE = 4
"""Reward models are kept in memory together if it is this many times as large as they are."""


def code_scorers(objectives: Iterable[Objective]) -> list[str]:
    """The scorers that are code, as the configuration writes them; all of them may run.

    Raises:
        ValueError: One that whoever starts the run has not named, or leave for one that is none.
    """
    found = [o.scorer for o in objectives if o.scorer is not None and code.is_code(o.scorer)]
    written = list(dict.fromkeys(shown_name(scorer) for scorer in found))
    for scorer in found:
        code.check_allowed(scorer)
    consent.current().check_scorers(written)
    return written


def make_rewards(objectives: Iterable[Objective], device: str) -> list[scoring.Reward]:
    """A reward for each objective; equal judges rate all of theirs in one request.

    Raises:
        ValueError: As `scoring.make_reward`, or two objectives that read one output of a model.
    """
    objectives = list(objectives)
    judged = shared({o.name: (o.judge, o.aspect) for o in objectives if o.judge is not None})
    made: list[scoring.Reward] = []
    for objective in objectives:
        if objective.name in judged:
            made.append(judged[objective.name])
            continue
        given = {f.name: getattr(objective, f.name) for f in dataclasses.fields(objective)}
        given = {key: value for key, value in given.items() if value is not None}
        given.pop("column", None)
        if objective.model is not None:
            given["device"] = device
        elif objective.scorer is not None and code.is_code(objective.scorer):
            given.setdefault("columns", ())  # answers that the run makes have no others
        made.append(scoring.make_reward(**given))
    scoring.grouped(made)
    return made


def give_tokens(rewards: Iterable[scoring.Reward], model: Model) -> None:
    """Give functions that take token ids those of the run's model."""
    takers = [r for r in rewards if isinstance(r, CallableReward) and r.takes_tokens()]
    if takers:
        tokenizer = base.load_tokenizer(model)
        control = chat.control_pattern(tokenizer)

        def tokenize(texts: list[str]) -> list[list[int]]:
            plain = [chat.as_text(control, text) for text in texts]
            ids: list[list[int]] = tokenizer(plain, add_special_tokens=False)["input_ids"]
            return ids

        for reward in takers:
            reward.tokenize = tokenize


def settle_messages(rewards: Iterable[scoring.Reward], data: Path) -> None:
    """Give functions messages in the whole run if any prompt of its data is a conversation.

    Some answers of a run may be to plain prompts alone: a function shall not get another form then.
    """
    open_ones = [r for r in rewards if isinstance(r, CallableReward) and r.messages is None]
    if open_ones:
        files = (data / name for name in (layout.POOL, layout.PROMPTS, layout.HELD_OUT))
        messages = any(map(_hold_conversations, files))
        for reward in open_ones:
            reward.messages = messages


def _hold_conversations(file: Path) -> bool:
    # Those that may be one: there are few texts of a user that begin so.
    begins = pl.scan_parquet(file).select("prompt").filter(pl.col("prompt").str.contains(r"^\s*\["))
    batches = begins.collect_batches(maintain_order=True)
    return any(any(map(is_conversation, batch["prompt"])) for batch in batches)


def columns_read(rewards: Iterable[scoring.Reward]) -> list[str]:
    """Names of the data's columns that rewards read, each once."""
    names = [name for reward in rewards for name in getattr(reward, "columns", None) or ()]
    return list(dict.fromkeys(names))


def hashes_of_code(rewards: Iterable[scoring.Reward]) -> dict[str, str]:
    """Hash of each scorer that is code."""
    sources = [r.source for r in rewards if isinstance(r, CallableReward) and r.source]
    return {source["function"]: source["sha256"] for source in sources}


def identity(
    objective: Objective,
    reward: scoring.Reward,
    model_id: str,
    content: Callable[[Path], str] = hash_path,
) -> dict[str, Any]:
    """What an objective's scores depend on: content where it is local, else names and versions.

    Args:
        objective: It.
        reward: What scores.
        model_id: What tells the base of the run from others.
        content: Hash of a file.
    """
    given = dataclasses.asdict(objective)
    for key in ("batch_size", "batch_tokens", "column"):
        del given[key]
    if isinstance(reward, JudgeReward):
        return {"name": objective.name, "judge": reward.panel.identity()}
    if given["pair"] is None:  # found out from the model
        del given["pair"]
    for key in LATER:
        if given[key] is None:
            del given[key]
    if objective.model is not None:
        if is_local(objective.model):
            given["model"] = base.fingerprint(Path(absolute(objective.model)), content)
        if consent.current().names(objective.model):
            given["own_code"] = True
        return given
    manifest = reward.manifest()
    given["packages"] = manifest["packages"]
    if isinstance(reward, CallableReward):
        given |= {"scorer": manifest["function"], "sha256": manifest["sha256"]}
        if reward.takes_tokens():
            given["tokenizer"] = model_id
    elif "version" in manifest:
        given["version"] = manifest["version"]
    return given


def check_columns(rewards: Iterable[scoring.Reward], rows: pl.DataFrame, part: str) -> None:
    """Let rules read the columns that they compare answers with, before anything is scored.

    Args:
        rewards: Those that are to score answers to these prompts.
        rows: Of a part of the data, with the columns.
        part: Its name.

    Raises:
        ValueError: A value with which nothing can be compared.
    """
    for reward in rewards:
        if isinstance(reward, Exact | Number):
            try:
                reward.compared([""] * len(rows), rows[reward.column].to_list())
            except ValueError as error:
                raise ValueError(f"data ({part}): {error}") from None


def check_models(
    objectives: Iterable[Objective], rewards: Iterable[scoring.Reward]
) -> Iterator[str]:
    """Load every reward model once, one network at a time; the first to score stays loaded.

    Yields:
        Lines for people.

    Raises:
        ValueError: A model that cannot be used; the message names its objectives.
    """
    given = {objective.name: objective for objective in objectives}
    before: list[scoring.ClassifierReward] = []
    for group in reversed(scoring.grouped(rewards)):
        for reward in before:
            reward.unload()
        before = group
        try:
            form = load_together(group).inputs.form
        except ValueError as error:
            names = ", ".join(reward.name for reward in group)
            raise ValueError(f"objectives: {names}: {error}") from error
        for reward in group:
            if given[reward.name].pair is None and form == "pair":
                yield (
                    f"objectives: {reward.name}: tells two texts apart, so it is given prompt and "
                    "answer as a pair (set pair: false if it was trained on single texts)"
                )
        if all(given[reward.name].column is not None for reward in group):
            for reward in group:
                reward.unload()


def fit_together(rewards: Sequence[scoring.Reward], device: str) -> bool:
    """Whether all reward models may stay in memory; False while the size of one is not known."""
    sizes: Mapping[tuple[object, ...], int | None] = {
        reward.network_key(): reward.size
        for reward in rewards
        if isinstance(reward, scoring.ClassifierReward)
    }
    known = [size for size in sizes.values() if size is not None]
    return len(known) == len(sizes) and SHARE * sum(known) <= _memory(device)


def _memory(device: str) -> int:
    """Bytes of the GPU's or the machine's memory; 0 where they are not told."""
    if device.startswith("cuda"):
        import torch

        return int(torch.cuda.get_device_properties(device).total_memory)
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):  # Windows has no such call
        return 0
