"""What a method spends, step by step, and what its budget allows."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import polars as pl

from paretohqd.compare import prices
from paretohqd.runs import sections
from paretohqd.runs.manifest import Stage
from paretohqd.trainers.schedule import schedule


@dataclass(frozen=True)
class Tokens:
    """A budget: how many tokens a method may train on and generate in all."""

    trained: int
    generated: int
    seconds: float | None = None
    """What all tokens together may cost at fixed prices. Trained and generated ones are then
    exchanged for each other, and `trained` is no limit; `generated` is that of answers that are
    sampled to be trained on."""


FACTORS = {"half": 0.5, "one": 1.0, "two": 2.0}
"""Budgets of cost, and how much of the measured method's cost they are."""


def allowance(budget: str, measured: Tokens, *, itself: bool) -> Tokens:
    """What a budget allows.

    Args:
        budget: `matched`, `half`, `one` or `two`.
        measured: What the method that budgets are measured from usually takes.
        itself: Whether it is for that method (or a variant of it), which spends more or less in the
            proportions that it always has.

    Example:
        >>> allowance("two", Tokens(1000, 300), itself=True)
        Tokens(trained=2000, generated=600, seconds=None)
        >>> round(allowance("half", Tokens(1000, 300), itself=False).seconds, 2)
        5.17
    """
    if budget == "matched":
        return measured
    factor = FACTORS[budget]
    tokens = Tokens(round(factor * measured.trained), round(factor * measured.generated))
    if itself:
        return tokens
    return replace(tokens, seconds=factor * prices.cost(measured.trained, measured.generated))


@dataclass(frozen=True, kw_only=True)
class Cost:
    """What one step of a method took."""

    phase: str
    """"select", "train", "generate" or "score"."""
    per: str
    """What it is done again for: "preference", "objective", "representative" or "once" for none."""
    seconds: float
    """Seconds of the CPU's work; on a GPU, seconds of the clock."""
    trained: int = 0
    """Tokens that a loss was computed over or for: prompts and answers, without padding."""
    generated: int = 0
    """Tokens sampled."""
    passed: int = 0
    """Tokens read without a gradient while training, as by a reference model."""
    scored: int = 0
    """Answers given to the scorers."""


@dataclass(frozen=True, kw_only=True)
class Course:
    """What a training goes through, step by step."""

    rows: pl.DataFrame
    """In the order of training; a row may come several times."""
    different: int
    """How many rows there were to train on."""
    seen: int
    """How many of them it comes to."""
    steps: int
    tokens: int
    """Tokens of all rows together, each counted as often as it comes."""

    @property
    def passes(self) -> float:
        """How often it goes through its rows."""
        return round(len(self.rows) / self.different, 2)


class Spending:
    """The account of one method, for one seed and one budget."""

    def __init__(
        self, allowed: Tokens | None, generation: sections.Generation, *, seed: int, clock: str
    ) -> None:
        """Open an account.

        Args:
            allowed: The budget; None lets the method take its usual steps.
            generation: How many prompts are answered usually, and the longest answer there may be.
            seed: Shuffles what is trained on.
            clock: Key of a stage's manifest that tells its seconds. On a CPU they are those that
                the CPU worked: other work on the machine adds none.
        """
        self.allowed, self.seed = allowed, seed
        self.costs: list[Cost] = []
        self._generation, self._clock, self._shares = generation, clock, 0.0

    @property
    def trained(self) -> int:
        """Tokens trained on so far."""
        return sum(cost.trained for cost in self.costs)

    @property
    def generated(self) -> int:
        """Tokens generated so far."""
        return sum(cost.generated for cost in self.costs)

    def charge(self, result: Stage, phase: str, per: str, **counts: int) -> None:
        """Write down what a step cost, now or when it was done."""
        seconds = float(getattr(result.manifest, self._clock))
        self.costs.append(Cost(phase=phase, per=per, seconds=seconds, **counts))

    def affordable(self, prompts: int, *, samples: int, rounds: int) -> Iterator[slice]:
        """Which of some prompts to answer next: all, or until this round's tokens are used up.

        The longest answers there may be are paid for, so that the budget is not exceeded; what
        shorter ones leave pays for further prompts. The caller charges each part before it asks
        for the next.

        Args:
            prompts: How many there are.
            samples: Answers per prompt.
            rounds: Samplings that what is left of the budget is for, this one included.

        Raises:
            ValueError: The budget does not pay for one prompt.
        """
        if self.allowed is None:
            yield slice(0, prompts)
            return
        most = self.generated + (self.allowed.generated - self.generated) // rounds
        price, done = samples * self._generation.max_new_tokens, 0
        while done < prompts and (count := (most - self.generated) // price) > 0:
            yield slice(done, done + count)
            done += count
        if not done:
            raise ValueError(
                f"a budget of {self.allowed.generated} generated tokens does not pay for "
                f"{samples} answer(s) of up to {price // samples} tokens in each of {rounds} rounds"
            )

    def order(
        self,
        lengths: Sequence[int],
        *,
        batch: int,
        share: float,
        steps: int,
        passes: float = 0.0,
    ) -> np.ndarray:
        """Rows in the order of training: `steps` of them, or what `share` of the budget pays for.

        Shares add up: what one training is above or below its share, the next makes good.
        """
        if self.allowed is None:
            return schedule(lengths, batch=batch, seed=self.seed, steps=steps)
        tokens = self.left(share, passes=passes).trained
        return schedule(lengths, batch=batch, seed=self.seed, tokens=tokens)

    def course(
        self,
        rows: pl.DataFrame,
        lengths: Sequence[int],
        *,
        batch: int,
        share: float,
        steps: int,
        passes: float = 0.0,
    ) -> Course:
        """What a training goes through, see `order`.

        Args:
            rows: More or fewer than the steps need.
            lengths: Tokens of each row.
            batch: Rows per step.
            share: The part of the whole budget that this training may use.
            steps: How many there are usually.
            passes: Tokens read without a gradient for each token trained on.
        """
        order = self.order(lengths, batch=batch, share=share, steps=steps, passes=passes)
        return Course(
            rows=rows[order],
            different=len(rows),
            seen=len(np.unique(order)),
            steps=len(order) // batch,
            tokens=int(np.asarray(lengths)[order].sum()),
        )

    def left(self, share: float, *, passes: float = 0.0) -> Tokens:
        """What the next `share` of the budget leaves, less what is spent already.

        Args:
            share: The part of the whole budget.
            passes: Tokens read without a gradient for each token trained on, which a budget of
                cost pays for too.
        """
        assert self.allowed is not None
        self._shares += share
        if self.allowed.seconds is not None:
            seconds = self.allowed.seconds * self._shares - prices.cost_of(self.costs)
            each = prices.cost(1, 0, passes)
            return Tokens(round(seconds / each), round(seconds / prices.GENERATED), seconds)
        return Tokens(
            round(self.allowed.trained * self._shares) - self.trained,
            round(self.allowed.generated * self._shares) - self.generated,
        )

    def seconds(self) -> dict[str, float]:
        """Seconds so far, by phase."""
        seconds: dict[str, float] = {}
        for cost in self.costs:
            seconds[cost.phase] = seconds.get(cost.phase, 0.0) + cost.seconds
        return seconds
