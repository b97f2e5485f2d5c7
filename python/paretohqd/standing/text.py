"""A comparison as plain text, for a terminal or a log, and the sentences that its page repeats."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from paretohqd.progress import duration


def render(standing: Mapping[str, Any], limits: Sequence[str] = ()) -> str:
    """The limits, a table per budget with its verdicts, what failed and how it was measured.

    Args:
        standing: from `standing.stand`.
        limits: sentences on what the comparison cannot tell.
    """
    lines = [f"! {sentence}" for sentence in limits]
    for budget in dict.fromkeys(entry["budget"] for entry in standing["methods"]):
        entries = [entry for entry in standing["methods"] if entry["budget"] == budget]
        lines += ["", f"budget: {budget}", *_table(entries, standing["reference"])]
        lines += [""] + [sentence(entry) for entry in entries if entry["against"]["reference"]]
        lines += [failure(entry) for entry in entries if entry["failed"]]
    return "\n".join([*lines, "", *caveats(standing)]).strip()


def sentence(entry: Mapping[str, Any]) -> str:
    """The verdict on one method against the reference as a line.

    Example:
        >>> found = {"name": "ParetoHqD", "mean": 0.01, "low": -0.02, "high": 0.04,
        ...          "verdict": "no difference seen"}
        >>> sentence({"method": "SFT", "against": {"reference": found, "echo_adjusted": None}})
        'SFT against ParetoHqD: no difference seen (+0.010, 95 % interval -0.020 to +0.040)'
    """
    found, adjusted = entry["against"]["reference"], entry["against"]["echo_adjusted"]
    text = f"{entry['method']} against {found['name']}: {found['verdict']} ({_difference(found)}"
    if found["low"] is not None:
        text += f", 95 % interval {found['low']:+.3f} to {found['high']:+.3f}"
    text += ")"
    if adjusted and adjusted["verdict"] != found["verdict"]:
        text += (
            f"; with echoes at the base's score: {adjusted['verdict']} ({_difference(adjusted)})"
        )
    return text


def failure(entry: Mapping[str, Any]) -> str:
    """Which seeds of a method failed and why.

    >>> failure({"method": "MODPO", "failed": [(0, "no pairs"), (2, "no pairs"), (1, "NaN loss")]})
    'MODPO failed: seed 0, 2: no pairs; seed 1: NaN loss'
    """
    reasons: dict[str, list[str]] = {}
    for seed, reason in entry["failed"]:
        reasons.setdefault(str(reason), []).append(str(seed))
    told = "; ".join(f"seed {', '.join(seeds)}: {reason}" for reason, seeds in reasons.items())
    return f"{entry['method']} failed: {told}"


def caveats(standing: Mapping[str, Any]) -> list[str]:
    """How the numbers were made and how to read them."""
    if standing["bounds"] is None:
        return ["Every run failed: there is nothing to compare."]
    bounds = ", ".join(
        f"{name} from {_end(ends['low'])} to {_end(ends['high'])}"
        for name, ends in standing["bounds"].items()
    )
    origin = ", ".join("0" for _ in standing["objectives"])
    raw = ", ".join(f"{value:.3g}" for value in standing["raw_reference"])
    lines = [
        f"Hypervolume: of mean rewards, {bounds} scaled to 0 to 1 (the range of all runs' points "
        f"but ablations'), reference point ({origin}): a point at the lower end of an objective "
        f"covers nothing. Raw: unscaled, reference point ({raw}).",
        "Echo-adjusted: each echoed answer counts with the base's scores on the same prompt.",
        "Several points always cover more than one: beside each method stands its best single "
        "point. The hypervolume of noisy means lies too high, more so with more points; intervals "
        "and verdicts allow for it.",
    ]
    asked = max((e["policies"] for e in standing["methods"] if e["steered"]), default=0)
    if 0 < asked < 5:
        lines.append(
            f"Follows weights: of {asked} preferences a rank correlation takes few values, and "
            "large ones come by chance."
        )
    if standing["prompts"] < 2:
        return [*lines, "There is one prompt, so there are no intervals and no verdicts."]
    compared = sum(bool(entry["against"]["reference"]) for entry in standing["methods"])
    lines.append(
        f"Intervals: 95 %, paired bootstrap over {standing['prompts']} prompts "
        f"({standing['replicates']:,} replicates), seeds drawn too; a difference is over the "
        "seeds that both methods have, if any, and paired by seed. Where the interval of a "
        "difference contains 0 no difference was seen; if none existed, about "
        f"{compared / 20:.1f} of these {compared} comparisons would still show one."
    )
    counts = {len(entry["seeds"]) for entry in standing["methods"] if entry["seeds"]}
    if 1 in counts:
        lines.append("An interval of a method with one seed knows nothing of other seeds.")
    if counts & {2, 3, 4}:
        lines.append("A few seeds tell little of all: such intervals are rather too short.")
    return lines


def _end(found: Mapping[str, Any]) -> str:
    return f"{found['value']:.3g} ({found['method']})"


def _table(entries: Sequence[Mapping[str, Any]], reference: str) -> list[str]:
    head = ["method", "seeds", "hypervolume", "95 % interval", "echo-adj.", "best one"]
    head += [f"less {reference}", "verdict", "vs base", "echo", "collapse", "words", "w~r"]
    head += ["models", "trained", "generated", "time"]
    rows = [head]
    for entry in entries:
        base, rival = entry["against"]["base"], entry["against"]["reference"]
        low, high = _number(entry["low"]), _number(entry["high"])
        row = [entry["method"], f"{len(entry['seeds'])}", _number(entry["hypervolume"])]
        row += ["-" if entry["low"] is None else f"{low} to {high}"]
        row += [_number(entry["echo_adjusted"]), _number(entry["best_single"])]
        # What is compared with another method has its verdict in a line of its own.
        usual = rival if rival and rival["name"] == reference else None
        row += [_difference(usual), usual["verdict"] if usual else "-"]
        row += [base["verdict"] if base else "-", _percent(entry["echo"])]
        row += [_percent(entry["collapse"]), _number(entry["words"], 0)]
        row += [_number(entry["rank_mean"], 2), _number(entry["models"], 0)]
        row += [_number(entry["trained_tokens"], 0), _number(entry["generated_tokens"], 0)]
        row += ["-" if entry["seconds_all"] is None else duration(entry["seconds_all"])]
        rows.append(["failed" if c == "-" and not entry["seeds"] else c for c in row[:3]] + row[3:])
    widths = [max(len(row[i]) for row in rows) for i in range(len(head))]
    lines = ["  ".join(c.ljust(w) for c, w in zip(r, widths, strict=True)).rstrip() for r in rows]
    lines.insert(1, "  ".join("-" * width for width in widths))
    return lines


def _difference(found: Mapping[str, Any] | None) -> str:
    return "-" if found is None else f"{found['mean']:+.3f}"


def _number(value: float | None, decimals: int = 3) -> str:
    return "-" if value is None else f"{value:,.{decimals}f}"


def _percent(share: float | None) -> str:
    return "-" if share is None else f"{100 * share:.0f} %"
