"""Configurations that `paretohqd run` and `paretohqd compare` refuse before any training.

Here are those that a section's own kinds and ranges refuse, which needs no torch; the others are
in `bad_training`.
"""

from __future__ import annotations

import copy
import json
from typing import Any

from helpers.commands import command
from helpers.world import FRAME, Call, World

BASE: dict[str, Any] = {
    "data": {"source": "rows.parquet"},
    "objectives": [
        {"name": "kind", "scorer": "embedded:positivity"},
        {"name": "safe", "scorer": "embedded:harmless"},
    ],
}
COMPARED: dict[str, Any] = {**BASE, "methods": ["base", "paretohqd"]}
GONE = object()
"""In place of a value: the key is not there."""


def settings(base: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    """A configuration with other values at dotted keys."""
    result: dict[str, Any] = copy.deepcopy(base)
    for dotted, value in changes.items():
        *sections, last = dotted.split(".")
        inner = result
        for section in sections:
            inner = inner.setdefault(section, {})
        if value is GONE:
            inner.pop(last, None)
        else:
            inner[last] = value
    return result


def configured(kind: str, base: dict[str, Any], changes: dict[str, Any], *words: str) -> Call:
    def call(w: World) -> object:
        w.parquet(FRAME)
        given = settings({"run": "run", **base}, changes)
        place = [] if "run" in changes else ["--run-folder", w.folder / "run"]
        return command(kind, w.text("it.yaml", json.dumps(given)), *place, *words)

    return call


def run(words: list[str] | None = None, **changes: Any) -> Call:
    return configured(
        "run", BASE, {k.replace("__", "."): v for k, v in changes.items()}, *(words or [])
    )


def compare(words: list[str] | None = None, **changes: Any) -> Call:
    changes = {k.replace("__", "."): v for k, v in changes.items()}
    return configured("compare", COMPARED, changes, *(words or []))


def _yaml(kind: str, text: str | bytes, *words: str) -> Call:
    return lambda w: command(kind, w.text("it.yaml", text), *words)


def _set(key: str, value: str) -> Call:
    return run(["--set", f"{key}={value}"])


def objective(**changes: Any) -> Call:
    """A run whose second objective is another."""
    second = {**BASE["objectives"][1], **changes}
    second = {key: value for key, value in second.items() if value is not GONE}
    return run(objectives=[BASE["objectives"][0], second])


LIGHT_RUN: dict[str, Call] = {
    "no YAML": _yaml("run", "run: [x\ndata: 3"),
    "a key twice": _yaml("run", "run: x\nrun: y\n"),
    "a list": _yaml("run", "- run\n- data\n"),
    "nothing": _yaml("run", ""),
    "text": _yaml("run", "just words"),
    "no UTF-8": _yaml("run", b"run: caf\xe9\n"),
    "an unknown key": run(modle={"name": "x"}),
    "an unknown key like none": run(zzzz=1),
    "a number for a key": _yaml("run", "1: 2\n"),
    "run: missing": run(run=GONE),
    "run: a number": run(run=3),
    "run: a date": _yaml("run", "run: 2024-01-01\ndata: {source: x}\nobjectives: []\n"),
    "run: null": run(run=None),
    "data: missing": run(data=GONE),
    "data: text": run(data="rows.parquet"),
    "data: null": run(data=None),
    "data.source: missing": run(data__source=GONE),
    "data.source: a list": run(data__source=["x"]),
    "data: an unknown key": run(data__promt="question"),
    "data.held_out: 0": run(data__held_out=0),
    "data.held_out: text": run(data__held_out="all"),
    "data.held_out: 1.5": run(data__held_out=1.5),
    "data.held_out: true": run(data__held_out=True),
    "data.max_rows: 0": run(data__max_rows=0),
    "data.max_word_overlap: 2": run(data__max_word_overlap=2),
    "data.max_word_overlap: nan": _yaml(
        "run",
        "run: x\ndata: {source: x, max_word_overlap: .nan}\nobjectives: "
        "[{name: a, scorer: x}, {name: b, scorer: y}]\n",
    ),
    "data.invalid": run(data__invalid="keep"),
    "data.split: a number": run(data__split=3),
    "data.conversation: a list": run(data__conversation=["x"]),
    "objectives: missing": run(objectives=GONE),
    "objectives: none": run(objectives=[]),
    "objectives: one": run(objectives=BASE["objectives"][:1]),
    "objectives: text": run(objectives="kind, safe"),
    "objectives: texts": run(objectives=["kind", "safe"]),
    "objectives: a mapping": run(objectives={"kind": "embedded:positivity"}),
    "objectives: two of one name": objective(name="kind"),
    "objectives: no name": objective(name=GONE),
    "objectives: an empty name": objective(name=""),
    "objectives: a taken name": objective(name="prompt"),
    "objectives: another taken name": objective(name="layer"),
    "objectives: an unknown key": objective(scoer="x"),
    "objectives: a scorer and a model": objective(model="x"),
    "objectives: neither": objective(scorer=GONE),
    "objectives: a column alone": objective(scorer=GONE, column="a"),
    "objectives: max_length of 0": objective(max_length=0),
    "objectives: batch_size of text": objective(batch_size="8"),
    "objectives: output of -1": objective(output=-1),
    "objectives: pair of text": objective(pair="yes"),
    "objectives: template of a number": objective(template=3),
    "preferences: 0": run(preferences=0),
    "preferences: text": run(preferences="many"),
    "preferences: 1.5": run(preferences=1.5),
    "preferences: true": run(preferences=True),
    "preferences: a list of texts": run(preferences=["x", "y"]),
    "preferences: a list of lists of texts": run(preferences=[["x", "y"]]),
    "model: text": run(model="embedded"),
    "model: an unknown key": run(model__nam="x"),
    "model.name: a number": run(model__name=7),
    "model.date: no text": _yaml(
        "run", "run: x\ndata: {source: x}\nobjectives: []\nmodel: {date: 2024-01-01}\n"
    ),
    "selection: an unknown key": run(selection__kk=3),
    "selection.k: 0": run(selection__k=0),
    "selection.k: text": run(selection__k="all"),
    "selection.k: null": run(selection__k=None),
    "selection.k_stage2: 0": run(selection__k_stage2=0),
    "selection.upto: 0": run(selection__upto=0),
    "selection.at_least: -1": run(selection__at_least=-1),
    "selection: upto and at_least": run(selection__upto=1, selection__at_least=2),
    "selection.bounds": run(selection__bounds="rows"),
    "selection.scale": run(selection__scale="std"),
    "selection.scale: numbers": run(selection__scale=[1, 2]),
    "selection.directions": run(selection__directions="up"),
    "selection.one_per_prompt": run(selection__one_per_prompt="yes"),
    "selection.duplicates": run(selection__duplicates="remove"),
    "train: a list": run(train=["max_steps"]),
    "train: a number": run(train=3),
    "train_stage2: text": run(train_stage2="max_steps: 3"),
    "lora: text": run(lora="r: 8"),
    "generation: an unknown key": run(generation__max_tokens=3),
    "generation.prompts: 0": run(generation__prompts=0),
    "generation.max_new_tokens: 0": run(generation__max_new_tokens=0),
    "generation.temperature: -1": run(generation__temperature=-1),
    "generation.temperature: text": run(generation__temperature="hot"),
    "generation.temperature: infinite": _yaml(
        "run",
        "run: x\ndata: {source: x}\nobjectives: "
        "[{name: a, scorer: x}, {name: b, scorer: y}]\ngeneration: {temperature: .inf}\n",
    ),
    "generation.top_p: 1.5": run(generation__top_p=1.5),
    "generation.batch_size: 0": run(generation__batch_size=0),
    "generation.trim: 1": run(generation__trim=1),
    "evaluation: an unknown key": run(evaluation__promts=3),
    "evaluation.prompts: 0": run(evaluation__prompts=0),
    "evaluation.min_words: -1": run(evaluation__min_words=-1),
    "evaluation.max_ngram: 0": run(evaluation__max_ngram=0),
    "evaluation.repeats: 0": run(evaluation__repeats=0),
    "evaluation.distinct: 2": run(evaluation__distinct=2),
    "evaluation.echo: -0.1": run(evaluation__echo=-0.1),
    "stages: 3": run(stages=3),
    "stages: true": run(stages=True),
    "stages: text": run(stages="1"),
    "seed: -1": run(seed=-1),
    "seed: 2**31": run(seed=2**31),
    "seed: text": run(seed="zero"),
    "device": run(device="tpu"),
    "precision": run(precision="float16"),
    "threads: 0": run(threads=0),
    "--set: an unknown key": _set("sed", "3"),
    "--set: within an unknown section": _set("selction.k", "3"),
    "--set: within no section": _set("seed.value", "3"),
    "--set: a wrong kind": _set("selection.k", "many"),
    "--set: no YAML": _set("selection.k", "[1"),
    "--set: an empty value": _set("selection.k", ""),
}

LIGHT_COMPARE: dict[str, Call] = {
    "an unknown key": compare(method=["sft"]),
    "a run's fault": compare(selection__k=0),
    "methods: missing": compare(methods=GONE),
    "methods: none": compare(methods=[]),
    "methods: text": compare(methods="sft"),
    "methods: numbers": compare(methods=[1]),
    "seeds: none": compare(seeds=[]),
    "seeds: twice": compare(seeds=[1, 1]),
    "seeds: -1": compare(seeds=[-1]),
    "seeds: too large": compare(seeds=[2**31]),
    "seeds: a number": compare(seeds=3),
    "seeds: texts": compare(seeds=["x"]),
    "budgets: none": compare(budgets=[]),
    "budgets: twice": compare(budgets=["own", "own"]),
    "budgets: unknown": compare(budgets=["all"]),
    "budgets: text": compare(budgets="own"),
    "reference: a number": compare(reference=3),
    "objectives: a taken name": compare(
        objectives=[BASE["objectives"][0], {"name": "seed", "scorer": "embedded:harmless"}]
    ),
    "train.num_train_epochs": compare(train__num_train_epochs=2),
    "train.max_steps: -1": compare(train__max_steps=-1),
    "train.max_steps: text": compare(train__max_steps="many"),
    "train.packing": compare(train__packing=True),
    "train.per_device_train_batch_size: 0": compare(train__per_device_train_batch_size=0),
    "train_stage2.num_train_epochs": compare(train_stage2__num_train_epochs=1),
    "pairs.num_train_epochs": compare(pairs__num_train_epochs=1),
    "pairs.dataloader_drop_last": compare(pairs__dataloader_drop_last=True),
    "pairs: a list": compare(pairs=["beta"]),
    "reinforcement: a number": compare(reinforcement=3),
    "sample_pairs: 1": compare(sample_pairs=1),
    "sample_pairs: -1": compare(sample_pairs=-1),
    "sample_pairs: text": compare(sample_pairs="4"),
    "validation: -1": compare(validation=-1),
    "validation: all that is held out": compare(validation=64),
    "validation: with evaluation.prompts": compare(validation=9, evaluation={"prompts": 9}),
}

CALLS: dict[str, Call] = {
    **{f"run: {name}": call for name, call in LIGHT_RUN.items()},
    **{f"compare: {name}": call for name, call in LIGHT_COMPARE.items()},
}
