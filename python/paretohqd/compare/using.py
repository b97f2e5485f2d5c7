"""How a policy answers prompts that are asked for the tables: with all that acts at use."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from paretohqd.compare.policy import Choice, Edit, Guidance, Policy
from paretohqd.compare.sampling import answered
from paretohqd.compare.workbench import KEYED_SYSTEM_PROMPT, Workbench
from paretohqd.frames.conversations.prompts import write_prompt
from paretohqd.frames.new_files import write_parquet
from paretohqd.models import base, chat
from paretohqd.models.adapters import Weighted
from paretohqd.models.answer_batch import answers_frame
from paretohqd.models.continuing import continued, sentence_ends
from paretohqd.models.guide import Guide
from paretohqd.models.guided_sampling import generate_guided
from paretohqd.runs import layout
from paretohqd.runs.answering import sampling, to_sampling
from paretohqd.runs.manifest import Stage

TURN = 1009
"""What each turn adds to the seed of answers that are chosen sentence by sentence."""
EDITS = 503
"""What an edit adds to the seed: with its draft's numbers it would say its draft again."""


@dataclass(frozen=True, kw_only=True)
class Answered:
    """Answers to prompts, and what the model read that wrote them."""

    made: Stage
    samples: int
    """Answers to each prompt, one after the other."""
    read: pl.DataFrame
    """prompt and system_prompt of each prompt, as that model read it."""
    adapters: tuple[Weighted, ...]
    """What that model has on."""

    def frame(self, prompts: Sequence[str]) -> pl.DataFrame:
        """The answers' rows, with the prompts that were asked."""
        frame = pl.read_parquet(self.made.path / layout.ANSWERS)
        return frame.with_columns(prompt=pl.Series(np.repeat(prompts, self.samples).tolist()))


def respond(
    bench: Workbench, policy: Policy, prompts: pl.DataFrame, *, label: str, seed: int
) -> Answered:
    """Answers of a policy, as a step or two.

    Args:
        bench: The method's.
        policy: Who answers.
        prompts: Column prompt, and those that scorers read.
        label: What the progress bar calls it.
        seed: Of the random numbers.
    """
    asked, count = prompts, 1
    told = [policy.system_prompt] * len(prompts)
    if policy.told is not None:
        told = policy.told(prompts["prompt"].to_list())
        asked = prompts.with_columns(pl.Series(chat.SYSTEM_PROMPT, told, dtype=pl.String))
    if policy.guidance is not None:
        made = guided(bench, policy.guidance, asked, label=label, seed=seed)
    elif policy.choice is not None and policy.choice.each == "sentence":
        made = by_sentence(bench, policy, policy.choice, asked, label=label, seed=seed)
    else:
        count = policy.choice.candidates if policy.choice is not None else 1
        made = answered(bench, policy, asked, label=label, seed=seed, samples=count)
    adapters = policy.adapters
    read = prompts.select("prompt", pl.Series(chat.SYSTEM_PROMPT, told, dtype=pl.String))
    if policy.edit is not None:
        drafts = pl.read_parquet(made.path / layout.ANSWERS)["response"].to_list()
        read = to_edit(prompts["prompt"].to_list(), drafts, policy.edit)
        editor = Policy(adapters=policy.edit.adapters)
        adapters = editor.adapters
        made = answered(bench, editor, read.select("prompt"), label=label, seed=seed + EDITS)
        edits = pl.read_parquet(made.path / layout.ANSWERS)["response"]
        same = (edits == read["draft"]).mean()
        bench.notes.setdefault("drafts given back as they were", {})[label] = same
    return Answered(made=made, samples=count, read=read, adapters=adapters)


def to_edit(prompts: Sequence[str], drafts: Sequence[str], edit: Edit) -> pl.DataFrame:
    """What a second model reads (prompt, system_prompt), and the draft that is in it (draft)."""
    order = np.arange(len(drafts))
    if edit.shuffled is not None:
        order = strangers(len(drafts), [edit.shuffled, 23])
    given = [drafts[i] for i in order.tolist()]
    texts = [
        edit_prompt(prompt, draft, edit.request)
        for prompt, draft in zip(prompts, given, strict=True)
    ]
    return pl.DataFrame({"prompt": texts, chat.SYSTEM_PROMPT: [""] * len(texts), "draft": given})


def strangers(count: int, seed: Sequence[int]) -> np.ndarray:
    """(count,) another number for each number, all of them once; a single one keeps its own.

    Example:
        >>> bool((strangers(5, [0]) != np.arange(5)).all())
        True
    """
    # Each gets the next one in a shuffled circle.
    circle = np.random.default_rng(seed).permutation(count)
    others = np.empty_like(circle)
    others[circle] = np.roll(circle, -1)
    return others


