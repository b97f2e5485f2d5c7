"""MORLHF: reinforcement learning on the weighted sum of the rewards, anew for each preference."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from paretohqd.compare.policy import Policy
from paretohqd.compare.workbench import Workbench
from paretohqd.trainers import grpo
from paretohqd.trainers.rollouts import standard_constants


def morlhf(
    bench: Workbench, *, steps: int | None = None, learning_rate: float | None = None
) -> list[Policy]:
    """Train one model per preference by reinforcement learning on sum_i w_i r_i.

    Source: MORLHF as the baseline of Rewarded Soups (arXiv 2306.04488) and MODPO (arXiv
    2310.03708). Exact: one training per preference, from the base, on the weighted sum of the
    rewards of what the model itself says. Ours: GRPO (arXiv 2402.03300), small scale, not the
    papers' PPO, with 4 prompts x 4 answers a step and no pull towards the base; each reward is
    standardised by frozen constants of the offline answers, or the one with the widest scores would
    decide alone; answers beyond the echo gate get three deviations less than the mean, which is
    worse than nearly all others. It is trained on the very scorers that evaluate it, and its result
    hangs on the learning rate: 1e-4, 3e-4 (the default) and 1e-3 belong side by side.

    Args:
        bench: what all methods work with.
        steps: usual steps of a model; 30 if not given.
        learning_rate: in place of the settings' own.
    """
    policies = []
    for weights in bench.preferences:
        adapter = reinforced(
            bench,
            weights,
            per="preference",
            share=1 / len(bench.weights),
            steps=steps,
            learning_rate=learning_rate,
        )
        policies.append(Policy(weights=weights, adapters=((adapter, 1.0),)))
    return policies


def reinforced(
    bench: Workbench,
    weights: Sequence[float],
    *,
    per: str,
    share: float,
    steps: int | None = None,
    learning_rate: float | None = None,
) -> Path:
    """Reinforcement learning of one adapter for one preference.

    All trainings of a seed start from the same adapter and see the same prompts in the same order,
    so that corners can be interpolated. The constants come from all scored offline answers: within
    prompts, where the data have several answers to one.

    Args:
        bench: what all methods work with.
        weights: the preference.
        per: what the training is repeated for: "objective" or "preference".
        share: the part of the whole budget that this training may use.
        steps: usual steps, where the budget is the method's own.
        learning_rate: in place of the settings' own.

    Returns:
        Folder of the adapter.

    Raises:
        ValueError: settings that GRPOConfig does not have, a reward that cannot be standardised, or
            a budget too small for one step.
    """
    given, lora = dict(bench.settings.reinforcement), bench.settings.lora
    grpo.check_settings(given, lora, "reinforcement")
    # Answers longer than those that are evaluated would be trained for nothing.
    usual = grpo.DEFAULTS["max_completion_length"]
    longest = min(usual, bench.settings.generation.max_new_tokens)
    settings = {**grpo.DEFAULTS, "max_completion_length": longest, **given}
    if learning_rate is not None:
        settings["learning_rate"] = learning_rate
    limits: dict[str, int] = {"steps": steps or grpo.STEPS}
    if bench.allowed is not None:
        left = bench.left(share)
        limits = {"trained_tokens": left.trained, "generated_tokens": left.generated}
    constants = standard_constants(bench.scored(), bench.names)
    bench.notes["constants"] = {
        name: {"mean": mean, "deviation": deviation}
        for name, (mean, deviation) in constants.items()
    }
    found = bench.prompts()
    prompts = found[np.random.default_rng([bench.seed, 8]).permutation(len(found))]
    s = bench.session

    def work(base: Any, tokenizer: Any, out: Path, on_step: Any) -> Mapping[str, Any]:
        return grpo.reinforce(
            base,
            tokenizer,
            prompts["prompt"].to_list(),
            s.rewards,
            weights,
            out,
            machine=s.machine,
            settings=settings,
            lora=lora,
            seed=bench.seed,
            constants=constants,
            echo_gate=bench.echo_gate,
            on_step=on_step,
            **limits,
        )

    made = bench.train(
        "grpo",
        work,
        label="w = " + ", ".join(f"{w:.3g}" for w in weights),
        settings={
            "settings": settings,
            "lora": lora,
            "limits": limits,
            "weights": list(weights),
            "constants": constants,
            "echo_gate": bench.echo_gate,
            "objectives": s.objective_settings,
        },
        inputs={"prompts": bench.session.folder.hash_frame(prompts.select("prompt"))},
    )
    notes = made.notes
    bench.charge(
        made,
        "train",
        per,
        trained=notes["trained_tokens"],
        generated=notes["generated_tokens"],
        scored=notes["scored"],
    )
    return made.path / "adapter"
