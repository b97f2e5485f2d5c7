"""Why a row was chosen or not: what is at hand of a selection, put together for one row."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import polars as pl
from numpy.typing import NDArray

from paretohqd.frames.condition import Condition
from paretohqd.frames.keys import equal_ids
from paretohqd.frames.objectives import column
from paretohqd.frames.sources import Source
from paretohqd.selection.candidates import order_of
from paretohqd.selection.pool import Pool, Rows
from paretohqd.selection.request import Request
from paretohqd.selection.rule import Rule
from paretohqd.selection.seen import seen_again
from paretohqd.selection.standing import Asked, Standing, among_all, comes_first, in_group, in_pool
from paretohqd.selection.why import Why

if TYPE_CHECKING:
    from paretohqd.selection.result import Selection

Passed = list[tuple[str | None, int | None]]
"""For each preference, why it passed a row over, and the row that it took instead."""


def why_of(selection: Selection, row: object) -> Why:
    """What `Selection.why` says.

    Raises:
        ValueError: As `Selection.why`.
    """
    number = _row_number(row, selection.n_rows)
    if selection.rule is None:
        raise ValueError(
            "why: by what rule the rows were chosen is not known of a selection that was put "
            "together by hand: make it with paretohqd.choose"
        )
    request = _request(selection, selection.rule)
    members = _members(selection, number)
    chosen = selection.rows.select(
        selection.column(name).alias(name) for name in ("preference", "row", "distance")
    )
    if members is not None:
        chosen = chosen.filter(pl.Series(np.isin(chosen["row"].to_numpy(), members)))
    each = [chosen.filter(preference=preference) for preference in range(len(selection))]
    asked = Asked(
        row=number,
        request=request,
        pool=_pool(selection, request),
        taken=[own["row"].to_numpy().astype(np.int64) for own in each],
    )
    standing = _standing(selection, asked, members)
    if standing.left_out == "dropped" and _is_excluded(selection, number):
        standing = replace(standing, left_out="excluded")
    names, scores = request.scores.names, standing.scores
    signs = np.where(request.scores.larger, 1.0, -1.0)
    return Why(
        row=number,
        scores=None if scores is None else dict(zip(names, (signs * scores).tolist(), strict=True)),
        objectives=dict(selection.objectives),
        left_out=standing.left_out,
        copy_of=_copy_of(selection, asked, standing, members),
        layer=standing.layer,
        layers=standing.layers,
        dominated_by=standing.dominated_by,
        complete=standing.complete,
        rank=selection.rank,
        ranked=standing.ranked,
        taken=max(map(len, each)),
        taken_by=tuple(map(len, each)),
        quotas=selection.rule.quotas,
        by=selection.by,
        group=members,
        table=_table(
            selection,
            asked,
            standing,
            last=[own["distance"].to_list()[-1] if len(own) else None for own in each],
            passed=_passed_over(selection, asked, standing),
        ),
    )


def _is_excluded(selection: Selection, row: int) -> bool:
    """Whether a row does not meet the condition, for which it has no scores here."""
    if selection.rule is None or not isinstance(selection.rule.where, Condition):
        return False
    assert selection.beside is not None, "the scores are at hand"
    one = Source(selection.beside).collect(selection.beside.slice(row, 1))
    return not len(selection.rule.where.met(one))


def _row_number(row: object, rows: int) -> int:
    """A number of a row, as Python's or NumPy's whole number."""
    try:
        number = operator.index(row)  # type: ignore[arg-type]
    except TypeError:
        number = -1
    if isinstance(row, bool | np.bool_) or not 0 <= number < rows:
        raise ValueError(f"row: expected a whole number from 0 to {rows - 1}, got {row!r}")
    return number


def _request(selection: Selection, rule: Rule) -> Request:
    """What was asked for; without groups, with the reference points that it came to."""
    names = list(selection.objectives)
    # Other columns are not at hand as columns of a frame; they play no part in an order.
    plain = replace(rule.plain, by=None, duplicates="keep", where=None)
    scores = Source(selection.pool.select(map(column, names)))
    request = Request.of(scores, selection.objectives, selection.preferences, plain)
    request = replace(request, rule=rule, keys=selection.by, copies=selection.copy_columns)
    if selection.by is not None:
        return request
    signs = np.where(request.scores.larger, 1.0, -1.0)
    return replace(request, box=(signs * selection.r_min, signs * selection.r_max))


def _pool(selection: Selection, request: Request) -> Pool:
    """The pool as it was when rows were chosen from it."""
    columns = (selection.pool.get_column(name).to_numpy() for name in request.scores.names)
    pairs = zip(columns, request.scores.larger, strict=True)
    return Pool(
        names=tuple(request.scores.names),
        maximize=tuple(request.scores.larger),
        columns=tuple(values if up else -values for values, up in pairs),
        row=selection.pool.get_column(f"{selection.prefix}row").to_numpy().astype(np.int64),
        layer=selection.pool.get_column(f"{selection.prefix}layer").to_numpy(),
        low=selection.r_min,
        high=selection.r_max,
        rows=selection.n_rows,
        usable=selection.n_rows - selection.dropped_rows - selection.excluded,
        copies=selection.left_out,
    )


def _members(selection: Selection, row: int) -> Rows | None:
    """Numbers of the rows of a row's group; None: there are no groups.

    Raises:
        ValueError: It is not known which rows are of a group.
    """
    if selection.by is None:
        return None
    if selection.scores is None or selection.beside is None:
        raise ValueError(
            f"why: a row is compared with those of the same {', '.join(selection.by)}, which are "
            "not at hand in a selection that was pickled: ask before"
        )
    keys = Source(selection.beside).collect(selection.beside.select(map(column, selection.by)))
    ids = equal_ids(keys, selection.by)
    return np.flatnonzero(ids == ids[row])


def _standing(selection: Selection, asked: Asked, members: Rows | None) -> Standing:
    """Where the row stands, by what is at hand and needed."""
    request, scores = asked.request, selection.scores
    if members is not None:
        assert scores is not None, "or there are no members"
        assert selection.beside is not None, "or there are no members"
        copies = None
        if request.left_out:
            copies = equal_ids(Source(selection.beside).take(members), request.left_out)
        return in_group(asked, Source(scores).take(members), members, copies)
    assert request.box is not None, "without groups there are reference points"
    order = None if selection.rank == "ray" else order_of(request, request.box, None)
    seen = None
    # All that a row of the pool is compared with is in the pool, but for copies.
    if scores is not None and (order or asked.place(asked.row) is None or asked.pool.copies):
        seen = seen_again(scores, request, asked.pool, asked.row, order)
    return in_pool(asked, seen) if order is None else among_all(asked, seen, order)


def _equal(selection: Selection, row: int, others: Rows, names: Sequence[str]) -> NDArray[np.bool_]:
    """Which of some rows agree with a row in these columns."""
    assert selection.beside is not None, "the columns are at hand"
    numbers = np.unique(np.append(others, row))
    ids = equal_ids(Source(selection.beside).take(numbers), names)
    theirs, own = (ids[np.searchsorted(numbers, each)] for each in (others, row))
    return np.equal(theirs, own)


def _copy_of(
    selection: Selection, asked: Asked, standing: Standing, members: Rows | None
) -> int | None:
    """The row of the pool, and of the group, that the row is a copy of."""
    if standing.left_out != "copy" or selection.beside is None:
        return None
    others = asked.pool.row if members is None else np.intersect1d(asked.pool.row, members)
    same = others[_equal(selection, asked.row, others, selection.copy_columns)]
    return int(same[0]) if len(same) else None


def _passed_over(selection: Selection, asked: Asked, standing: Standing) -> Passed:
    """Why each preference passed the row over, and what it took instead."""
    rule, row, taken = asked.request.rule, asked.row, asked.taken
    found: Passed = [(None, None)] * len(taken)
    late = [n for n, own in enumerate(taken) if standing.passed[n] and row not in own]
    if not late:
        return found
    # A pool has no copies; where there is none, each preference passes them over.
    copies = bool(asked.request.left_out) and rule.rank != "ray"
    kinds: dict[str, Sequence[str]] = {"copy": selection.copy_columns} if copies else {}
    kinds |= {name: (name,) for name in rule.quotas}
    others = np.unique(np.concatenate([taken[number] for number in late]))
    same: dict[str, Rows] = {}
    if selection.beside is not None:
        same = {word: others[_equal(selection, row, others, of)] for word, of in kinds.items()}
    served = rule.exclusive and any((own == row).any() for own in taken)
    for number in late:
        own = taken[number]
        equal = {word: own[np.isin(own, rows)].tolist() for word, rows in same.items()}
        reached = [name for name, most in rule.quotas.items() if len(equal.get(name, ())) >= most]
        if served:
            found[number] = ("exclusive", None)
        elif equal.get("copy"):
            found[number] = ("copy", equal["copy"][0])
        elif reached and not (
            copies and _comes_first(asked, standing, number, equal[reached[0]][0])
        ):
            word = "distinct" if rule.quotas[reached[0]] == 1 else "at_most"
            found[number] = (word, equal[reached[0]][0])
        elif selection.beside is None:
            found[number] = (" or ".join(_words(rule, copies)), None)
        elif rule.wanted > rule.k:
            found[number] = _narrowed(rule)[0], None
        else:  # of a row that was itself left out for its value, or that another got
            found[number] = ("copy", None)
    return found


def _words(rule: Rule, copies: bool) -> list[str]:
    """What may have kept a row from a preference, where the columns that tell are not at hand."""
    words = ["copy"] if copies else []
    words += ["distinct"] if 1 in rule.quotas.values() else []
    words += ["at_most"] if any(most > 1 for most in rule.quotas.values()) else []
    return words + (["exclusive"] if rule.exclusive else []) + _narrowed(rule)


def _narrowed(rule: Rule) -> list[str]:
    """What chose k of the best rows, if not simply the first were."""
    if rule.wanted == rule.k:
        return []
    return ["sample" if rule.diverse is None else "diverse"]


def _comes_first(asked: Asked, standing: Standing, preference: int, other: int) -> bool:
    """Whether the row comes before a chosen one, by a rank that knows no pool."""
    if standing.orders is not None:
        rows: list[int] = standing.orders[preference].tolist()
        return rows.index(asked.row) < rows.index(other)
    assert asked.request.box is not None, "without groups there are reference points"
    assert standing.scores is not None, "it was passed over"
    order = order_of(asked.request, asked.request.box, None).alone(preference)
    return comes_first(order, asked, standing.scores, other)


def _table(
    selection: Selection,
    asked: Asked,
    standing: Standing,
    *,
    last: list[float | None],
    passed: Passed,
) -> pl.DataFrame:
    """A row for each preference, as `Why` describes it."""
    names, weights = selection.preference_names, selection.preferences
    positions = [np.flatnonzero(own == asked.row).tolist() for own in asked.taken]
    places = [None if place < 0 else place for place in standing.place.tolist()]
    return pl.DataFrame(
        [
            pl.Series("preference", range(len(weights)), dtype=pl.Int32),
            *([] if names is None else [pl.Series("preference_name", names, dtype=pl.String)]),
            pl.Series("weights", weights.tolist(), dtype=pl.List(pl.Float64)),
            pl.Series("distance", standing.distance, dtype=pl.Float64).fill_nan(None),
            pl.Series("place", places, dtype=pl.Int64),
            pl.Series("position", [x[0] if x else None for x in positions], dtype=pl.Int32),
            pl.Series("last", last, dtype=pl.Float64),
            pl.Series("skipped", [word for word, _ in passed], dtype=pl.String),
            pl.Series("instead", [other for _, other in passed], dtype=pl.Int64),
        ]
    )
