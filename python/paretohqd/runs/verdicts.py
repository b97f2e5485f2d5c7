"""Whether the tuned models follow their preferences: is each corner best in its own objective?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import sqrt

import polars as pl

from paretohqd.runs.layout import BASE
from paretohqd.runs.metrics import Finding, Rival, SampleMean, Verdict
from paretohqd.selection.preferences import format_weights

VERBS: Mapping[Verdict, str] = {
    "wins": "beats",
    "loses": "loses to",
    "open": "does not differ significantly from",
}
"""How a line of text says a verdict, with the rival behind it."""


@dataclass(frozen=True)
class PairedTest:
    """The mean difference of two models on the same prompts, and what it decides."""

    difference: SampleMean

    @property
    def verdict(self) -> Verdict:
        """Who is better; `open` within two standard errors of the difference, or without any."""
        if not self.difference.significant:
            return "open"
        return "wins" if self.difference.mean > 0 else "loses"


def paired_test(ours: pl.Series, theirs: pl.Series) -> PairedTest:
    """Compare two models prompt by prompt.

    A difference counts when it is larger than two standard errors of its mean over prompts. That
    describes these models: those of another seed may differ otherwise.

    Args:
        ours: One model's scores, larger is better.
        theirs: The other's, on the same prompts in the same order.

    Example:
        >>> test = paired_test(pl.Series([2.0, 4.0]), pl.Series([1.0, 2.0]))
        >>> test.verdict, test.difference
        ('wins', SampleMean(mean=1.5, se=0.5))
    """
    return PairedTest(mean_and_error(ours - theirs))


def compare_corners(
    weights: Mapping[str, Sequence[float] | None],
    answers: Mapping[str, pl.DataFrame],
    objectives: Sequence[str],
) -> tuple[Finding, ...]:
    """Whether each corner's model is the best in its own objective, prompt by prompt.

    Args:
        weights: The weights of each model to compare; None: the base, which must be among them.
        answers: Each model's answers to the same prompts in the same order.
        objectives: Their names, in order.

    Returns:
        One finding per objective that has a corner: a preference that gives it all weight.
    """
    (base,) = [model for model, own in weights.items() if own is None]
    corners = {
        own.index(max(own)): model
        for model, own in weights.items()
        if own is not None and max(own) > 1 - 1e-6
    }
    return tuple(
        _finding(objectives[at], corners[at], list(corners.values()), base, weights, answers)
        for at in sorted(corners)
    )


def _finding(
    objective: str,
    corner: str,
    corners: Sequence[str],
    base: str,
    weights: Mapping[str, Sequence[float] | None],
    answers: Mapping[str, pl.DataFrame],
) -> Finding:
    """How the model of an objective's corner compares with those of the others and the base."""

    def against(other: str) -> Rival:
        test = paired_test(answers[corner][objective], answers[other][objective])
        mean, se = test.difference.mean, test.difference.se
        return Rival(text=_text(weights[other]), verdict=test.verdict, mean=mean, se=se)

    rivals = tuple(against(other) for other in corners if other != corner)
    verdicts = {rival.verdict for rival in rivals}
    ranked: tuple[Verdict, ...] = ("loses", "open", "wins")
    return Finding(
        objective=objective,
        corner=_text(weights[corner]),
        verdict=next((verdict for verdict in ranked if verdict in verdicts), "open"),
        rivals=rivals,
        base=against(base),
    )


def _text(weights: Sequence[float] | None) -> str:
    return BASE if weights is None else format_weights(weights)


def mean_and_error(values: pl.Series) -> SampleMean:
    """Mean and its standard error; a single value has no error.

    Example:
        >>> mean_and_error(pl.Series([1.0, 3.0]))
        SampleMean(mean=2.0, se=1.0)
    """
    array = values.to_numpy()
    error = float(array.std(ddof=1) / sqrt(len(array))) if len(array) > 1 else None
    return SampleMean(float(array.mean()), error)


def sentence(finding: Finding) -> str:
    """One finding as a line of plain text.

    Example:
        >>> base = Rival(text="base", verdict="wins", mean=0.25, se=0.1)
        >>> sentence(
        ...     Finding(objective="help", corner="(1, 0)", verdict="open", rivals=(), base=base)
        ... )
        'help: (1, 0) beats base: +0.250 (se 0.100)'
    """
    parts = []
    for rival in [*finding.rivals, finding.base]:
        error = "unknown" if rival.se is None else f"{rival.se:.3f}"
        parts.append(f"{VERBS[rival.verdict]} {rival.text}: {rival.mean:+.3f} (se {error})")
    return f"{finding.objective}: {finding.corner} {'; '.join(parts)}"
