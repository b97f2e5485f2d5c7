"""Answers side by side: a few held-out prompts and what each method answered to them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import polars as pl

from paretohqd.compare.measures import ComparisonResult, MethodResult, RunResult
from paretohqd.compare.records import PolicyRecord
from paretohqd.frames.conversations.messages import Message
from paretohqd.frames.conversations.prompts import read_prompt
from paretohqd.plots.page import answer_card, sample_prompts
from paretohqd.selection.preferences import format_weights

PROMPTS = 4
POLICIES = 3
"""At most this many of a method's policies are shown."""


@dataclass(frozen=True, kw_only=True)
class Card:
    """One answer."""

    title: str
    text: str
    scores: Sequence[tuple[str, float]]
    flags: Sequence[str]


@dataclass(frozen=True, kw_only=True)
class MethodAnswers:
    """What one method answered to a prompt."""

    method: str
    budget: str
    seed: int
    cards: Sequence[Card]


@dataclass(frozen=True, kw_only=True)
class Sample:
    """A prompt and what each method answered to it."""

    prompt: Sequence[Message]
    methods: Sequence[MethodAnswers]


def samples(
    result: ComparisonResult, answers: Mapping[str, pl.DataFrame], seed: int
) -> list[Sample]:
    """A few held-out prompts, drawn with the seed, and what each method answered to them."""
    shown: list[tuple[MethodResult, RunResult]] = []
    for entry in result.methods:
        runs = [result.runs[at] for at in entry.places]
        first = next((measured for measured in runs if not measured.run.failed), None)
        if first is not None:
            shown.append((entry, first))
    drawn = []
    for row in sample_prompts(result.prompts, PROMPTS, seed):
        methods = [
            MethodAnswers(
                method=entry.method,
                budget=entry.budget,
                seed=first.run.seed,
                cards=_cards(first.run.policies, answers, row, result.objectives),
            )
            for entry, first in shown
        ]
        prompt = answers[shown[-1][1].run.policies[0].answers]["prompt"][row]
        drawn.append(Sample(prompt=read_prompt(prompt), methods=methods))
    return drawn


def _cards(
    policies: Sequence[PolicyRecord],
    answers: Mapping[str, pl.DataFrame],
    row: int,
    objectives: Sequence[str],
) -> list[Card]:
    """What some policies of a method answered to a prompt; the ends and the middle of many."""
    some = _some(policies)
    return [
        Card(
            title=_title(policy, number, len(some)),
            **answer_card(answers[policy.answers].row(row, named=True), objectives),
        )
        for number, policy in enumerate(some)
    ]


def _title(policy: PolicyRecord, number: int, count: int) -> str:
    if policy.weights is not None:
        return format_weights(policy.weights)
    return "one answer for all" if count == 1 else f"point {number + 1} of {count}"


def _some(policies: Sequence[PolicyRecord]) -> Sequence[PolicyRecord]:
    """The first, the middle and the last of many."""
    if len(policies) <= POLICIES:
        return policies
    return [policies[0], policies[len(policies) // 2], policies[-1]]
