"""What a comparison says in words: its limits, its budgets, and which models follow."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import polars as pl

from paretohqd.compare.policy import Policy
from paretohqd.compare.records import FrontRecord
from paretohqd.runs import layout
from paretohqd.runs.verdicts import mean_and_error, paired_test

BUDGETS = {
    "matched": "each method trains on and generates as many tokens as paretohqd does in all, with "
    "the same seed, to the nearest step; one that samples stops at whichever runs out first. What "
    "is sampled for evaluation does not count.",
    "half": "each method costs half of what paretohqd usually costs with the same seed, at fixed "
    "prices for trained, generated and read tokens, to the nearest step.",
    "one": "each method costs as much as paretohqd usually costs with the same seed, at fixed "
    "prices for trained, generated and read tokens, to the nearest step, however it spends it.",
    "two": "each method costs twice what paretohqd usually costs with the same seed, at fixed "
    "prices for trained, generated and read tokens, to the nearest step.",
    "own": "each method takes its usual steps: train.max_steps for each model of a preference (a "
    "pass for full data, pairs.max_steps where pairs have their own, 30 for GRPO), and as many as "
    "all preferences' models for the one model of a method that is told what to aim at.",
}
"""What the budgets mean."""

LIMITS = (
    "The scorers are small proxies: a method that scores higher may only please its scorer. Look "
    "at the echo rate, the entropy and the answers themselves.",
    "Reinforcement learning is trained on the very scorers that evaluate it, and what sees them at "
    "use chooses its answers by them; the others only choose or label data by them.",
    "Times are of the CPU's work (on a GPU, of the clock), without evaluation; what two methods "
    "share was done once and is charged to both. What reinforcement learning samples and scores "
    "while it trains stands under train.",
)
"""What no figure on the page can tell, whatever the model."""

SMALL = (
    "A model of 135 million parameters, trained for minutes on one machine, says little about "
    "models of billions: neither the order of the methods nor their distances carry over."
)

FOLLOWS = {"wins": "follows", "loses": "goes the other way", "open": "open"}
"""What the paired test of asking for much against asking for little says of a model."""


def limits(model: str, front: FrontRecord | None, apart: Sequence[str] = ()) -> list[str]:
    """The sentences at the top of the page of a comparison on a base model.

    Args:
        model: Its name.
        front: The shape of the data's front, from `comparison.shape_of_front`.
        apart: What `uncompared` says.
    """
    sentences = [*apart, *([SMALL] if model == "embedded" else []), *LIMITS]
    return sentences if front is None else [*sentences, shape(front)]


def uncompared(methods: Sequence[str], reference: str) -> list[str]:
    """A sentence on methods that no budget puts beside the reference, where there are any.

    Example:
        >>> uncompared(["soups", "full"], "paretohqd")
        ['soups, full: never under a budget that paretohqd has too, so not compared with it.']
    """
    names = ", ".join(methods)
    text = f"{names}: never under a budget that {reference} has too, so not compared with it."
    return [text] if methods else []


def shape(front: FrontRecord) -> str:
    """Whether the data's front is hollower than chance makes one.

    Example:
        >>> chance = {"clouds": 200, "unreached": [0.56, 0.25, 0.75], "depth": [0.066, 0.02, 0.14]}
        >>> front = {"points": 13, "unreached": 0.54, "depth": 0.032, "chance": chance}
        >>> text = shape(FrontRecord.of(front))
        >>> text.partition(" below")[0]
        "The deepest of the 13 points of the data's front lies .032 of its box"
        >>> text.rpartition(": ")[2]
        'nothing shows that these data are non-convex.'
    """

    def of(values: Sequence[float]) -> str:
        middle, low, high = (f"{value:.3f}".removeprefix("0") for value in values)
        return f"{middle} ({low} to {high})"

    depth, chance = f"{front.depth:.3f}".removeprefix("0"), front.chance
    share = f"{100 * front.unreached:.0f} %"
    text = (
        f"The deepest of the {front.points} points of the data's front lies {depth} of its box "
        f"below the convex hull. No weighted sum reaches {share} of them; "
    )
    if chance is None:
        return text + "how much of that is chance was not drawn: it takes too many linear programs."
    middle, low, high = (f"{100 * value:.0f}" for value in chance.unreached)
    text += (
        f"{chance.clouds} clouds with the same marginals and rank correlation alone (Gaussian "
        f"copula) have {of(chance.depth)} and {middle} % ({low} to {high}), median and 95 % "
        "range: "
    )
    if front.depth > chance.depth[2]:
        return text + "this front is hollower than chance makes one."
    return text + "nothing shows that these data are non-convex."


def asked_high_or_low(
    names: Sequence[str], policies: Sequence[Policy], answers: Sequence[Path]
) -> dict[str, str]:
    """Whether a model follows the scores that it reads: the paired test per objective.

    The policy that asks for the most of an objective against the one that asks for the least, on
    the same prompts; a difference counts beyond two standard errors over prompts. That describes
    this model: one of another seed may do otherwise.

    Args:
        names: The objectives.
        policies: Those of one method.
        answers: The folder of each policy's measured answers.
    """
    weights = [policy.weights for policy in policies]
    tests = {}
    for place, name in enumerate(names):
        own = [w[place] if w is not None else 0.0 for w in weights]
        high, low = own.index(max(own)), own.index(min(own))
        if own[high] == own[low]:
            continue
        scores = [
            pl.read_parquet(answers[number] / layout.ANSWERS, columns=[name])[name]
            for number in (high, low)
        ]
        test = paired_test(scores[0], scores[1])
        mean, error = test.difference.mean, test.difference.se
        if error is None:
            continue
        tests[name] = f"{mean:+.3f} (se {error:.3f}): {FOLLOWS[test.verdict]}"
    return tests


def kept(policies: Sequence[Policy], answers: Sequence[Path]) -> list[str]:
    """Whether policies keep what their method promised of their mean scores, one text each.

    Args:
        policies: Those of one method.
        answers: The folder of each policy's measured answers.
    """
    texts = []
    for policy, folder in zip(policies, answers, strict=True):
        parts = []
        for name, least in policy.least:
            scores = pl.read_parquet(folder / layout.ANSWERS, columns=[name])[name]
            found = mean_and_error(scores)
            error = "" if found.se is None else f" (se {found.se:.3f})"
            parts.append(
                f"{name} at least {least:.3f}: {found.mean:.3f}{error}, "
                f"{'kept' if found.mean >= least else 'not kept'}"
            )
        texts.append("; ".join(parts) or "nothing promised")
    return texts
