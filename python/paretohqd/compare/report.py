"""One self-contained HTML page about a finished comparison of methods."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from math import isfinite
from pathlib import Path
from typing import Any

import polars as pl
from markupsafe import Markup

from paretohqd.compare.over_seeds import DESCRIBED
from paretohqd.compare.results import measure_runs
from paretohqd.compare.tables import cost_table
from paretohqd.compare.text import caveats, failure
from paretohqd.plots.costs import cost_charts, trade_charts
from paretohqd.plots.methods import MethodStyle, colours, front_charts, looks, utility_chart
from paretohqd.plots.page import answer_card, file_of, number, sample_prompts, template, write
from paretohqd.plots.theme import library
from paretohqd.selection.preferences import format_weights

SAMPLE_PROMPTS = 4
SAMPLE_POLICIES = 3


def write_comparison(folder: Path, out: Path) -> Path:
    """Write one HTML page about a finished comparison; it needs no network and no other file.

    Args:
        folder: with `results.json` and `KEY/answers.parquet` for each policy, KEY its `answers`;
            `config.yaml` is shown if it is there.
        out: the page to write; its folder is made if need be.

    Returns:
        `out`.

    Raises:
        ValueError: a file is missing (the message names it), or the answers cannot be compared: see
            `standing.stand`.
        ImportError: `vl-convert-python` is not installed.
    """
    folder, out = Path(folder), Path(out)
    results, answers = load(folder)
    config = folder / "config.yaml"
    given = {"config": config.read_text("utf-8")} if config.is_file() else {}
    return write(page({"name": folder.resolve().name, **given, **results}, answers), out)


def load(folder: Path) -> tuple[dict[str, Any], dict[str, pl.DataFrame]]:
    """What a comparison left: its results, and each policy's held-out answers.

    Raises:
        ValueError: a file is missing, or the comparison was finished by a version that kept no
            scale.
    """
    results = json.loads(_file(folder, "results.json").read_text("utf-8"))
    if "bounds" not in results:
        raise ValueError(
            f"{folder / 'results.json'} has no scale of the rewards, which older versions took "
            "from the methods themselves: run `paretohqd compare` again; it keeps what is done"
        )
    keys = {policy["answers"] for run in results["runs"] for policy in run.get("policies") or []}
    answers = {k: pl.read_parquet(_file(folder, f"{k}/answers.parquet")) for k in sorted(keys)}
    return results, answers


def page(results: Mapping[str, Any], answers: Mapping[str, pl.DataFrame]) -> str:
    """The page as text.

    Args:
        results: `objectives`, `runs`, `preferences`, `bounds` and `reference` as `standing.stand`
            wants them, and what else is known: `seed`, `name`, `limits` (sentences), `budgets`
            (what each means), `machine`, `versions`, `config`.
        answers: each policy's held-out answers.
    """
    reference = results["reference"]
    standing = measure_runs(
        results["runs"],
        answers,
        objectives=results["objectives"],
        preferences=results["preferences"],
        bounds=results["bounds"],
        reference=reference,
        seed=results.get("seed", 0),
    )
    known = looks(standing["methods"], reference)
    costs = cost_table(standing)
    budgets = dict.fromkeys(entry["budget"] for entry in standing["methods"])
    text: str = template("compare.html").render(
        name=results.get("name", "methods"),
        limits=list(results.get("limits") or []),
        caveats=caveats(standing),
        standing=standing,
        objectives=standing["objectives"],
        preferences=results["preferences"],
        seeds=sorted({run["seed"] for run in standing["runs"]}),
        reference=reference,
        other_rivals={entry["compared_with"] for entry in standing["methods"]} != {reference},
        looks=known,
        colours=colours(known),
        budgets=[
            _budget(standing, budget, known, costs, (results.get("budgets") or {}).get(budget))
            for budget in budgets
        ],
        methods=_methods(standing),
        samples=_samples(standing, answers, results.get("seed", 0)),
        notes=_notes(standing),
        machine=results.get("machine"),
        versions=results.get("versions") or {},
        config=results.get("config"),
        library=Markup(library()),  # not text from the run: the charts' own script
    )
    return text


def plain(value: object) -> str:
    """A note of a method as a line of text, whatever it is made of.

    Example:
        >>> plain({"relevance": {"mean": 0.0131, "se": 0.022}, "rows": 480, "kept": [1, 2]})
        'relevance: (mean: 0.013, se: 0.022), rows: 480, kept: 1, 2'
        >>> plain([{"label": "corner 1", "rows": 80}, {"label": "corner 2", "rows": 80}])
        'corner 1 (rows: 80); corner 2 (rows: 80)'
    """
    if isinstance(value, Mapping):
        parts = []
        for name, part in value.items():
            inner = plain(part)
            parts.append(f"{name}: ({inner})" if isinstance(part, Mapping) else f"{name}: {inner}")
        return ", ".join(parts)
    if isinstance(value, list | tuple):
        several = any(isinstance(part, Mapping) for part in value)
        return ("; " if several else ", ").join(map(_labelled, value))
    if isinstance(value, float) and isfinite(value) and not value.is_integer():
        return number(value) if abs(value) >= 0.001 else f"{value:.2g}"
    return f"{value:g}" if isinstance(value, float) else str(value)


def _labelled(value: object) -> str:
    """One of several notes; a mapping's label stands before the rest of it."""
    if not isinstance(value, Mapping):
        return plain(value)
    rest = plain({name: part for name, part in value.items() if name != "label"})
    return f"{value['label']} ({rest})" if "label" in value else f"({rest})"


