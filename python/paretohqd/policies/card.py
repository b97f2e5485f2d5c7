"""The card of an exported model: what it was trained for, on what, how chosen, what it reaches."""

from __future__ import annotations

import json
from importlib.resources import files
from pathlib import Path
from typing import Any

import polars as pl
import yaml
from jinja2 import Environment, StrictUndefined

from paretohqd.models import base
from paretohqd.models.names import EMBEDDED, is_local
from paretohqd.models.spec import Model
from paretohqd.policies.finished import FinishedRun
from paretohqd.policies.loaded import Policy
from paretohqd.runs import layout
from paretohqd.runs.metrics import SampleMean, SelectionSummary
from paretohqd.runs.written import shown_config
from paretohqd.safety.printing import printable
from paretohqd.selection.preferences import format_weights

EMBEDDED_BASE = {
    "name": "HuggingFaceTB/SmolLM2-135M-Instruct",
    "license": "apache-2.0",
    "note": "in the quantized form that comes with paretohqd; on the original's weights answers "
    "differ a little",
}
"""What the embedded model is."""
SHOWN = ("train", "train_stage2", "lora", "generation")
"""Sections of the configuration that a card shows."""


def base_facts(spec: Model) -> dict[str, str | None]:
    """Name, commit, licence and a note of a base, as far as they are known here.

    The licence is the embedded model's, or what the card says that lies with the base's files.
    """
    if spec.name == EMBEDDED:
        return {**EMBEDDED_BASE, "revision": None}
    name = Path(spec.name).name if is_local(spec.name) else spec.name
    card = Path(base.find_base(spec).place) / "README.md"
    licence = None
    if card.is_file():
        head = card.read_text(encoding="utf-8", errors="replace").split("---")
        try:
            facts = yaml.safe_load(head[1]) if len(head) > 2 and not head[0].strip() else {}
        except yaml.YAMLError:
            facts = {}
        given = facts.get("license") if isinstance(facts, dict) else None
        licence = given if isinstance(given, str) else None
    return {"name": name, "license": licence, "revision": spec.revision, "note": None}


def model_card(policy: Policy, *, merged: bool) -> str:
    """The card as Markdown, with the front matter that the Hub reads.

    Names of objectives and preferences are anybody's text: they stand there as code.

    Args:
        policy: The policy that is exported.
        merged: Whether it is a whole model; an adapter otherwise.
    """
    run = policy.run.finished
    facts = base_facts(policy.run.spec)
    front: dict[str, Any] = {
        "base_model": facts["name"],
        "library_name": "transformers" if merged else "peft",
        "pipeline_tag": "text-generation",
        "tags": ["paretohqd", "multi-objective-alignment", *([] if merged else ["lora"])],
    }
    if facts["license"]:
        front["license"] = facts["license"]
    environment = Environment(
        undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True, autoescape=False
    )
    environment.filters |= {"code": code, "value": _value, "label": format_weights}
    text = files("paretohqd.policies").joinpath("card.md").read_text("utf-8")
    base_measures = run.measures(None)
    return environment.from_string(text).render(
        front=yaml.safe_dump(front, sort_keys=False, allow_unicode=True).strip(),
        policy=policy,
        merged=merged,
        objectives=run.objectives,
        base=facts,
        stage=run.stage,
        selections=[_selection(run, stage) for stage in range(1, run.stage + 1)],
        expected=policy.predicted,
        base_rewards=base_measures.reward,
        prompts=base_measures.n,
        trained=list(policy.run.preferences),
        settings=_settings(run),
        seed=run.facts.seed,
        versions=run.facts.versions,
    )


def code(text: object) -> str:
    """A text as code in Markdown, whatever it holds.

    Example:
        >>> code("help"), code("a`b | c")
        ('`help`', '`` a`b \\\\| c ``')
    """
    plain = " ".join(printable(str(text)).split()).replace("|", "\\|")
    ticks = "`"
    while ticks in plain:
        ticks += "`"
    return f"`{plain}`" if ticks == "`" else f"{ticks} {plain} {ticks}"


def _value(mean: SampleMean) -> str:
    return f"{mean.mean:.3f}" + ("" if mean.se is None else f" ({mean.se:.3f})")


def _selection(run: FinishedRun, stage: int) -> dict[str, Any]:
    """What a stage chose from what, in numbers."""
    folder = run.folder / layout.select(stage)
    summary = SelectionSummary.from_json((folder / layout.SELECTION_SUMMARY).read_text("utf-8"))
    rows = pl.scan_parquet(folder / layout.SELECTION).group_by("preference").len().collect()
    return {
        "stage": stage,
        "rows": int(rows["len"].max()),  # type: ignore[arg-type]
        "k": summary.k,
        "pool": summary.pool,
        "of": summary.n,
        "layers": len(summary.layers),
        "rank": summary.rank,
    }


def _settings(run: FinishedRun) -> str:
    """The configuration as it may be shown, without data's places: what trained the model."""
    plain = yaml.safe_load(shown_config((run.folder / layout.CONFIG).read_text("utf-8"))) or {}
    kept = {name: plain[name] for name in SHOWN if name in plain}
    kept.get("generation", {}).pop("endpoint", None)
    return json.dumps(kept, indent=1, sort_keys=True, ensure_ascii=True)
