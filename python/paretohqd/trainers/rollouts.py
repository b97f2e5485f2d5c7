"""Answers that a model samples while it is trained: scored, standardised, gated and counted."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from paretohqd.frames.conversations.prompts import write_prompt
from paretohqd.frames.text_metrics import echo, word_overlap
from paretohqd.rewards.scoring import Reward, score

GATED = -3.0
"""Standardised reward, in every objective, of an answer that the echo gate stops (ours): three
deviations below the base's mean, worse than nearly all answers and no outlier that would make
the differences between its neighbours look small."""

Talk = Sequence[Mapping[str, str]]


def standard_constants(frame: pl.DataFrame, names: Sequence[str]) -> dict[str, tuple[float, float]]:
    """Mean and deviation by which each reward is standardised, from scored answers of the base.

    The mean is that of all answers. The deviation is the one *within* a prompt, pooled over the
    prompts with several answers: sqrt(sum (r - prompt's mean)^2 / sum (answers - 1)). GRPO compares
    answers to one prompt with each other, so this is the spread that its advantages see; what
    differs from prompt to prompt cancels. Where less than half of the answers share their prompt
    with another, it is the deviation of all answers. The choice is ours.

    Args:
        frame: One row per answer: the column prompt and one column per reward.
        names: The rewards' columns.

    Returns:
        {name: (mean, deviation)}.

    Raises:
        ValueError: No rows, a missing column, scores that are null or not finite, or a reward whose
            answers to one prompt never differ, by which nothing can be divided.

    Example:
        >>> frame = pl.DataFrame({"prompt": ["a", "a", "b", "b"], "kind": [0.0, 2.0, 10.0, 12.0]})
        >>> mean, deviation = standard_constants(frame, ["kind"])["kind"]
        >>> mean, round(deviation**2, 9)
        (6.0, 2.0)
    """
    if frame.is_empty():
        raise ValueError("no scored answers to take the rewards' constants from")
    missing = [name for name in ("prompt", *names) if name not in frame.columns]
    if missing:
        raise ValueError(
            f"no column {missing[0]!r} to take constants from: the frame has "
            f"{', '.join(frame.columns)}"
        )
    # A few prompts that come twice by chance say nothing of the spread within one.
    several = 2 * int(frame["prompt"].is_duplicated().sum()) >= len(frame)
    constants = {}
    for name in names:
        values = frame[name].cast(pl.Float64)
        bad = values.len() - values.is_finite().fill_null(False).sum()
        if bad:
            raise ValueError(f"reward {name!r}: {bad} of {len(frame)} scores are not finite")
        table = frame.select("prompt", value=values)
        center = pl.col("value").mean().over("prompt") if several else pl.col("value").mean()
        square = float(table.select(((pl.col("value") - center) ** 2).sum()).item())
        freedom = len(frame) - (frame["prompt"].n_unique() if several else 1)
        deviation = float(np.sqrt(square / freedom)) if freedom else 0.0
        # Equal values leave rounding behind, not zero.
        if deviation <= 1e-9 * float(values.abs().max()):  # type: ignore[arg-type]
            raise ValueError(
                f"reward {name!r} does not differ between answers to a prompt: its deviation is "
                f"{deviation:.3g}, so it cannot be standardised: leave it out or score more answers"
            )
        constants[name] = (float(values.mean()), deviation)  # type: ignore[arg-type]
    return constants


def check_constants(
    rewards: Sequence[Reward],
    weights: Sequence[float],
    constants: Mapping[str, tuple[float, float]],
) -> None:
    """Refuse weights or constants that a sum of these rewards cannot be made with.

    Raises:
        ValueError: No rewards, two of one name, not one finite weight each, all weights 0, or
            constants that are missing, not finite or have no deviation above 0.
    """
    names = [reward.name for reward in rewards]
    if not names:
        raise ValueError("no rewards to train on")
    twice = [name for name in names if names.count(name) > 1]
    if twice:
        raise ValueError(f"two rewards are called {twice[0]}: give each its own name")
    if len(weights) != len(names) or not np.isfinite(weights).all() or not np.any(weights):
        raise ValueError(
            f"weights: one finite number for each of {', '.join(names)}, not all 0; got "
            f"{list(weights)}"
        )
    for name in names:
        if name not in constants:
            raise ValueError(
                f"constants: none for reward {name!r}: pass what standard_constants returns"
            )
        mean, deviation = constants[name]
        if not (np.isfinite(mean) and np.isfinite(deviation) and deviation > 0):
            raise ValueError(
                f"constants: reward {name!r} has mean {mean} and deviation {deviation}: both must "
                "be finite and the deviation above 0"
            )


class Rollouts:
    """Reward functions for TRL's trainers, and a record of what they were given.

    `steps` has an entry for each batch of answers: per reward the mean and deviation of its raw
    scores, the shares of answers that echo, were gated and hit the length limit, the mean length in
    tokens, and the tokens and answers so far.
    """

    def __init__(
        self,
        rewards: Sequence[Reward],
        constants: Mapping[str, tuple[float, float]],
        *,
        prompt_tokens: Mapping[str, int],
        stop: Sequence[int],
        read: Callable[[Sequence[int]], str],
        echo_gate: float | None = None,
        gather: Callable[[list[Any]], list[Any]] = list,
        originals: Mapping[str, str] | None = None,
    ) -> None:
        """Start with nothing counted.

        Args:
            rewards: What to score by.
            constants: Mean and deviation of each, by name.
            prompt_tokens: Length of each prompt, in tokens of the chat template.
            stop: Ids that end an answer.
            read: The text of an answer's ids, as it is where answers are sampled.
            echo_gate: Share of an answer's words that may stand in the prompt; above it the answer
                gets GATED in every objective. None: no gate.
            gather: Joins the lists of all processes.
            originals: What rewards see in the place of a prompt.
        """
        self.rewards = list(rewards)
        self.center = np.array([constants[r.name][0] for r in rewards])
        self.scale = np.array([constants[r.name][1] for r in rewards])
        self.prompt_tokens, self.stop = prompt_tokens, frozenset(stop)
        self.read, self.echo_gate, self.gather = read, echo_gate, gather
        self.originals = originals or {}
        self.prompts: list[str] = []
        """What was asked in the last batch, a text per answer."""
        self.steps: list[dict[str, Any]] = []
        self.counts = {"trained_tokens": 0, "generated_tokens": 0, "scored": 0}
        self.standard: NDArray[np.float64] = np.zeros((0, len(self.rewards)))
        """(n, M) standardised rewards of the last batch."""

    def functions(self) -> list[Callable[..., list[float]]]:
        """One function per reward, each with its reward's name, as TRL's trainers take them.

        TRL calls them in this order on the same answers; the first call scores for all, so that an
        answer is looked at and counted once.
        """
        return [self._function(number, reward.name) for number, reward in enumerate(self.rewards)]

    def _function(self, number: int, name: str) -> Callable[..., list[float]]:
        def standardised(
            prompts: Sequence[Talk],
            completions: Sequence[Talk],
            completion_ids: Sequence[Sequence[int]],
            **more: Any,
        ) -> list[float]:
            if number == 0:
                self.prompts = [write_prompt(talk) for talk in prompts]
                replies = [self.read(ids) for ids in completion_ids]
                self.standard = self.look(self.prompts, replies, completion_ids)
            column: list[float] = self.standard[:, number].tolist()
            return column

        standardised.__name__ = name  # TRL's key for it in logs; equal ones would collide
        return standardised

    def look(
        self, prompts: Sequence[str], responses: Sequence[str], ids: Sequence[Sequence[int]]
    ) -> NDArray[np.float64]:
        """Score and count one batch of answers.

        Args:
            prompts: n prompts.
            responses: n answers.
            ids: Their tokens, with the end token.

        Returns:
            (n, M) standardised rewards, gated.

        Raises:
            ValueError: A score that is not finite; the message names the reward.
        """
        read = [self.prompt_tokens[prompt] for prompt in prompts]
        prompts = [self.originals.get(prompt, prompt) for prompt in prompts]
        table = pl.DataFrame({"prompt": prompts, "response": list(responses)})
        names = [reward.name for reward in self.rewards]
        # TRL would drop an objective whose score is NaN without a word; this refuses it.
        # Models stay in memory for the next batch.
        scored = score(table, self.rewards, allow_empty=True, plain=True, keep_loaded=True)
        raw = scored.select(names).to_numpy()
        standard: NDArray[np.float64] = (raw - self.center) / self.scale
        gated = np.zeros(len(raw), dtype=bool)
        if self.echo_gate is not None:
            gated = word_overlap(prompts, responses) > self.echo_gate
            standard[gated] = GATED
        # Cut off at the length limit: no end token.
        cut = [not self.stop.intersection(row[-1:]) for row in ids]
        facts = (echo(prompts, responses), gated, cut, read, [len(row) for row in ids])
        self._record(np.column_stack([raw, *facts]))
        return standard

    def _record(self, part: NDArray[np.float64]) -> None:
        """Add the step's entry; `part` has a row per answer of this process."""
        table = np.concatenate(self.gather([part]))
        size = len(self.rewards)
        echoes, gated, cut, read, length = table[:, size:].T
        self.counts["trained_tokens"] += int(read.sum() + length.sum())
        self.counts["generated_tokens"] += int(length.sum())
        self.counts["scored"] += len(table)
        spread = table[:, :size].std(axis=0, ddof=1)
        self.steps.append(
            {
                "rewards": {
                    reward.name: {"mean": float(mean), "deviation": float(deviation)}
                    for reward, mean, deviation in zip(
                        self.rewards, table[:, :size].mean(axis=0), spread, strict=True
                    )
                },
                "echo": float(echoes.mean()),
                "gated": float(gated.mean()),
                "clipped": float(cut.mean()),
                "length": float(length.mean()),
                **self.counts,
            }
        )
