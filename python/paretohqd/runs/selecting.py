"""The stage that chooses training rows from scored answers."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import polars as pl

from paretohqd.frames.new_files import write_new, write_parquet
from paretohqd.runs import layout, sections
from paretohqd.runs.context import RunContext
from paretohqd.runs.manifest import Notes, Stage
from paretohqd.runs.metrics import SelectionSummary
from paretohqd.selection.choosing import choose_by_rule
from paretohqd.selection.result import Selection


def select(s: RunContext, stage: int, scored: Stage) -> Stage:
    """Choose each preference's training set."""
    spec = s.settings.selection
    k = spec.k if stage == 1 else spec.k_stage2 or max(1, spec.k // 2)

    def work(out: Path) -> Notes:
        # Read in batches: offline answers may be more than memory holds.
        answers = scored.path / layout.SCORED
        if stage == 2:
            _refuse_equal(pl.read_parquet(answers, columns=s.names))
        chosen = choose_by_rule(spec.rule(k=k), answers, s.names, s.preferences)
        write_parquet(chosen.rows, out / layout.SELECTION)
        scores = pl.read_parquet(answers, columns=s.names)
        layered = scores.with_row_index("row").with_columns(layer=pl.Series(chosen.layer))
        write_parquet(layered, out / layout.POOL)
        summary = selection_summary(s, chosen, k)
        write_new(out / layout.SELECTION_SUMMARY, summary.to_json())
        s.screen.line(
            f"  pool: {summary.pool} of {chosen.n_rows} rows in {len(summary.layers)} layers; "
            f"neighbouring preferences share {_neighbours(summary.overlap):.0%} of theirs"
        )
        for remark in chosen.remarks():
            s.screen.line(f"  {remark}")
        return {"k": k, "pool": summary.pool, "layers": len(summary.layers)}

    return s.alone(
        layout.select(stage),
        work,
        settings=_rule_settings(dataclasses.replace(spec, k=k, k_stage2=None))
        | {"weights": s.weights.tolist(), "names": s.names}
        | ({"preferences": list(s.preferences)} if isinstance(s.preferences, dict) else {}),
        inputs={"scored": scored.digest},
    )


def _refuse_equal(scores: pl.DataFrame) -> None:
    """Refuse new answers that an objective does not tell apart, with the way on."""
    for name in scores.columns:
        if scores[name].n_unique() == 1:
            raise ValueError(
                f"stage 2: {name} is {scores[name][0]:g} in all {len(scores)} answers of the "
                "stage-1 models, so that nothing is left to trade for it: set stages: 1, and the "
                "run goes on to the evaluation of these models; nothing is lost"
            )


def _rule_settings(spec: sections.Selection) -> dict[str, Any]:
    """What a choice depends on; folders of older versions know no other rank than the ray."""
    settings = dataclasses.asdict(spec)
    if spec.rank == "ray":
        del settings["rank"]
    for name in sections.LATER:
        if settings[name] is None or settings[name] is False:  # 0 is a seed
            del settings[name]
    return settings


def selection_summary(s: RunContext, chosen: Selection, k: int) -> SelectionSummary:
    """What the report needs to know of a selection."""
    sizes, bounds = chosen.layer_sizes(), s.settings.selection.bounds
    return SelectionSummary(
        objectives=tuple(s.names),
        through=chosen.through.tolist(),
        r_min=chosen.r_min.tolist(),
        r_max=chosen.r_max.tolist(),
        n=chosen.n_rows,
        pool=sum(sizes),
        layers=tuple(sizes),
        overlap=chosen.overlap().tolist(),
        k=k,
        bounds=bounds if isinstance(bounds, str) else "given",
        rank=s.settings.selection.rank,
        scale=s.settings.selection.scale,
    )


def _neighbours(overlap: Sequence[Sequence[float]]) -> float:
    pairs = [overlap[i][i + 1] for i in range(len(overlap) - 1)]
    return sum(pairs) / len(pairs) if pairs else 1.0