def _budget(
    standing: Mapping[str, Any],
    budget: str,
    known: Mapping[str, MethodStyle],
    costs: pl.DataFrame,
    about: str | None,
) -> dict[str, Any]:
    """What the page shows of one budget."""
    entries = [entry for entry in standing["methods"] if entry["budget"] == budget]
    plain_ones = [entry for entry in entries if not entry["ablation"]]
    ablations = [entry for entry in entries if entry["ablation"]]
    charts = front_charts(standing, plain_ones, known, "Methods")
    if any(entry["points"] for entry in ablations):
        rivals = {standing["reference"], *(e["compared_with"] for e in ablations)}
        beside = [e for e in plain_ones if e["method"] in rivals or known[e["method"]].base]
        charts += front_charts(standing, [*beside, *ablations], known, "Ablations")
    own = costs.filter(budget=budget) if len(costs) else costs
    return {
        "name": budget,
        "about": about,
        "entries": entries,
        "groups": [("Methods", plain_ones)] + ([("Ablations", ablations)] if ablations else []),
        "fronts": charts,
        "utility": utility_chart(standing, entries, known),
        "trades": trade_charts(entries, known),
        "costs": cost_charts(own, known),
        "parts": _parts(own),
        "phases": list(dict.fromkeys(phase for entry in entries for phase in entry["seconds"])),
        "failures": [failure(entry) for entry in entries if entry["failed"]],
    }


def _parts(costs: pl.DataFrame) -> dict[str, list[dict[str, Any]]]:
    """Costs of each method, one for each number of preferences."""
    found: dict[str, list[dict[str, Any]]] = {}
    for row in costs.iter_rows(named=True):
        found.setdefault(row["method"], []).append(row)
    return found


def _methods(standing: Mapping[str, Any]) -> list[dict[str, Any]]:
    """What is said of each kind of method, once, and which ones are of it."""
    found: dict[tuple[str | None, ...], dict[str, None]] = {}
    for entry in standing["methods"]:
        told = tuple(entry[name] for name in DESCRIBED)
        if any(told):
            found.setdefault(told, {})[entry["method"]] = None
    return [
        {"names": list(names), "told": dict(zip(DESCRIBED, told, strict=True))}
        for told, names in found.items()
    ]


def _notes(standing: Mapping[str, Any]) -> list[dict[str, Any]]:
    """What methods wrote down; runs of a method that wrote the same share a line."""
    found: dict[tuple[str, str, str], dict[str, list[str]]] = {}
    for run in standing["runs"]:
        for what, value in (run["notes"] or {}).items():
            where = found.setdefault((run["method"], what, plain(value)), {})
            where.setdefault(run["budget"], []).append(str(run["seed"]))
    return [
        {
            "method": method,
            "what": what,
            "text": text,
            "where": "; ".join(f"{budget}: seed {', '.join(s)}" for budget, s in where.items()),
        }
        for (method, what, text), where in found.items()
    ]


def _samples(
    standing: Mapping[str, Any], answers: Mapping[str, pl.DataFrame], seed: int
) -> list[dict[str, Any]]:
    """A few held-out prompts, drawn with the seed, and what each method answered to them."""
    shown = []
    for entry in standing["methods"]:
        runs = [standing["runs"][at] for at in entry["places"]]
        first = next((run for run in runs if run["status"] == "ok"), None)
        if first is not None:
            shown.append((entry, first["seed"], _some(first["policies"])))
    samples = []
    for row in sample_prompts(standing["prompts"], SAMPLE_PROMPTS, seed):
        prompt, told = "", []
        for entry, first_seed, policies in shown:
            cards = []
            for at, policy in enumerate(policies):
                reply = answers[policy["answers"]].row(row, named=True)
                prompt = reply["prompt"]
                cards.append(
                    {
                        "title": _card(policy, at, len(policies)),
                        **answer_card(reply, standing["objectives"]),
                    }
                )
            head = {"method": entry["method"], "budget": entry["budget"], "seed": first_seed}
            told.append({**head, "cards": cards})
        samples.append({"prompt": prompt, "methods": told})
    return samples


def _card(policy: Mapping[str, Any], number: int, count: int) -> str:
    if policy["weights"] is not None:
        return format_weights(policy["weights"])
    return "one answer for all" if count == 1 else f"point {number + 1} of {count}"


def _some(policies: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """The first, the middle and the last of many."""
    if len(policies) <= SAMPLE_POLICIES:
        return list(policies)
    return [policies[0], policies[len(policies) // 2], policies[-1]]


def _file(folder: Path, name: str) -> Path:
    return file_of(folder, name, kind="comparison", command="compare")
