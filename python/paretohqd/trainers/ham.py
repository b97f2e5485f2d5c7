"""HaM: K adapters on one base, trained together so that their values cover the most hypervolume.

Source: Mukherjee et al., "Multi-Objective Alignment of Large Language Models Through Hypervolume
Maximization" (arXiv 2412.05469), reconstructed from its abstract: the hypervolume and its gradient
are exact, all else is ours.

The value of policy k for objective m on a mini-batch of scored answers, several to each prompt, is
the self-normalised importance-weighted mean of the scores: the weights are a softmax, over the
answers to one prompt, of log pi_k - log pi_base per token of the answer, and the means of the
prompts are averaged; a prompt's scores are taken relative to their mean, so that the base's value
is 0. The loss is minus the exact hypervolume of the K vectors of values, each moved a little its
own way at every step (see `ham_values.OFFSET`): equal values would else stay together. No
policy is given a preference; K points come out.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any, Literal, TypedDict

import numpy as np
import polars as pl
import torch
from trl import SFTConfig

from paretohqd.exceptions import WARNINGS
from paretohqd.frames.new_files import write_new
from paretohqd.models.adapter_settings import LORA_DEFAULTS, check_modules
from paretohqd.models.finite import check_step, check_trained
from paretohqd.models.library_calls import kept, without_bars
from paretohqd.models.machine import Machine
from paretohqd.trainers.ham_policies import Policies
from paretohqd.trainers.ham_values import (
    LEAST_LIKELIHOOD,
    MAX_ADAPTERS,
    OFFSET,
    REFERENCE,
    Answers,
    hypervolume,
    likelihood_values,
    offset_directions,
    policy_values,
)
from paretohqd.trainers.keys import JOINT
from paretohqd.trainers.settings import Kind
from paretohqd.trainers.several import encoded
from paretohqd.trainers.sft import DEFAULTS
from paretohqd.trainers.training import OnStep, optimiser

KIND = Kind(SFTConfig, JOINT, DEFAULTS)
"""What `train` is here: the number of steps, the length of rows, and what AdamW and its schedule
take."""

Value = Literal["weighted", "likelihood"]


REFERENCES: dict[Value, float] = {"weighted": REFERENCE, "likelihood": LEAST_LIKELIHOOD}
"""The reference point for each kind of value."""

GROUP = "group"
"""Column that numbers the prompts: rows of one number, one after the other, answer one prompt."""


class HamFacts(TypedDict):
    """What the manifest says of a training."""

    steps: int
    trained_tokens: int
    """K times the tokens of all prompts and answers."""
    generated_tokens: int
    scored: int
    adapters: int
    prompts_per_step: int
    reference: float
    hypervolume: list[float]
    """At the first and the last step."""
    trainable_parameters: int
    train: dict[str, Any]
    """The settings in force."""
    lora: dict[str, Any]


def check_settings(train: Mapping[str, Any], lora: Mapping[str, Any], where: str = "train") -> None:
    """Refuse settings for SFTConfig and LoraConfig that could not be followed here.

    Raises:
        ValueError: See `sft.check_settings`.
    """
    KIND.check_all(train, lora, where)


def fit_jointly(
    model: Any,
    tokenizer: Any,
    rows: pl.DataFrame,
    objectives: Sequence[str],
    out: Path,
    *,
    count: int,
    machine: Machine,
    train: Mapping[str, Any],
    lora: Mapping[str, Any],
    seed: int = 0,
    value: Value = "weighted",
    body: bool = False,
    on_step: OnStep | None = None,
) -> HamFacts:
    """Train `count` adapters together and save them.

    Each step reads the answers twice under each adapter: once without gradient, for the values and
    the derivative of the hypervolume with respect to each log-probability, and once, prompt by
    prompt, to carry it into the weights. Memory is that of the answers to one prompt.

    A training that was killed starts anew: it keeps no checkpoints.

    Args:
        model: The base model, freshly loaded (in float32 on a CPU); the call wraps it.
        tokenizer: Its tokenizer, with a chat template.
        rows: Columns prompt, response, `group`, one per objective (larger is better, in standard
            deviations within a prompt), and perhaps system_prompt and finished; in the order of
            training, two answers or more to each prompt.
        objectives: Names of M columns.
        out: Folder for `adapter-0/`, `adapter-1/`, .. and `log.json`: hypervolume and values at
            every step, before its update.
        count: K adapters, 1 to 12.
        machine: Device and number format.
        train: Settings for SFTConfig, over training's DEFAULTS; of these the number of steps (each
            takes an equal share of the prompts), max_length, and what AdamW and its schedule take.
        lora: Settings for LoraConfig, over adapter_settings.LORA_DEFAULTS; dropout is always 0,
            because both readings of a step must agree.
        seed: Of the first adapter; the others follow as `put_on` has it.
        value: What a policy's value for an objective is: the "weighted" mean of the scores (see
            above), or the "likelihood" of what scores well (see `likelihood_values`); the
            hypervolume of these is above the origin.
        body: Whether the K adapters are heads on a body that they share, in the folder `body/`.
        on_step: Called with (steps done, steps in all).

    Returns:
        Facts for the manifest.

    Raises:
        ValueError: Settings that could not be followed, too many adapters, prompts that do not
            divide among the steps or have one answer, scores that are not finite, a prompt that
            fills max_length, or a training that diverged. Nothing is saved then.
    """
    check_settings(train, lora)
    check_modules(model, lora)
    settings = KIND.merged(train)
    adapter = {**LORA_DEFAULTS, **lora, "lora_dropout": 0.0}
    if not 1 <= count <= MAX_ADAPTERS:
        raise ValueError(f"{count} adapters: joint training takes 1 to {MAX_ADAPTERS}")
    prompts = _answers(model, tokenizer, rows, objectives, settings["max_length"], value)
    steps = int(settings["max_steps"])
    if not prompts or steps < 1 or len(prompts) % steps:
        raise ValueError(f"{len(prompts)} prompts do not divide among {steps} steps")
    each = len(prompts) // steps
    tokenizer.padding_side = "right"
    model.eval()  # no dropout: what is read twice must be the same
    with kept(out / WARNINGS), without_bars():
        arguments = KIND.build(settings, machine, "train", output_dir=str(out), seed=seed)
        policies = Policies(model, tokenizer, count, adapter, machine=machine, seed=seed, body=body)
        log = _train(policies, prompts, arguments, steps, len(objectives), value, on_step)
        check_trained(policies.model, steps)
    out.mkdir(parents=True, exist_ok=True)
    policies.save(out)
    write_new(out / "log.json", json.dumps(log, indent=1))
    return {
        "steps": steps,
        "trained_tokens": count * sum(answers.tokens for answers in prompts),
        "generated_tokens": 0,
        "scored": 0,
        "adapters": count,
        "prompts_per_step": each,
        "reference": REFERENCES[value],
        "hypervolume": [log[0]["hypervolume"], log[-1]["hypervolume"]],
        "trainable_parameters": sum(p.numel() for p in policies.parameters()),
        "train": settings,
        "lora": adapter,
    }


def _train(
    policies: Policies,
    prompts: Sequence[Answers],
    arguments: Any,
    steps: int,
    objectives: int,
    value: Value,
    on_step: OnStep | None,
) -> list[dict[str, Any]]:
    """All steps; returns the log's entries."""
    optimizer, rate = optimiser(policies.parameters(), arguments, steps)
    reference = REFERENCES[value]
    offsets = torch.from_numpy(OFFSET * offset_directions(len(policies.names), objectives))
    each = len(prompts) // steps
    log = []
    for step in range(steps):
        batch = prompts[step * each : (step + 1) * each]
        base = policies.base_logps(batch) if value == "weighted" else None
        logps = policies.logps(batch).requires_grad_()
        values = (
            likelihood_values(logps, batch) if base is None else policy_values(logps, base, batch)
        )
        moved = values + (offsets if base is not None else values.detach() * offsets)
        volume = hypervolume(moved, reference)
        check_step(float(volume), "hypervolume", step + 1)
        # Likelihoods span a small volume: its logarithm rises the same way, and not too flatly for
        # the optimiser.
        aim = volume if value == "weighted" else volume.log()
        (slope,) = torch.autograd.grad(-aim, logps)
        norms = policies.backward(batch, slope, arguments.max_grad_norm)
        for norm in norms:
            check_step(norm, "gradient's norm", step + 1)
        log.append(
            {
                "step": step + 1,
                "hypervolume": float(hypervolume(values.detach(), reference)),
                "values": values.tolist(),
                "learning_rate": rate.get_last_lr()[0],
                "grad_norm": norms,
            }
        )
        optimizer.step()
        rate.step()
        optimizer.zero_grad()
        if on_step:
            on_step(step + 1, steps)
    return log


def _answers(
    model: Any,
    tokenizer: Any,
    rows: pl.DataFrame,
    objectives: Sequence[str],
    longest: int | None,
    value: Value = "weighted",
) -> list[Answers]:
    """The rows by prompt, in their order, cut to max_length."""
    ids = encoded(model, tokenizer, rows, longest)
    scores = rows.select(pl.col(name).cast(pl.Float64) for name in objectives).to_numpy()
    if not np.isfinite(scores).all():
        raise ValueError("a score is null, NaN or infinite: leave such rows out")
    if value == "likelihood":
        low, high = scores.min(axis=0), scores.max(axis=0)
        scores = (scores - low) / np.where(high > low, high - low, 1.0)
    prompts = []
    for group, numbers in groupby(range(len(rows)), key=rows[GROUP].to_list().__getitem__):
        these = list(numbers)
        if len(these) < 2:
            raise ValueError(f"group {group} has one answer: nothing can be weighed against it")
        own = scores[these]
        if value == "weighted":
            # The base's own value is then 0 on every prompt, whichever prompts come.
            own = own - own.mean(axis=0)
        prompts.append(Answers(tuple(ids[i] for i in these), torch.from_numpy(own)))
    return prompts
