"""Preference pairs from scored answers: what methods that train on pairs (DPO) are given.

A frame holds several answers to a prompt, with one column per objective, larger is better. Both
rules take one pair of each prompt that has one; both measure differences of scores in deviations of
the frame's scores, for objectives in other units could not be weighed against each other.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Literal

import numpy as np
import polars as pl
from numpy.typing import ArrayLike, NDArray

from paretohqd.frames.objectives import column
from paretohqd.kernels.groups import group_ids
from paretohqd.kernels.points import Objectives
from paretohqd.selection.preferences import preference_weights

Floats = NDArray[np.float64]
Rows = NDArray[np.int64]


def standardise(
    frame: pl.DataFrame, objectives: Sequence[str]
) -> tuple[pl.DataFrame, dict[str, dict[str, float]]]:
    """Scores less their mean, in units of their deviation (over all rows, divided by n).

    Args:
        frame: n scored answers.
        objectives: The columns of scores.

    Returns:
        The frame with the z-scores in place of the scores (Float64), and the constants to keep
        beside whatever they are used for: {objective: {"mean": ..., "deviation": ...}}.

    Raises:
        ValueError: No rows, no such column, a score that is null, NaN or infinite, or an objective
            with one value in all rows: it tells no answer from another, and at 0 it would look
            like one that does.

    Example:
        >>> frame = pl.DataFrame({"kind": [1.0, 3.0]})
        >>> standardise(frame, ["kind"])
        (shape: (2, 1)
        ┌──────┐
        │ kind │
        │ ---  │
        │ f64  │
        ╞══════╡
        │ -1.0 │
        │ 1.0  │
        └──────┘, {'kind': {'mean': 2.0, 'deviation': 1.0}})
    """
    scores = _scores(frame, objectives)
    deviations = _deviations(objectives, scores)
    means = scores.mean(axis=1)
    z = (scores - means[:, None]) / deviations[:, None]
    return frame.with_columns(
        pl.Series(name, values) for name, values in zip(objectives, z, strict=True)
    ), {
        name: {"mean": float(mean), "deviation": float(deviation)}
        for name, mean, deviation in zip(objectives, means, deviations, strict=True)
    }


def consistent_pairs(
    frame: pl.DataFrame, objectives: Sequence[str], *, gap: Literal["min", "sum"] = "min"
) -> pl.DataFrame:
    """The pair of each prompt whose winner is better in every objective by the largest gap.

    Reward Consistency Sampling (Xu et al. 2025, arXiv 2504.11337): pairs on which the objectives
    agree, so that DPO on them does not gain one at the cost of another. The condition and the
    largest gap are the method's; the gap's definition is ours (the smallest z-scored difference
    among the objectives). Two answers of the same text are no pair, whatever their scores.
    O(n s M) for prompts of s answers.

    Args:
        frame: Columns prompt and response (text) and the objectives; a prompt's answers need not
            be adjacent.
        objectives: The columns of scores, larger is better.
        gap: "min" or "sum" over the objectives of the difference in deviations.

    Returns:
        A row for each prompt that has a pair, in the order in which prompts first appear: prompt,
        chosen, rejected, gap, chosen_row, rejected_row (row numbers of the frame). Where gaps
        are equal, the earliest chosen row is taken, then the earliest rejected row.

    Raises:
        ValueError: No prompt has two different answers, none has a consistent pair, or scores as
            `standardise` refuses them.

    Example:
        >>> frame = pl.DataFrame(
        ...     {"prompt": ["Tea?"] * 3, "response": ["No.", "Yes, gladly.", "Why?"],
        ...      "kind": [0.0, 2.0, 1.0], "brief": [0.0, 1.0, 2.0]})
        >>> consistent_pairs(frame, ["kind", "brief"]).row(0)[:3]
        ('Tea?', 'Yes, gladly.', 'No.')
    """
    if gap not in ("min", "sum"):
        raise ValueError(f"gap must be 'min' or 'sum', got {gap!r}")
    scores = _scores(frame, objectives)
    deviations = _deviations(objectives, scores)
    answers = _Answers(frame)
    scores = scores[:, answers.order]
    n = len(frame)
    best, key = np.full(n, -np.inf), np.zeros(n, dtype=np.int64)
    # Every place against the one `step` further on: a prompt's pairs, without a Python loop over
    # prompts and without the memory of all pairs.
    for first, second in answers.pairs():
        differences = scores[:, first] - scores[:, second]
        up = np.all(differences > 0, axis=0)
        agreed = np.flatnonzero(up | np.all(differences < 0, axis=0))
        up, first, second = up[agreed], first[agreed], second[agreed]
        each = np.abs(differences[:, agreed]) / deviations[:, None]
        size = each.min(axis=0) if gap == "min" else each.sum(axis=0)
        rows = answers.order[np.where(up, (first, second), (second, first))]
        # One number that orders pairs by the chosen row and then by the rejected one.
        place = rows[0] * n + rows[1]
        better = (size > best[first]) | ((size == best[first]) & (place < key[first]))
        best[first[better]], key[first[better]] = size[better], place[better]
    largest = np.maximum.reduceat(best, answers.starts)
    if not np.isfinite(largest).any():
        raise ValueError(
            "no prompt has an answer that is better than another in every objective "
            f"({', '.join(objectives)}): sample more answers per prompt"
        )
    tied = best == np.repeat(largest, answers.sizes)
    earliest = np.minimum.reduceat(np.where(tied, key, np.iinfo(np.int64).max), answers.starts)
    paired = np.isfinite(largest)
    return _pairs(frame, *np.divmod(earliest[paired], n), gap=largest[paired])


def main_objective(weights: ArrayLike) -> int:
    """Place of the objective that plays the main part: the heaviest, the first of equal ones.

    Its weight is at least 1/M, so the loss that divides by it is defined for every preference.
    Where two weights are the largest and equal ((.5, .5) for two objectives) the main objective
    switches: preferences on either side are trained on other pairs, chosen by another objective.

    Example:
        >>> main_objective([0.5, 0.5]), main_objective([0.4, 0.6])
        (0, 1)
    """
    return int(np.argmax(np.asarray(weights)))


def objective_pairs(
    frame: pl.DataFrame,
    objectives: Sequence[str],
    *,
    weights: ArrayLike,
    main: int | None = None,
) -> pl.DataFrame:
    """The best answer of each prompt in the main objective against the worst, with MODPO's margin.

    MODPO (Zhou et al. 2023, arXiv 2310.03708) trains on the preferences of one objective, with the
    others' rewards as a margin w_rest . (r_rest(chosen) - r_rest(rejected)). That scores make the
    preferences (best against worst), that rewards are z-scored over the frame, and that the main
    objective is the heaviest one, is ours; the paper has a data set of preferences per objective.

    Args:
        frame: Columns prompt and response (text) and the objectives; a prompt's answers need not
            be adjacent.
        objectives: The M columns of scores, larger is better.
        weights: (M,) the preference, on the simplex, or {objective: weight} of any sum.
        main: Place of the main objective; that of `main_objective(weights)` by default, which
            switches to another where another weight becomes the largest.

    Returns:
        A row for each prompt whose best and worst answer differ in the main objective and in their
        text, in the order in which prompts first appear: prompt, chosen, rejected, gap (in the main
        objective), margin (both in deviations), chosen_row, rejected_row. Where
        scores are equal, the earliest row is taken.

    Raises:
        ValueError: No prompt has two different answers or none two that differ in the main
            objective, weights off the simplex, a main objective of no weight, or scores as
            `standardise` refuses them.

    Example:
        >>> frame = pl.DataFrame(
        ...     {"prompt": ["Tea?"] * 2, "response": ["No.", "Yes, gladly."],
        ...      "kind": [0.0, 2.0], "brief": [3.0, 1.0]})
        >>> objective_pairs(frame, ["kind", "brief"], weights=[0.75, 0.25]).row(0)[:5]
        ('Tea?', 'Yes, gladly.', 'No.', 2.0, -0.5)
    """
    w = preference_weights([weights], list(objectives)).values[0]
    main = main_objective(w) if main is None else main
    if not 0 <= main < len(w) or w[main] == 0:
        raise ValueError(
            f"main={main} is no objective with a weight (weights: {w.tolist()}): MODPO divides by "
            "the main objective's weight, so take the heaviest"
        )
    scores = _scores(frame, objectives)
    deviations = _deviations(objectives, scores)
    chosen, rejected = _ends(_Answers(frame), scores[main])
    if not len(chosen):
        raise ValueError(
            f"no prompt has two different answers that differ in {objectives[main]!r}: sample more "
            "answers per prompt"
        )
    z = (scores[:, chosen] - scores[:, rejected]) / deviations[:, None]
    rest = w.copy()
    rest[main] = 0
    return _pairs(frame, chosen, rejected, gap=z[main], margin=rest @ z)


def extreme_pairs(frame: pl.DataFrame, values: ArrayLike) -> pl.DataFrame:
    """The answer of each prompt with the largest value against the one with the smallest.

    Args:
        frame: Columns prompt and response (text); a prompt's answers need not be adjacent.
        values: (n,) a number for each row.

    Returns:
        A row for each prompt whose two answers differ in value and text, in the order in which
        prompts first appear: prompt, chosen, rejected, gap (of the values), chosen_row,
        rejected_row. Where values are equal, the earliest row is taken.

    Raises:
        ValueError: No prompt has two such answers, or a value is not finite.

    Example:
        >>> frame = pl.DataFrame({"prompt": ["Tea?"] * 2, "response": ["No.", "Yes, gladly."]})
        >>> extreme_pairs(frame, [0.5, 2.0]).row(0)[:4]
        ('Tea?', 'Yes, gladly.', 'No.', 1.5)
    """
    numbers = np.asarray(values, dtype=np.float64)
    if numbers.shape != (len(frame),) or not np.isfinite(numbers).all():
        raise ValueError(f"values: expected {len(frame)} finite numbers, one for each row")
    chosen, rejected = _ends(_Answers(frame), numbers)
    if not len(chosen):
        raise ValueError("no prompt has two different answers that differ in value")
    return _pairs(frame, chosen, rejected, gap=numbers[chosen] - numbers[rejected])


def win_rates(frame: pl.DataFrame, objectives: Sequence[str]) -> Floats:
    """How many of the other answers to its prompt each answer beats, in each objective.

    Args:
        frame: The column prompt and the objectives; two answers or more to each prompt.
        objectives: The M columns of scores, larger is better.

    Returns:
        (n, M) shares from 0 to 1; an equal score counts half.

    Raises:
        ValueError: A prompt has one answer, or scores as `standardise` refuses them.

    Example:
        >>> frame = pl.DataFrame({"prompt": ["a", "a", "a"], "kind": [0.0, 2.0, 2.0]})
        >>> win_rates(frame, ["kind"]).ravel().tolist()
        [0.0, 0.75, 0.75]
    """
    scores = pl.DataFrame(_scores(frame, objectives).T, schema=list(objectives))
    table = scores.with_columns(frame["prompt"])
    alone = int((table.select(pl.len().over("prompt")).to_series() < 2).sum())
    if alone:
        raise ValueError(f"{alone} prompts have one answer: nothing can be won against it")
    rank = pl.col(list(objectives)).rank("average").over("prompt")
    return table.select((rank - 1) / (pl.len().over("prompt") - 1)).to_numpy()


def _ends(answers: _Answers, values: Floats) -> tuple[Rows, Rows]:
    """Each prompt's rows of the largest and smallest value, where these and the texts differ."""
    top = values[answers.order]
    ends = []
    for extreme in (np.maximum, np.minimum):
        there = top == np.repeat(extreme.reduceat(top, answers.starts), answers.sizes)
        row = np.where(there, answers.order, len(values))
        ends.append(np.minimum.reduceat(row, answers.starts))
    chosen, rejected = ends
    real = values[chosen] > values[rejected]
    real &= answers.text[chosen] != answers.text[rejected]
    return chosen[real], rejected[real]


