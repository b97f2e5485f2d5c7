"""One self-contained HTML page about a finished comparison of methods."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import isfinite
from pathlib import Path

import polars as pl
from markupsafe import Markup

from paretohqd.compare.budget import FACTORS
from paretohqd.compare.measures import ComparisonResult, MethodResult
from paretohqd.compare.measuring import measure_record
from paretohqd.compare.records import WORDS, ComparisonRecord, load
from paretohqd.compare.samples import samples
from paretohqd.compare.tables import Row, cost_table
from paretohqd.compare.text import FAMILIES, caveats, failure
from paretohqd.plots.method_costs import cost_charts, curve_chart, trade_charts
from paretohqd.plots.method_points import point_charts
from paretohqd.plots.method_utilities import utility_chart
from paretohqd.plots.methods import MANY, MethodStyle, colours, method_styles
from paretohqd.plots.page import file_of, number, template, write
from paretohqd.plots.theme import Chart, library
from paretohqd.runs import layout
from paretohqd.runs.trusted import refuse_links
from paretohqd.runs.written import shown_config


def write_comparison(folder: Path, out: Path) -> Path:
    """Write one HTML page about a finished comparison; it needs no network and no other file.

    Args:
        folder: With `results.json` and `KEY/answers.parquet` for each policy, KEY its `answers`;
            `config.yaml` is shown if it is there.
        out: The page to write; its folder is made if need be.

    Returns:
        `out`.

    Raises:
        ValueError: A file is missing (the message names it), the folder is a link or holds one, or
            the answers cannot be compared: see `measuring.measure_runs`.
        ImportError: `vl-convert-python` is not installed.
    """
    folder, out = Path(folder), Path(out)
    refuse_links(folder)
    record, answers = load(folder)
    text = None
    if (folder / layout.CONFIG).exists():
        config = file_of(folder, layout.CONFIG, kind="comparison", command="compare")
        text = shown_config(config.read_text("utf-8"))
    made = page(record, answers, name=folder.resolve().name, config=text)
    return write(made, out, folder=folder)


def page(
    record: ComparisonRecord,
    answers: Mapping[str, pl.DataFrame],
    *,
    name: str = "methods",
    config: str | None = None,
) -> str:
    """The page as text.

    Args:
        record: What the comparison left.
        answers: Each policy's held-out answers.
        name: The comparison's name, for the title.
        config: Its settings as text, to be shown.
    """
    result = measure_record(record, answers)
    styles = method_styles(result.methods, result.reference)
    costs = cost_table(result)
    budgets = dict.fromkeys(entry.budget for entry in result.methods)
    rivals = {entry.compared_with for entry in result.methods}
    text: str = template("compare.html").render(
        name=name,
        limits=record.limits,
        caveats=caveats(result),
        result=result,
        preferences=record.preferences,
        validated=len(record.positions.get("validation", ())),
        seeds=sorted({run.seed for run in record.runs}),
        other_rivals=rivals != {result.reference},
        dear=any(entry.dear_at_use for entry in result.methods),
        reconstructed=any(entry.reconstructed for entry in result.methods),
        flattered=any(entry.flattered for entry in result.methods),
        styles=styles,
        legends=_legends(result, styles),
        colours=colours(styles),
        curve=curve_chart([e for e in result.methods if e.budget in FACTORS], styles),
        curve_budgets=[f"{FACTORS[budget]:g}" for budget in budgets if budget in FACTORS],
        budgets=[
            _budget(result, budget, styles, costs, record.budgets.get(budget)) for budget in budgets
        ],
        descriptions=_descriptions(result),
        samples=samples(result, answers, record.seed),
        notes=_notes(result),
        machine=record.machine,
        versions=record.versions,
        config=config,
        library=Markup(library()),  # not text from the run: the charts' own script
    )
    return text


def _legends(
    result: ComparisonResult, styles: Mapping[str, MethodStyle]
) -> list[tuple[str, list[MethodStyle]]]:
    """The legend's parts, with their titles: those of the table with all methods in it."""
    first: dict[str, MethodResult] = {}
    for entry in result.methods:
        first.setdefault(entry.method, entry)
    drawn = [first[name] for name in styles]
    methods, ablations = ([e for e in drawn if e.ablation is which] for which in (False, True))
    parts = _groups(methods, ablations)
    return [(title, [styles[entry.method] for entry in own]) for title, own in parts]


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


