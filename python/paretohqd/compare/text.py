"""A comparison as plain text, for a terminal or a log, and the sentences that its page repeats."""

from __future__ import annotations

from collections.abc import Sequence

from paretohqd.compare.crossed import MARGIN
from paretohqd.compare.measures import ComparisonResult, Difference, MethodResult
from paretohqd.compare.prices import GENERATED, TRAINED
from paretohqd.plots.progress import duration, table

CHOSEN = {
    "test": "for each preference the one counts that is best on these very prompts, so utility is "
    "too high (†), and nothing is tested.",
    "validation": "for each preference the one counts that is best on the validation prompts.",
}
"""What it means where a method's policies were chosen."""
FAMILIES = {
    "sft": "Fine-tuning on rows",
    "pairs": "Preference pairs",
    "rl": "Reinforcement learning",
    "in-context": "Scores in the context",
    "joint": "Several adapters together",
    "conditioned": "Coefficients from a network",
    "values": "Value models",
    None: "The base, and others",
}
"""Titles of families, in the order of the page."""
RECONSTRUCTED = (
    "* Reconstructed without its authors' code, from an abstract or notes on its paper: what is "
    "exact and what is ours stands under The methods, on the page."
)


def render(result: ComparisonResult, limits: Sequence[str] = ()) -> str:
    """The limits, a table per budget with its verdicts, what failed and how it was measured.

    Args:
        result: What was measured.
        limits: Sentences on what the comparison cannot tell.
    """
    lines = [f"! {sentence}" for sentence in limits]
    for budget in dict.fromkeys(entry.budget for entry in result.methods):
        entries = [entry for entry in result.methods if entry.budget == budget]
        lines += ["", f"budget: {budget}", _table(entries, result.reference), ""]
        lines += [sentence(entry) for entry in entries if entry.against.reference]
        lines += [failure(entry) for entry in entries if entry.failed]
    return "\n".join([*lines, "", *caveats(result)]).strip()


def sentence(entry: MethodResult) -> str:
    """How one method differs from the reference, as a line.

    Example:
        >>> from paretohqd.compare.measures import Against
        >>> difference = Difference(
        ...     name="ParetoHqD", budget="own", mean=0.01, seeds=(0, 1),
        ...     verdict="open: from -0.020 to +0.040")
        >>> sft = MethodResult(
        ...     budget="own", method="SFT", kind="sft", against=Against(reference=difference))
        >>> sentence(sft)
        'SFT against ParetoHqD: open: from -0.020 to +0.040 (utility +0.010)'
    """
    difference, adjusted = entry.against.reference, entry.against.echo_adjusted
    assert difference is not None
    text = f"{entry.method} against {difference.name}: {difference.verdict} "
    text += f"(utility {_mean(difference)}"
    if difference.low is not None and not difference.verdict.startswith("open"):
        text += f", 95 % interval {difference.low:+.3f} to {difference.high:+.3f}"
    return text + (f"; echo-adjusted {_mean(adjusted)})" if adjusted else ")")


def failure(entry: MethodResult) -> str:
    """Which seeds of a method failed and why.

    Example:
        >>> failed = ((0, "no pairs"), (2, "no pairs"), (1, "NaN loss"))
        >>> failure(MethodResult(budget="own", method="MODPO", kind="modpo", failed=failed))
        'MODPO failed: seed 0, 2: no pairs; seed 1: NaN loss'
    """
    reasons: dict[str, list[str]] = {}
    for seed, reason in entry.failed:
        reasons.setdefault(reason, []).append(str(seed))
    text = "; ".join(f"seed {', '.join(seeds)}: {reason}" for reason, seeds in reasons.items())
    return f"{entry.method} failed: {text}"


