"""The commands on tables: select and layers."""

from __future__ import annotations

import argparse
from collections import Counter
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, get_args

import polars as pl

import paretohqd as pq
from paretohqd.cli import arguments, rows
from paretohqd.cli.terminal import add_command
from paretohqd.frames.streaming import Resources
from paretohqd.selection.choosing import choose_by_rule
from paretohqd.selection.ranks import Rank
from paretohqd.selection.rule import Rule

if TYPE_CHECKING:
    from argparse import _ArgumentGroup as Group

    from paretohqd.cli.terminal import Commands, Parser


def add_commands(commands: Commands) -> None:
    """Add `select` and `layers` to the command line."""
    select = add_command(
        commands,
        "select",
        does="choose a training set for each preference",
        example="paretohqd select scored/ -o chosen.parquet --objectives helpful,harmless -k 100",
    )
    rows.add_arguments(select, required=False)
    what = select.add_argument_group("what is chosen")
    _add_objectives(what)
    what.add_argument(
        "--preferences",
        type=arguments.preferences,
        metavar="N",
        help="how many, or weights such as '1,0;0.5,0.5;0,1', 'kind=0.2,0.8' or "
        "'kind=helpful:1,harmless:4' (default: 11; with more objectives about as many)",
    )
    what.add_argument("-k", type=arguments.positive, default=100, help="rows per preference (100)")
    what.add_argument(
        "--where",
        metavar="CONDITION",
        help="rows that take part, as in SQL: \"harmless >= 5 AND source <> 'web'\"",
    )
    what.add_argument(
        "--epsilon",
        type=arguments.epsilon,
        metavar="NOISE",
        help="differences that are noise: one number, or harmless=0.5,helpful=1",
    )
    what.add_argument(
        "--distinct",
        type=arguments.one_or_more,
        metavar="COLUMN",
        help="no value of this column twice per preference; several: prompt,source",
    )
    what.add_argument(
        "--at-most",
        type=arguments.quotas,
        metavar="COLUMN=N",
        help="at most N rows with the same value of this column per preference; several: "
        "prompt=1,source=20",
    )
    what.add_argument(
        "--exclusive", action="store_true", help="no row for two preferences: they take turns"
    )
    spread = what.add_mutually_exclusive_group()
    spread.add_argument(
        "--diverse", metavar="COLUMN", help="rows far apart by these embeddings, of the best 4 k"
    )
    spread.add_argument(
        "--sample", type=arguments.seed, metavar="SEED", help="rows drawn among the best 4 k"
    )
    what.add_argument(
        "--duplicates",
        choices=("keep", "drop"),
        default="keep",
        help="keep copies of an answer to a prompt, or take only one",
    )
    _add_groups(what)
    _add_stop(select)
    how = select.add_argument_group("how near a row is")
    how.add_argument(
        "--rank",
        choices=get_args(Rank),
        default="ray",
        help="by the distance to the ray among rows of the pool, or among all rows by achievement, "
        "weighted sum, or distance from the ideal point",
    )
    how.add_argument(
        "--bounds",
        type=arguments.bounds,
        default="pool",
        metavar="WHICH",
        help="rows that r_min and r_max are taken from, pool or all; or the points: 0,0:1,10 "
        "(--bounds=-1,0:1,10 where the first number is negative)",
    )
    how.add_argument(
        "--scale", choices=("box", "none"), default="box", help="units of the distance"
    )
    how.add_argument(
        "--directions",
        choices=("paper", "tchebycheff"),
        default="paper",
        help="shortfalls from the ideal as 1 - w, or as 1 / w",
    )
    shown = select.add_argument_group("what is shown")
    shown.add_argument(
        "--prefix", default="", help="what the names of the added columns begin with (nothing)"
    )
    shown.add_argument(
        "--explain", action="store_true", help="say what the pool is made of and how much is shared"
    )
    shown.add_argument(
        "--plot", type=Path, metavar="FILE", help="draw the selection: .png, .svg or .html"
    )
    machine = select.add_argument_group("the machine")
    machine.add_argument(
        "--memory-limit",
        type=arguments.size,
        metavar="SIZE",
        help="what rows may take in memory, such as 1.5GB",
    )
    _add_threads(machine)
    select.set_defaults(work=_select)

    layers = add_command(
        commands,
        "layers",
        does="add each row's Pareto layer",
        example="paretohqd layers scored.csv -o layers.csv --objectives helpful,length:min",
    )
    rows.add_arguments(layers, required=True)
    what = layers.add_argument_group("what is compared")
    _add_objectives(what)
    _add_groups(what)
    _add_stop(layers)
    _add_threads(layers.add_argument_group("the machine"))
    layers.set_defaults(work=_layers)


