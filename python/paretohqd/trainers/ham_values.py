"""What joint training maximises: the hypervolume of K policies' values on scored answers.

Exact and differentiable: with the log-probabilities of the answers as variables, its derivatives
say how much more or less likely each answer should become under each policy.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from paretohqd.kernels.rays import preference_grid

REFERENCE = -2.0
"""The reference point in each objective, in standard deviations from the mean of the prompt's
answers, which is what the base has. No mixture of a few answers to each prompt gets so low; where
one did, its value would have no gradient."""

LEAST_LIKELIHOOD = 0.0
"""The reference point of values that are likelihoods: the origin, as the paper has it."""

OFFSET = 0.1
"""How far values are moved apart, in standard deviations. All policies start as the base with
one value, and a value that others dominate has no gradient. Without this, on a tiny model, one of
three policies and three of five stayed where they were (noise on the adapters' B moved all of
three, but not all of five); with it all moved from the first step on, each its own way.
Likelihoods are moved by as large a part of themselves."""

MAX_ADAPTERS = 12
"""Adapters at most: the hypervolume is summed over all their subsets."""


@dataclass(frozen=True)
class Answers:
    """The answers to one prompt, two or more."""

    ids: tuple[tuple[list[int], list[int]], ...]
    """Tokens of the prompt and of each answer."""
    scores: torch.Tensor
    """(answers, M), larger is better, in standard deviations; their mean is taken off."""

    @property
    def tokens(self) -> int:
        """Tokens of all of them, their prompts included."""
        return sum(len(prompt) + len(answer) for prompt, answer in self.ids)


def hypervolume(values: torch.Tensor, reference: float) -> torch.Tensor:
    """Exact volume that points dominate above a reference, with its gradient.

    By inclusion and exclusion: the box of a subset's common part is the product of the smallest
    excess in each objective, and subsets of odd size count positive. O(2^K K M). Equal points share
    the gradient evenly; points that another dominates have none.

    Args:
        values: (K, M) points, larger is better.
        reference: The reference point, the same in every objective.

    Returns:
        A number with a gradient.

    Example:
        >>> float(hypervolume(torch.tensor([[3.0, 1.0], [1.0, 2.0]]), 0.0))
        4.0
    """
    count = len(values)
    subsets = (torch.arange(1, 2**count)[:, None] >> torch.arange(count)) & 1
    inside = subsets.bool().to(values.device)
    room = (values - reference).clamp(min=0)
    common = torch.where(inside[:, :, None], room, torch.inf).amin(dim=1).prod(dim=1)
    sign = (2 * (inside.sum(dim=1) % 2) - 1).to(values.dtype)
    return (sign * common).sum()


def policy_values(
    logps: torch.Tensor, base: torch.Tensor, batch: Sequence[Answers]
) -> torch.Tensor:
    """Value of each policy for each objective on some prompts' answers.

    Args:
        logps: (K, answers) log-probabilities of all answers, prompt by prompt.
        base: (answers,) the base's.
        batch: The prompts.

    Returns:
        (K, M) means over the prompts of the weighted means of their answers' scores.
    """
    lengths = [max(1, len(answer)) for answers in batch for _, answer in answers.ids]
    ratios = (logps - base) / torch.tensor(lengths, dtype=logps.dtype)
    parts = torch.split(ratios, [len(answers.ids) for answers in batch], dim=1)
    return torch.stack(
        [part.softmax(dim=1) @ one.scores for part, one in zip(parts, batch, strict=True)]
    ).mean(dim=0)


def likelihood_values(logps: torch.Tensor, batch: Sequence[Answers]) -> torch.Tensor:
    """Value of each policy for each objective: how likely it finds what scores well.

    The exponential of the mean of log pi(y|x) per token, weighted by the scores: E[r log pi] as the
    paper has it, brought between 0 and 1.

    Args:
        logps: (K, answers) log-probabilities of all answers, prompt by prompt.
        batch: The prompts, with scores from 0 to 1.

    Returns:
        (K, M).
    """
    lengths = [max(1, len(answer)) for answers in batch for _, answer in answers.ids]
    each = logps / torch.tensor(lengths, dtype=logps.dtype)
    scores = torch.cat([answers.scores for answers in batch]).to(logps.dtype)
    return (each @ (scores / scores.sum(dim=0).clamp(min=1e-12))).exp()


def offset_directions(count: int, objectives: int) -> NDArray[np.float64]:
    """(count, objectives) directions that sum to 0, spread evenly from objective to objective.

    Example:
        >>> offset_directions(3, 2).tolist()
        [[0.5, -0.5], [0.0, 0.0], [-0.5, 0.5]]
    """
    if count == 1:
        return np.zeros((1, objectives))
    divisions = 1
    while len(preference_grid(objectives, divisions)) < count:
        divisions += 1
    lattice = preference_grid(objectives, divisions)
    chosen = np.linspace(0, len(lattice) - 1, count).round().astype(np.int64)
    return np.subtract(lattice[chosen], 1 / objectives)
