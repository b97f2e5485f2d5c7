"""What a sum of neighbours achieves on the held-out prompts, beside what is predicted of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl

from paretohqd.models.sampling import generate
from paretohqd.plots.progress import Screen, table
from paretohqd.policies.loaded import Policy
from paretohqd.rewards.scoring import Reward, score
from paretohqd.runs import layout
from paretohqd.runs.answering import to_sampling
from paretohqd.runs.metrics import SampleMean
from paretohqd.runs.utility import scaled
from paretohqd.runs.verdicts import mean_and_error
from paretohqd.selection.preferences import format_weights


@dataclass(frozen=True, kw_only=True)
class Measured:
    """One policy on the run's held-out prompts.

    Attributes:
        policy: The policy.
        answers: prompt, response, tokens, finished, and a column per objective.
        rewards: Mean rewards.
        beyond: How far these lie above the prediction, prompt by prompt.
        utility: Mean of w . z, z being the rewards on the data's scale.
        utility_beyond: How far it lies above the prediction.
    """

    policy: Policy
    answers: pl.DataFrame
    rewards: dict[str, SampleMean]
    beyond: dict[str, SampleMean]
    utility: SampleMean
    utility_beyond: SampleMean


def measure(policy: Policy, rewards: Sequence[Reward], *, screen: Screen | None = None) -> Measured:
    """Let a policy answer the run's held-out prompts, and hold it against the prediction.

    The random numbers are those of the run's own evaluation, so that a trained preference gives the
    run's own answers and differences are prompt by prompt.

    Args:
        policy: A policy of a finished run.
        rewards: The run's scorers, in the order of its objectives.
        screen: Where the progress is drawn.
    """
    run, screen = policy.run, screen or Screen(silent=True)
    prompts = pl.read_parquet(run.finished.folder / layout.DATA / layout.HELD_OUT)
    asked = run.finished.answers(None)["prompt"]
    prompts = prompts.head(len(asked))
    with run.lock, screen.bar(f"sample {format_weights(policy.asked)}") as progress:
        model, tokenizer = run.model(policy.parts)
        answers = generate(
            model,
            tokenizer,
            asked.to_list(),
            seed=run.finished.facts.seed + 1,
            sampling=to_sampling(run.finished.generation),
            progress=progress,
        )
    own = prompts.drop(answers.columns, strict=False)
    with screen.bar(f"score {format_weights(policy.asked)}") as progress:
        answers = score(
            pl.concat([answers, own], how="horizontal"),
            rewards,
            allow_empty=True,
            plain=True,
            progress=progress,
        )
    names, parts = run.objectives, policy.parts
    now = answers.select(names).to_numpy()
    predicted = np.tensordot(parts.shares, run.finished.rewards[list(parts.places)], axes=1)
    bounds = run.finished.metrics.bounds
    w = np.array(policy.asked)
    served = scaled(now, bounds) @ w
    return Measured(
        policy=policy,
        answers=answers.select("prompt", "response", "tokens", "finished", *names),
        rewards={name: _mean(now[:, i]) for i, name in enumerate(names)},
        beyond={name: _mean((now - predicted)[:, i]) for i, name in enumerate(names)},
        utility=_mean(served),
        utility_beyond=_mean(served - scaled(predicted, bounds) @ w),
    )


def render(measured: Sequence[Measured]) -> str:
    """A table for a terminal: each policy beside its prediction."""
    names = measured[0].policy.run.objectives
    head = ["w", *(f"{n} (se)" for n in names), *(f"beyond neighbours (se): {n}" for n in names)]
    rows = [[*head, "utility", "beyond (se)"]]
    for one in measured:
        row = [format_weights(one.policy.asked)]
        row += [_text(one.rewards[name], "") for name in names]
        row += [_text(one.beyond[name], "+") for name in names]
        rows.append([*row, _text(one.utility, ""), _text(one.utility_beyond, "+")])
    made = [f"  {format_weights(one.policy.asked)}: {one.policy}" for one in measured]
    return "\n".join([table(rows), "", *made])


def _mean(values: np.ndarray) -> SampleMean:
    return mean_and_error(pl.Series(values))


def _text(value: SampleMean, sign: str) -> str:
    error = "-" if value.se is None else f"{value.se:.3f}"
    return f"{value.mean:{sign}.3f} ({error})"
