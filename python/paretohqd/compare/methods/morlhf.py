"""MORLHF: reinforcement learning on the weighted sum of the rewards, anew for each preference."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from paretohqd.compare.method import Amount, Method, MethodOptions, Positive, Steps
from paretohqd.compare.methods._constants import reward_constants
from paretohqd.compare.policy import Policy
from paretohqd.compare.prices import cost
from paretohqd.compare.workbench import Workbench
from paretohqd.rewards.prompt_columns import by_prompts
from paretohqd.trainers import grpo
from paretohqd.trainers.credit import Credit

PASSES = 1.0
"""The base reads every answer once, without a gradient, for the distance from it."""
AGGREGATION = "multi_objective_aggregation"
"""GRPOConfig's setting of what is standardised first."""


@dataclass(frozen=True, kw_only=True)
class Options(MethodOptions):
    """The options of `morlhf`."""

    steps: Steps | None = None
    """Usual steps of a model; 30 if not given."""
    learning_rate: Positive | None = None
    """In place of the settings' own."""
    normalise: Literal["sum", "each"] = "sum"
    """What is standardised among the answers to a prompt: the weighted sum of rewards, or each
    reward, and their weighted sum over the batch (GDPO)."""
    kl: Amount | None = None
    """The pull towards the base, `beta` of GRPOConfig; that of the settings if not given."""

    def changed(self) -> dict[str, Any]:
        """What these options change of GRPOConfig."""
        changed: dict[str, Any] = {} if self.kl is None else {"beta": self.kl}
        if self.normalise == "each":
            changed[AGGREGATION] = "normalize_then_sum"
        return changed


def policies(bench: Workbench, options: Options) -> list[Policy]:
    """One model per preference, each trained from the base on its weighted sum of rewards."""
    made = []
    for weights in bench.preferences:
        adapter = reinforced(
            bench,
            weights,
            per="preference",
            share=1 / len(bench.weights),
            steps=options.steps,
            learning_rate=options.learning_rate,
            changed=options.changed(),
        )
        made.append(Policy(weights=weights, adapters=((adapter, 1.0),)))
    return made


def reinforced(
    bench: Workbench,
    weights: Sequence[float],
    *,
    per: str,
    share: float,
    steps: int | None = None,
    learning_rate: float | None = None,
    changed: Mapping[str, Any] | None = None,
    credit: Callable[[], Credit] | None = None,
    credited: Mapping[str, Any] | None = None,
    label: str | None = None,
    asked: Callable[[list[str]], Mapping[str, str]] | None = None,
) -> Path:
    """Reinforcement learning of one adapter for one preference.

    All trainings of a seed start from the same adapter and see the same prompts in the same order,
    so that corners can be interpolated. The constants come from all scored offline answers: within
    prompts, where the data have several answers to one.

    Args:
        bench: What all methods work with.
        weights: The preference.
        per: What the training is repeated for: "objective" or "preference".
        share: The part of the whole budget that this training may use.
        steps: Usual steps, where the budget is the method's own.
        learning_rate: In place of the settings' own.
        changed: Settings for GRPOConfig in place of the comparison's.
        credit: Makes what credits answers in place of the weighted sum, afresh for each attempt.
        credited: What that depends on, for the name of the step.
        label: What the progress bar calls the training, if not by the weights.
        asked: Makes of the prompts, in order, what the model reads, each with the prompt that it is
            for: rewards see that alone.

    Returns:
        Folder of the adapter.

    Raises:
        ValueError: Settings that GRPOConfig does not have, a reward that cannot be standardised, or
            a budget too small for one step.
    """
    given, lora = dict(bench.settings.reinforcement), bench.settings.lora
    grpo.check_settings(given, lora, "reinforcement")
    # Answers longer than those that are evaluated would be trained for nothing.
    usual = grpo.DEFAULTS["max_completion_length"]
    longest = min(usual, bench.settings.generation.max_new_tokens)
    settings = {**grpo.DEFAULTS, "max_completion_length": longest, **given, **(changed or {})}
    if learning_rate is not None:
        settings["learning_rate"] = learning_rate
    constants = reward_constants(bench, bench.scored())
    prompts = bench.prompts()
    prompts = prompts[np.random.default_rng([bench.seed, 8]).permutation(len(prompts))]
    s, questions = bench.context, prompts["prompt"].to_list()
    replaced = ["scale_rewards"] if credit or (changed or {}).get(AGGREGATION) else []
    replaced += [AGGREGATION] if credit else []
    if without := [name for name in replaced if name in given]:
        bench.notes["settings without effect"] = [f"reinforcement.{name}" for name in without]
    # What this costs is no longer left.
    originals = None if asked is None else asked(questions)
    limits: dict[str, Any] = {"steps": steps or grpo.STEPS}
    if bench.allowed is not None:
        left = bench.left(share, passes=PASSES)
        limits = {"trained_tokens": left.trained, "generated_tokens": left.generated}
        if left.seconds is not None:
            # One currency: what is sampled is paid from what is trained, and the other way round.
            price = {"trained_tokens": cost(1, 0, PASSES), "generated_tokens": cost(0, 1)}
            limits = {"seconds": left.seconds, "prices": price}
    made = bench.train(
        "grpo",
        lambda base, tokenizer, **common: grpo.reinforce(
            base,
            tokenizer,
            questions if originals is None else list(originals),
            by_prompts(s.rewards, prompts),
            weights,
            settings=settings,
            lora=lora,
            constants=constants,
            echo_gate=bench.echo_gate,
            steps=limits.get("steps"),
            trained_tokens=limits.get("trained_tokens"),
            generated_tokens=limits.get("generated_tokens"),
            seconds=limits.get("seconds"),
            prices=limits.get("prices"),
            credit=credit() if credit else None,
            originals=originals,
            **common,
        ),
        label=label or "w = " + ", ".join(f"{w:.3g}" for w in weights),
        per=per,
        settings={
            "settings": settings,
            "lora": lora,
            "limits": limits,
            "weights": list(weights),
            "names": bench.names,
            "constants": constants,
            "echo_gate": bench.echo_gate,
            "objectives": s.objective_settings,
            # Without one, steps are called as they were when there was none.
            **({} if credited is None else {"credit": dict(credited)}),
        },
        inputs={"prompts": s.folder.hash_frame(prompts.select("prompt", *s.columns))},
        passes=PASSES,
    )
    return made.path / "adapter"


METHOD = Method(
    run=policies,
    options=Options,
    family="rl",
    about="Train one model per preference by reinforcement learning on sum_i w_i r_i.",
    source="MORLHF as the baseline of Rewarded Soups (arXiv 2306.04488) and MODPO (arXiv "
    "2310.03708).",
    exact="one training per preference, from the base, on the weighted sum of the rewards of what "
    "the model itself says.",
    ours="GRPO (arXiv 2402.03300), small scale, not the papers' PPO, with 4 prompts x 4 answers a "
    "step and no pull towards the base unless `kl` gives one; `normalise: each` is GDPO's (TRL's "
    "normalize_then_sum), where the papers standardise a sum; each reward is standardised by "
    "frozen constants of the offline answers, or the one with the widest scores would decide "
    "alone; answers beyond the echo gate get three deviations less than the mean, which is worse "
    "than nearly all others. It is trained on the very scorers that evaluate it, and its result "
    "hangs on the learning rate: 1e-4, 3e-4 (the default) and 1e-3 belong side by side.",
)