def _add_objectives(group: Group) -> None:
    group.add_argument(
        "--objectives",
        type=arguments.objectives,
        required=True,
        metavar="NAMES",
        help="score columns, larger is better: helpful,harmless,length:min",
    )


def _add_groups(group: Group) -> None:
    group.add_argument(
        "--by",
        type=arguments.names,
        metavar="COLUMN",
        help="each group of rows with the same value here by itself",
    )
    group.add_argument(
        "--nan",
        choices=("raise", "drop"),
        default="raise",
        help="refuse null and NaN scores, or leave such rows out",
    )


def _add_stop(parser: Parser) -> None:
    group = parser.add_argument_group("how many layers")
    stop = group.add_mutually_exclusive_group()
    stop.add_argument("--upto", type=arguments.positive, metavar="L", help="this many layers")
    stop.add_argument(
        "--at-least",
        type=arguments.positive,
        metavar="ROWS",
        help="the fewest layers with this many rows",
    )


def _add_threads(group: Group) -> None:
    group.add_argument("--threads", type=arguments.positive, help="threads (all)")


def _select(parsed: argparse.Namespace) -> None:
    if parsed.output is None and not (parsed.explain or parsed.plot):
        raise ValueError("name a file to write (-o), or ask to --explain or --plot")
    source = rows.opened(parsed)
    if parsed.plot is not None:
        from paretohqd.plots.selection import check_picture

        check_picture(parsed.plot)
    rule = Rule(
        k=parsed.k,
        upto=parsed.upto,
        at_least=parsed.at_least,
        rank=parsed.rank,
        bounds=parsed.bounds,
        scale=parsed.scale,
        directions=parsed.directions,
        where=parsed.where,
        epsilon=parsed.epsilon,
        distinct=parsed.distinct,
        at_most=parsed.at_most,
        exclusive=parsed.exclusive,
        diverse=parsed.diverse,
        sample=parsed.sample,
        duplicates=parsed.duplicates,
        by=parsed.by,
        nan=parsed.nan,
        prefix=parsed.prefix,
    )
    with rows.counted(source) as progress:
        resources = Resources(
            memory_limit=parsed.memory_limit, progress=progress, n_threads=parsed.threads
        )
        chosen = choose_by_rule(
            rule, source, parsed.objectives, parsed.preferences, resources=resources
        )
    summary = chosen.summary()
    if parsed.output is not None:
        # Files keep the name that the rows of the input have always had in them.
        number = {"rows": summary.pop("n_rows")}
        options = {**asdict(rule), "where": parsed.where}
        facts = {"input": rows.named(source, parsed.output), "options": options}
        manifest = {**facts, **number, **summary}
        rows.write(chosen.rows, parsed.output, manifest)
    if parsed.plot is not None:
        from paretohqd.plots.selection import save

        save(chosen.plot(), parsed.plot)
    sizes = summary["layers"]
    different = chosen.rows.select(chosen.column("row")).n_unique()
    where = " within groups" if parsed.by else ""
    rows.say(
        parsed,
        f"{len(chosen)} preferences x {parsed.k} rows of {chosen.n_rows}{where}, from a pool of "
        f"{sum(sizes)} rows in {len(sizes)} layers; {different} different rows",
    )
    rows.say(parsed, chosen.explain() if parsed.explain else "\n".join(chosen.remarks()))


def _layers(parsed: argparse.Namespace) -> None:
    source = rows.opened(parsed)
    with rows.counted(source) as progress:
        numbered = pq.layers(
            source,
            parsed.objectives,
            by=parsed.by,
            upto=parsed.upto,
            at_least=parsed.at_least,
            nan=parsed.nan,
            progress=progress,
            n_threads=parsed.threads,
        )
        sizes: Counter[int | None] = Counter()

        def count(batch: pl.DataFrame) -> pl.DataFrame:
            sizes.update(dict(batch["layer"].value_counts().iter_rows()))
            return batch

        manifest = {
            "input": rows.named(source, parsed.output),
            "objectives": parsed.objectives,
            "by": parsed.by,
            "upto": parsed.upto,
            "at_least": parsed.at_least,
            "nan": parsed.nan,
        }
        rows.write(numbered.lazy().map_batches(count, streamable=True), parsed.output, manifest)
    total, dropped = sizes.total(), sizes.pop(None, 0)
    inside = sizes.total() - sizes.pop(-1, 0)
    rows.say(
        parsed,
        f"{sizes[0]} of {total} rows on the front; {inside} in {len(+sizes)} layers",
    )
    if dropped:
        rows.say(parsed, f"dropped    {dropped:,} rows have no layer: null or NaN scores")
