"""MetaAligner: a second model that edits an answer towards the objectives that it is told."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import permutations
from typing import Literal

import numpy as np
import polars as pl

from paretohqd.compare.method import Amount, Method, MethodOptions, Positive, Steps
from paretohqd.compare.methods._constants import center_and_spread, standardised
from paretohqd.compare.methods._groups import answer_groups
from paretohqd.compare.methods._sft import fine_tune
from paretohqd.compare.policy import Edit, Policy
from paretohqd.compare.using import edit_prompt
from paretohqd.compare.workbench import Workbench


@dataclass(frozen=True, kw_only=True)
class Options(MethodOptions):
    """The options of `metaaligner`."""

    margin: Amount = 0.1
    """Deviations by which an answer must be better than the other in an objective."""
    drafts: Literal["own", "shuffled"] = "own"
    """What is edited at use: the base's answer to the prompt, or to another one, which shows
    whether the draft is read at all."""
    steps: Steps | None = None
    """Usual steps; as many as all preferences' models have if not given."""
    learning_rate: Positive | None = None
    """In place of the settings' own."""


def policies(bench: Workbench, options: Options) -> list[Policy]:
    """The base's answers, edited by one model, which is told the objectives that w asks for.

    Raises:
        ValueError: No answer is better than another by the margin in any objective.
    """
    frame, names = answer_groups(bench), bench.names
    rows = bench.table(
        "edits",
        lambda: edits(frame, names, margin=options.margin, seed=bench.seed),
        frame,
        margin=options.margin,
        seed=bench.seed,
    )
    if rows.is_empty():
        raise ValueError(
            f"margin: no answer is better than another to its prompt by {options.margin:g} "
            "deviations in any objective: lower it"
        )
    bench.notes["edits to learn from"] = len(rows)
    adapter = fine_tune(
        bench,
        rows,
        label="editor",
        per="once",
        share=1.0,
        steps=options.steps or len(bench.weights) * bench.train_settings()["max_steps"],
        rate=options.learning_rate,
    ).adapter
    shuffled = bench.seed if options.drafts == "shuffled" else None
    return [
        Policy(
            weights=weights,
            edit=Edit(
                adapters=((adapter, 1.0),),
                request=request(asked(names, weights)),
                shuffled=shuffled,
            ),
        )
        for weights in bench.preferences
    ]


def asked(names: Sequence[str], weights: Sequence[float]) -> list[str]:
    """The objectives that a preference asks for: those of at least their even share.

    Example:
        >>> asked(["help", "safe", "short"], (0.5, 0.4, 0.1))
        ['help', 'safe']
    """
    # Shares that were divided may fall short by a rounding.
    least = 1 / len(names) - 1e-9
    return [name for name, weight in zip(names, weights, strict=True) if weight >= least]


def request(names: Sequence[str]) -> str:
    """What the second model is asked for.

    Example:
        >>> request(["help", "safe"])
        'Edit your last answer so that it is better in: help, safe. Write the new answer alone.'
    """
    wanted = ", ".join(names)
    return f"Edit your last answer so that it is better in: {wanted}. Write the new answer alone."


def edits(frame: pl.DataFrame, names: Sequence[str], *, margin: float, seed: int) -> pl.DataFrame:
    """From each answer to each other one of its prompt that is better in something: what to learn.

    Args:
        frame: Columns prompt, response and the objectives.
        names: The objectives.
        margin: Deviations that count as better.
        seed: Shuffles the objectives in each request.

    Returns:
        prompt (the conversation, the answer as a draft, and the request) and response.

    Example:
        >>> frame = pl.DataFrame({"prompt": ["Tea?"] * 2, "response": ["No.", "Yes, gladly."],
        ...                       "kind": [0.0, 1.0], "brief": [1.0, 0.0]})
        >>> edits(frame, ["kind", "brief"], margin=0.1, seed=0)["response"].to_list()
        ['Yes, gladly.', 'No.']
    """
    z = standardised(frame, names, *center_and_spread(frame, names))
    rng = np.random.default_rng([seed, 29])
    prompts, responses = frame["prompt"].to_list(), frame["response"].to_list()
    groups: dict[str, list[int]] = {}
    for row, prompt in enumerate(prompts):
        groups.setdefault(prompt, []).append(row)
    texts, answers = [], []
    for prompt, rows in groups.items():
        for draft, better in permutations(rows, 2):
            ahead = [
                name
                for name, gain in zip(names, z[better] - z[draft], strict=True)
                if gain > margin
            ]
            if not ahead or responses[draft] == responses[better]:
                continue
            order = rng.permutation(len(ahead)).tolist()
            texts.append(edit_prompt(prompt, responses[draft], request([ahead[i] for i in order])))
            answers.append(responses[better])
    return pl.DataFrame(
        {"prompt": texts, "response": answers}, schema={"prompt": pl.String, "response": pl.String}
    )


METHOD = Method(
    run=policies,
    options=Options,
    family="sft",
    about="One model that edits the base's answers towards the objectives that w asks for: "
    "aspects, not weights.",
    source='"MetaAligner: Towards Generalizable Multi-Objective Alignment of Language Models" '
    "(arXiv 2403.17141, and its public code).",
    exact="a second model learns, by fine-tuning, the better of two answers from the worse one and "
    "the objectives in which it is better, in shuffled order; the policy is not touched; at use it "
    "edits whatever the policy says.",
    ours="pairs come from scores, in both directions where each answer is better in something; "
    "draft and request are turns of the conversation; of w it sees which objectives have at least "
    "their even share; an adapter on the policy's own base, sampled like all answers (the code "
    "decodes greedily), without the warm-up on answers that are equally good.",
)