def edit_prompt(prompt: str, draft: str, request: str) -> str:
    """A conversation that goes on with a draft and a request to better it.

    Example:
        >>> edit_prompt("Tea?", "No.", "Be kinder.")[-42:]
        '{"role": "user", "content": "Be kinder."}]'
    """
    return write_prompt([*chat.messages(prompt, draft), {"role": "user", "content": request}])


def guided(
    bench: Workbench, guidance: Guidance, prompts: pl.DataFrame, *, label: str, seed: int
) -> Stage:
    """A step in which a value model reads along with the base."""
    s, spec, tilt = bench.context, bench.settings.generation, guidance.tilt

    def work(out: Path) -> Mapping[str, Any]:
        model, tokenizer = s.sampler()
        own, _ = base.load_base(s.settings.model, device=s.machine.device, dtype=s.machine.dtype)
        with s.screen.bar(f"{bench.title}: sample {label}") as progress:
            frame = generate_guided(
                model,
                tokenizer,
                prompts["prompt"].to_list(),
                Guide(own, guidance.folder, tilt),
                seed=seed,
                sampling=to_sampling(spec),
                progress=progress,
            )
        write_parquet(frame, out / layout.ANSWERS)
        return {"rows": len(frame), "tokens": int(frame["tokens"].sum())}

    return bench.step(
        "answers",
        work,
        settings={
            **sampling(spec),
            "seed": seed,
            "bfloat16": s.machine.bfloat16,
            "guidance": {**vars(tilt), "weights": list(tilt.weights)},
        },
        inputs={
            "prompts": bench.hash_rows(prompts),
            "model": s.model_id,
            "values": s.folder.hash_path(guidance.folder),
        },
    )


def by_sentence(
    bench: Workbench,
    policy: Policy,
    choice: Choice,
    prompts: pl.DataFrame,
    *,
    label: str,
    seed: int,
) -> Stage:
    """A step in which the best of several ways to go on is taken after each sentence."""
    s, spec = bench.context, bench.settings.generation
    how = to_sampling(spec)

    def work(out: Path) -> Mapping[str, Any]:
        texts, tokenizer = prompts["prompt"].to_list(), bench.tokenizer()
        tokenizer.padding_side = "left"
        ids = chat.encode_prompts(tokenizer, texts, [policy.system_prompt] * len(texts))
        begun: list[list[int]] = [[] for _ in texts]
        going, turn, looked_at = list(range(len(texts))), 0, 0
        sentences = sentence_ends(tokenizer)
        with s.screen.bar(f"{bench.title}: sample {label}") as progress:
            while going:
                progress(len(texts) - len(going), len(texts))
                model, _ = s.sampler(*policy.adapters)
                stop = chat.stop_tokens(model, tokenizer)
                ways = continued(
                    model,
                    tokenizer,
                    [ids[i] for i in going],
                    [begun[i] for i in going],
                    going,
                    ends={*stop, *sentences},
                    candidates=choice.candidates,
                    seed=seed + TURN * turn,
                    sampling=how,
                )
                looked_at += sum(len(way) for own in ways for way in own)
                frame = answers_frame(
                    tokenizer,
                    [[*begun[i], *way] for i, own in zip(going, ways, strict=True) for way in own],
                    [texts[i] for i in going],
                    going,
                    samples=choice.candidates,
                    stop=stop,
                )
                own_columns = prompts[np.repeat(going, choice.candidates)].select(s.columns)
                with tempfile.TemporaryDirectory(dir=out) as place:
                    scored = s.score(
                        pl.concat([frame.drop("row"), own_columns], how="horizontal"),
                        work=Path(place),
                        allow_empty=True,
                    )
                for i, own, best in zip(going, ways, choice.best(scored).tolist(), strict=True):
                    begun[i] = [*begun[i], *own[best]]
                going = [
                    i
                    for i in going
                    if begun[i][-1] not in stop and len(begun[i]) < how.max_new_tokens
                ]
                turn += 1
            progress(len(texts), len(texts))
        rows = range(len(texts))
        frame = answers_frame(tokenizer, begun, texts, rows, samples=1, stop=stop).drop("row")
        write_parquet(frame, out / layout.ANSWERS)
        return {"rows": len(frame), "tokens": int(frame["tokens"].sum()), "looked at": looked_at}

    return bench.step(
        "answers",
        work,
        settings={
            **sampling(spec),
            "seed": seed,
            "bfloat16": s.machine.bfloat16,
            "objectives": s.objective_settings,
            "sentences": choice.facts(),
            KEYED_SYSTEM_PROMPT: policy.system_prompt,
            "weights": [weight for _, weight in policy.adapters],
        },
        inputs={"prompts": bench.hash_rows(prompts), "model": s.model_id}
        | {f"adapter{i}": s.folder.hash_path(path) for i, (path, _) in enumerate(policy.adapters)},
    )
