"""Whether the tuned models do what was asked: is each corner the best in its own objective?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import sqrt
from typing import Any

import polars as pl


def findings(
    models: Sequence[Mapping[str, Any]],
    answers: Mapping[str, pl.DataFrame],
    objectives: Sequence[str],
) -> list[dict[str, Any]]:
    """Whether each corner's model is the best in its own objective, prompt by prompt.

    A difference counts when it is larger than two standard errors of its mean over prompts.

    Args:
        models: the entries of metrics.json to compare, the base model among them.
        answers: each model's answers to the same prompts in the same order.
        objectives: their names, in order.

    Returns:
        One entry per objective that has a corner: `objective`, `corner` (its text), `verdict`
        (`wins`, `loses` or `open`), `rivals` (`text`, `verdict`, `mean`, `se`) and `base` alike.
    """
    corners = {
        model["weights"].index(max(model["weights"])): model
        for model in models
        if model["weights"] is not None and max(model["weights"]) > 1 - 1e-6
    }
    base = next(model for model in models if model["preference"] is None)
    found = []
    for place, own in sorted(corners.items()):
        name = objectives[place]
        score = answers[own["model"]][name]

        def against(other: Mapping[str, Any], score: pl.Series = score, name: str = name) -> Any:
            mean, se = paired(score, answers[other["model"]][name])
            verdict = "open" if not abs(mean) > 2 * se else "wins" if mean > 0 else "loses"
            text = "base" if other is base else label(other["weights"])
            return {"text": text, "verdict": verdict, "mean": mean, "se": se}

        rivals = [against(other) for other in corners.values() if other is not own]
        verdicts = {rival["verdict"] for rival in rivals}
        found.append(
            {
                "objective": name,
                "corner": label(own["weights"]),
                "verdict": next((v for v in ("loses", "open", "wins") if v in verdicts), "open"),
                "rivals": rivals,
                "base": against(base),
            }
        )
    return found


def paired(ours: pl.Series, theirs: pl.Series) -> tuple[float, float]:
    """Mean difference over prompts and its standard error (NaN for fewer than two prompts).

    Example:
        >>> paired(pl.Series([1.0, 3.0]), pl.Series([0.0, 0.0]))
        (2.0, 1.0)
    """
    differences = [a - b for a, b in zip(ours, theirs, strict=True)]
    n = len(differences)
    mean = sum(differences) / n if n else float("nan")
    if n < 2:
        return mean, float("nan")
    return mean, sqrt(sum((d - mean) ** 2 for d in differences) / (n - 1) / n)


def label(weights: Sequence[float]) -> str:
    """Weights as they are written on the page.

    Example:
        >>> label([1 / 3, 2 / 3])
        '(0.333, 0.667)'
    """
    return "(" + ", ".join(f"{weight:.3g}" for weight in weights) + ")"


def sentence(finding: Mapping[str, Any]) -> str:
    """One finding as a line of plain text.

    Example:
        >>> base = {"text": "base", "verdict": "wins", "mean": 0.25, "se": 0.1}
        >>> sentence({"objective": "help", "corner": "(1, 0)", "rivals": [], "base": base})
        'help: (1, 0) beats base: +0.250 (se 0.100)'
    """
    words = {"wins": "beats", "loses": "loses to", "open": "cannot be told from"}
    parts = [
        f"{words[other['verdict']]} {other['text']}: {other['mean']:+.3f} (se {other['se']:.3f})"
        for other in [*finding["rivals"], finding["base"]]
    ]
    return f"{finding['objective']}: {finding['corner']} {'; '.join(parts)}"