@dataclass(frozen=True, kw_only=True)
class BudgetSection:
    """What the page shows of one budget."""

    name: str
    about: str | None
    entries: Sequence[MethodResult]
    groups: Sequence[tuple[str, Sequence[MethodResult]]]
    """The parts of the table, with their titles."""
    points: Sequence[Chart]
    utility: Chart | None
    trades: Sequence[Chart]
    costs: Sequence[Chart]
    parts: Mapping[str, Sequence[Row]]
    """Rows of costs by method, one for each number of preferences."""
    phases: Sequence[str]
    failures: Sequence[str]


def _budget(
    result: ComparisonResult,
    budget: str,
    styles: Mapping[str, MethodStyle],
    costs: pl.DataFrame,
    about: str | None,
) -> BudgetSection:
    entries = [entry for entry in result.methods if entry.budget == budget]
    methods = [entry for entry in entries if not entry.ablation]
    ablations = [entry for entry in entries if entry.ablation]
    points = point_charts(result, methods, styles, "Methods")
    if any(entry.points for entry in ablations):
        rivals = {result.reference, *(entry.compared_with for entry in ablations)}
        beside = [e for e in methods if e.method in rivals or styles[e.method].base]
        points += point_charts(result, [*beside, *ablations], styles, "Ablations")
    own = costs.filter(budget=budget) if len(costs) else costs
    parts: dict[str, list[Row]] = {}
    for row in own.iter_rows(named=True):
        parts.setdefault(row["method"], []).append(row)
    return BudgetSection(
        name=budget,
        about=about,
        entries=entries,
        groups=_groups(methods, ablations),
        points=points,
        utility=utility_chart(result, entries, styles),
        trades=trade_charts(entries, styles),
        costs=cost_charts(own, styles),
        parts=parts,
        phases=list(dict.fromkeys(phase for entry in entries for phase in entry.seconds)),
        failures=[failure(entry) for entry in entries if entry.failed],
    )


def _groups(
    methods: Sequence[MethodResult], ablations: Sequence[MethodResult]
) -> list[tuple[str, list[MethodResult]]]:
    """Parts of a table, with their titles: ablations, and of many methods each family."""
    parts = {"Methods": list(methods)}
    if len(methods) > MANY:
        parts = {
            title: [entry for entry in methods if entry.family == family]
            for family, title in FAMILIES.items()
        }
    return [(title, own) for title, own in {**parts, "Ablations": list(ablations)}.items() if own]


@dataclass(frozen=True, kw_only=True)
class Description:
    """What a kind of method says of itself, and the names of the methods of that kind."""

    names: Sequence[str]
    words: Mapping[str, str | None]


def _descriptions(result: ComparisonResult) -> list[Description]:
    """What each kind of method says of itself, once."""
    names: dict[tuple[str | None, ...], dict[str, None]] = {}
    for entry in result.methods:
        texts = tuple(getattr(entry, word) for word in WORDS)
        if any(texts):
            names.setdefault(texts, {})[entry.method] = None
    return [
        Description(names=list(own), words=dict(zip(WORDS, texts, strict=True)))
        for texts, own in names.items()
    ]


@dataclass(frozen=True, kw_only=True)
class Note:
    """What a method wrote down in some of its runs."""

    method: str
    what: str
    text: str
    where: str
    """The budgets and seeds of these runs."""


def _notes(result: ComparisonResult) -> list[Note]:
    """What methods wrote down; runs of a method that wrote the same share a line."""
    seeds: dict[tuple[str, str, str], dict[str, list[str]]] = {}
    for run in (measured.run for measured in result.runs):
        for what, value in run.notes.items():
            of_budget = seeds.setdefault((run.method, what, plain(value)), {})
            of_budget.setdefault(run.budget, []).append(str(run.seed))
    return [
        Note(
            method=method,
            what=what,
            text=text,
            where="; ".join(f"{budget}: seed {', '.join(own)}" for budget, own in where.items()),
        )
        for (method, what, text), where in seeds.items()
    ]