class _Answers:
    """Answers prompt by prompt: `order` holds row numbers, `starts` and `sizes` the prompts'."""

    def __init__(self, frame: pl.DataFrame) -> None:
        for name in ("prompt", "response"):
            # Numbered by first appearance below, which keys of other types need not be.
            if name not in frame.columns or frame[name].dtype != pl.String:
                raise ValueError(
                    f"pairs need a text column {name!r}; the frame has "
                    f"{', '.join(f'{k} ({v})' for k, v in frame.schema.items())}"
                )
        if frame.is_empty():
            raise ValueError("no answers: the frame has no rows")
        # Equal texts may be written in two Unicode forms.
        prompt, _ = group_ids(frame["prompt"].str.normalize("NFC"), len(frame))
        self.text, _ = group_ids(frame["response"].str.normalize("NFC"), len(frame))
        self.order = np.argsort(prompt, kind="stable")
        there = prompt[self.order]
        self.starts = np.flatnonzero(np.concatenate(([True], there[1:] != there[:-1])))
        self.sizes = np.diff(np.append(self.starts, len(frame)))
        text = self.text[self.order]
        head = np.repeat(text[self.starts], self.sizes)
        if (text == head).all():
            raise ValueError(
                f"two answers per prompt are needed: none of the {len(self.starts)} prompts has "
                "two different ones; sample several answers to each prompt"
            )

    def pairs(self) -> Iterator[tuple[Rows, Rows]]:
        """Places (into `order`) of two different answers to one prompt, each pair once."""
        first = np.arange(len(self.order))
        last = np.repeat(self.starts + self.sizes, self.sizes) - 1
        text = self.text[self.order]
        for step in range(1, int(self.sizes.max())):
            first = first[first + step <= last[first]]
            differ = first[text[first] != text[first + step]]
            yield differ, differ + step


