"""Scores in which no echo gains: an echoed answer counts with no more than the base's score."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import polars as pl

from paretohqd.compare.crossed import Floats
from paretohqd.compare.records import RunRecord


def adjusted(
    run: RunRecord,
    runs: Sequence[RunRecord],
    scores: Mapping[str, Floats],
    answers: Mapping[str, pl.DataFrame],
) -> Floats | None:
    """Scaled scores of a run; an echoed answer has at most the base's on the same prompt.

    What the base echoes earns it no more than the scale's 0.

    Args:
        run: One that did not fail.
        runs: All of the comparison, among them the base's.
        scores: (N, m) scaled scores of each policy's answers.
        answers: Those answers, of which `echo` is read.

    Returns:
        (P, N, m), or None without a base.
    """
    base = _base(run, runs)
    if base is None:
        return None

    def at_most(key: str, limit: Floats | float) -> Floats:
        echo = answers[key]["echo"].to_numpy()[:, None]
        return np.asarray(np.where(echo, np.minimum(scores[key], limit), scores[key]))

    plain = at_most(base.policies[0].answers, 0.0)
    return np.stack([at_most(policy.answers, plain) for policy in run.policies])


def _base(run: RunRecord, runs: Sequence[RunRecord]) -> RunRecord | None:
    """The base's run nearest to this one: with its seed if there is one, then with its budget."""
    bases = [other for other in runs if other.kind == "base" and not other.failed]
    near = sorted(bases, key=lambda r: (r.seed != run.seed, r.budget != run.budget))
    return near[0] if near else None
