"""Whether the tuned models do what was asked: is each corner the best in its own objective?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import sqrt
from typing import Any

import polars as pl

from paretohqd.selection.preferences import format_weights


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
            difference = mean_and_error(score - answers[other["model"]][name])
            mean, se = difference["mean"], difference["se"]
            told = mean is not None and se is not None and abs(mean) > 2 * se
            verdict = "open" if not told or mean is None else "wins" if mean > 0 else "loses"
            text = "base" if other is base else format_weights(other["weights"])
            return {"text": text, "verdict": verdict, **difference}

        rivals = [against(other) for other in corners.values() if other is not own]
        verdicts = {rival["verdict"] for rival in rivals}
        found.append(
            {
                "objective": name,
                "corner": format_weights(own["weights"]),
                "verdict": next((v for v in ("loses", "open", "wins") if v in verdicts), "open"),
                "rivals": rivals,
                "base": against(base),
            }
        )
    return found


def mean_and_error(values: pl.Series) -> dict[str, float | None]:
    """Mean and its standard error; one value tells no error.

    Example:
        >>> mean_and_error(pl.Series([1.0, 3.0]))
        {'mean': 2.0, 'se': 1.0}
    """
    array = values.to_numpy()
    error = float(array.std(ddof=1) / sqrt(len(array))) if len(array) > 1 else None
    return {"mean": float(array.mean()), "se": error}


def sentence(finding: Mapping[str, Any]) -> str:
    """One finding as a line of plain text.

    Example:
        >>> base = {"text": "base", "verdict": "wins", "mean": 0.25, "se": 0.1}
        >>> sentence({"objective": "help", "corner": "(1, 0)", "rivals": [], "base": base})
        'help: (1, 0) beats base: +0.250 (se 0.100)'
    """
    words = {"wins": "beats", "loses": "loses to", "open": "cannot be told from"}
    parts = []
    for other in [*finding["rivals"], finding["base"]]:
        error = "unknown" if other["se"] is None else f"{other['se']:.3f}"
        verdict = words[other["verdict"]]
        parts.append(f"{verdict} {other['text']}: {other['mean']:+.3f} (se {error})")
    return f"{finding['objective']}: {finding['corner']} {'; '.join(parts)}"