def _scores(frame: pl.DataFrame, objectives: Sequence[str]) -> Floats:
    """(M, n) finite scores."""
    if missing := [name for name in objectives if name not in frame.columns]:
        raise ValueError(f"no column {missing[0]!r}: the frame has {', '.join(frame.columns)}")
    if frame.is_empty():
        raise ValueError("no answers: the frame has no rows")
    points = Objectives.of(frame.select(map(column, objectives))).require_finite(
        "a difference of scores"
    )
    return np.array(points.columns, dtype=np.float64)


def _deviations(objectives: Sequence[str], scores: Floats) -> Floats:
    """(M,) deviations, above 0."""
    for name, values in zip(objectives, scores, strict=True):
        if values.min() == values.max():
            raise ValueError(
                f"objective {name!r} is {values[0]:g} in all {len(values)} rows: it tells no "
                "answer from another; leave it out"
            )
    with np.errstate(over="ignore", invalid="ignore"):
        deviations: Floats = scores.std(axis=1)
    for name, deviation in zip(objectives, deviations, strict=True):
        if not 0 < deviation < np.inf:
            raise ValueError(f"column {name!r} spans more than doubles can hold: scale it")
    return deviations


def _pairs(frame: pl.DataFrame, chosen: Rows, rejected: Rows, **numbers: Floats) -> pl.DataFrame:
    return pl.DataFrame(
        {
            "prompt": frame["prompt"].gather(chosen),
            "chosen": frame["response"].gather(chosen),
            "rejected": frame["response"].gather(rejected),
            **numbers,
            "chosen_row": chosen,
            "rejected_row": rejected,
        }
    )