def caveats(result: ComparisonResult) -> list[str]:
    """How the numbers were made and how to read them."""
    methods = result.methods
    if not any(entry.seeds for entry in methods):
        return ["Every run failed: there is nothing to compare."]
    bounds = ", ".join(
        f"{name} from {low:.3g} to {high:.3g}" for name, (low, high) in result.bounds.items()
    )
    origin = ", ".join("0" for _ in result.objectives)
    lines = [
        f"Scale: {bounds} is 0 to 1, the 10 % and 90 % quantiles of the offline answers' scores "
        "(their ends where these are equal); no method moves it.",
        "Utility: the mean over the preferences w of w . z, z being the scaled mean rewards of the "
        "policy asked for w, not clipped; a method of one policy serves all preferences with it.",
    ]
    for where, says in CHOSEN.items():
        if chosen := dict.fromkeys(entry.method for entry in methods if entry.chosen_on == where):
            lines.append(f"{', '.join(chosen)}: several policies that take no weights; {says}")
    if any(entry.missteering is not None for entry in methods):
        lines.append(
            "Mis-steering: utility with, for each preference, that of a method's policies that is "
            "best on the validation prompts, less its utility. Test prompts alone are measured."
        )
    lines += [
        "U_T: the mean over w of 1 - max w_m (1 - z_m), what the objective that falls short most "
        "leaves: utility alone favours methods that push what weighs most.",
        f"Hypervolume: of mean rewards on that scale, reference point ({origin}); what lies below "
        "covers nothing. Several points cover more than one whatever they are (beside each method "
        "stands its best single point), and noise adds to it: a description, without a verdict.",
        "Echo-adjusted: an echoed answer counts with its own score or the base's on the same "
        "prompt, whichever is lower; where the base echoes too, with the scale's 0 at most.",
    ]
    preferences = max((entry.policies for entry in methods if entry.steered), default=0)
    if preferences:
        lines.append(
            "Follows: the slope of z_m on w_m over the policies asked for weights, mean over "
            "objectives; 1 goes from the data's poor end to the good one, 0 ignores the weights."
        )
    if 0 < preferences < 5:
        lines.append(
            f"Rank correlation: of {preferences} preferences it takes few values, and large ones "
            "come by chance: a description."
        )
    if any(entry.against.win_rate for entry in methods):
        lines.append(
            "Wins: of all prompts, preferences and seeds, the share in which the method's w . z "
            "lies above the reference's; the same counts half, so that equal methods have 50 %."
        )
    if any(entry.cost for entry in methods):
        lines.append(
            f"Cost: {1000 * TRAINED:g} ms for each trained token, {1000 * GENERATED:g} ms for each "
            "generated one, and for one read without a gradient a third of a trained one: one "
            "currency, the same on every machine. Scoring and evaluation are not counted."
        )
    if result.prompts < 2:
        return [*lines, "There is one prompt, so there are no intervals and no verdicts."]
    differences = [d for entry in methods if (d := entry.against.reference) is not None]
    tested = sum(difference.corrected is not None for difference in differences)
    if tested:
        lines.append(
            f"Intervals: 95 %, of utility, over {result.prompts} prompts and the seeds that "
            "both sides have, both drawn at random; each stands alone. Verdicts: better or worse "
            f"where p stays below 5 % when Holm corrects it for all {tested} tested differences to "
            f"a reference; else equal within {MARGIN:g} where the 90 % interval lies within, no "
            "worse than that where its lower end does; else open, and the 95 % interval says what "
            "is still possible."
        )
    trained = [entry for entry in methods if entry.kind != "base"]
    alone = any(difference.verdict.startswith("one seed") for difference in differences)
    if alone or any(len(entry.seeds) == 1 for entry in trained):
        lines.append(
            "With one seed there is no interval and no verdict: how far another seed of the same "
            "method would lie is not known."
        )
    if tested and any(run.run.family for run in result.runs):
        lines.append(
            "How far seeds lie apart is told by all methods of a family together, which train "
            "alike (fine-tuning, pairs, reinforcement learning, several adapters together, scores "
            "in the context and the like), under the same budget; an ablation by its own. A method "
            "has an interval only if it has two seeds itself."
        )
    if any(entry.reconstructed for entry in methods):
        lines.append(RECONSTRUCTED)
    if len(trained) < len(methods):
        lines.append("The base is not trained and has no seeds: its runs are one.")
    if any(len(entry.seeds) == 2 for entry in methods):
        lines.append("With two seeds intervals are so wide that they tell little.")
    return lines


def _table(entries: Sequence[MethodResult], reference: str) -> str:
    head = ["method", "seeds", "utility", "95 % interval", "U_T", "hypervolume", "best one"]
    head += ["echo-adj.", f"less {reference}", "verdict", "wins", "less base", "echo", "collapse"]
    head += ["words", "follows"]
    dear = any(entry.dear_at_use for entry in entries)
    head += ["models", *(["passes at use"] if dear else []), "trained", "generated", "cost", "time"]
    rows = [head]
    for entry in entries:
        rival = entry.against.reference
        low, high = _number(entry.low), _number(entry.high)
        row = [
            f"{entry.method}{entry.marks}",
            f"{len(entry.seeds)}",
            _number(entry.utility),
        ]
        row += ["-" if entry.low is None else f"{low} to {high}"]
        row += [_number(entry.utility_tchebycheff)]
        row += [_number(entry.hypervolume), _number(entry.best_single)]
        row += [_number(entry.utility_adjusted)]
        # What is compared with another method has its verdict in a line of its own.
        usual = rival if rival and rival.name == reference else None
        row += [_mean(usual), usual.verdict if usual else "-"]
        wins = entry.against.win_rate if usual else None
        row += [_percent(wins.mean if wins else None), _mean(entry.against.base)]
        row += [_percent(entry.echo), _percent(entry.collapse), _number(entry.words, 0)]
        row += ["-" if entry.following is None else f"{entry.following:+.2f}"]
        row += [_number(entry.models, 0)]
        if dear:
            row += [f"{entry.passes:g}{', sees scorers' if entry.sees_scorers else ''}"]
        row += [_number(entry.trained_tokens, 0), _number(entry.generated_tokens, 0)]
        row += ["-" if entry.cost is None else duration(entry.cost)]
        row += ["-" if entry.seconds_all is None else duration(entry.seconds_all)]
        rows.append(["failed" if c == "-" and not entry.seeds else c for c in row[:3]] + row[3:])
    return table(rows)


def _mean(difference: Difference | None) -> str:
    return "-" if difference is None else f"{difference.mean:+.3f}"


def _number(value: float | None, decimals: int = 3) -> str:
    return "-" if value is None else f"{value:,.{decimals}f}"


def _percent(share: float | None) -> str:
    return "-" if share is None else f"{100 * share:.0f} %"
