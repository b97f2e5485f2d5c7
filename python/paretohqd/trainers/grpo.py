"""Reinforcement learning of one LoRA adapter on a weighted sum of rewards.

The trainer is TRL's GRPOTrainer (Shao et al., "DeepSeekMath", arXiv 2402.03300), which compares
several answers to one prompt with each other and needs no value model. The rewards that train are
those that evaluate: a gain may be a scorer's weakness that was found, so the log keeps the echo
share, the entropy and the distance from the base beside each reward.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypedDict

from accelerate.utils import gather_object
from datasets import Dataset
from trl import GRPOConfig

from paretohqd.frames.conversations.prompts import read_prompt, write_prompt
from paretohqd.models.adapter_settings import adapter_config, check_modules
from paretohqd.models.chat import (
    answer_text,
    check_room,
    context_tokens,
    encode_prompts,
    messages,
    stop_tokens,
)
from paretohqd.models.machine import Machine
from paretohqd.rewards.scoring import Reward
from paretohqd.trainers.budget import Budget, StopsAtBudget
from paretohqd.trainers.chat_trainer import ChatTrainer
from paretohqd.trainers.credit import Credit
from paretohqd.trainers.keys import GRPO
from paretohqd.trainers.rollouts import Rollouts, check_constants
from paretohqd.trainers.settings import Kind
from paretohqd.trainers.training import (
    OnStep,
    lora_settings,
    run_trainer,
    trainable_parameters,
)

DEFAULTS: dict[str, Any] = {
    # 4 prompts x 4 answers a step, trained on in 4 parts (3.3 GB with SmolLM2-135M, 7.1 in one).
    "per_device_train_batch_size": 4,
    "gradient_accumulation_steps": 4,
    "num_generations": 4,
    "max_completion_length": 32,
    # What is sampled is what is trained: a lower top_p would train on another distribution.
    "temperature": 1.0,
    "top_p": 1.0,
    "loss_type": "dapo",
    "scale_rewards": "group",
    "multi_objective_aggregation": "sum_then_normalize",
    "learning_rate": 3e-4,
    "lr_scheduler_type": "constant",
    # Answers are sampled in train mode, where dropout would act.
    "disable_dropout": True,
    "gradient_checkpointing": False,
    "ddp_find_unused_parameters": False,
    "report_to": "none",
}
"""Small-scale values that were seen to work with SmolLM2-135M (ours); the rest is TRL's."""

KIND = Kind(GRPOConfig, GRPO, DEFAULTS)
"""What `reinforcement` is. The run decides the number of steps and what one is: a batch of new
answers to the next prompts in order, each trained on once and whole; that is what budgets count."""

STEPS = 30
"""Steps where neither they nor a budget are given."""

WATCH = 1e-30
"""Stands in for beta = 0, for which TRL computes no KL. TRL's own pass over the base then gives the
figure for the log, and a gradient 1e-30 times as large as the others is lost in the rounding of
their sum: not a bit of the adapter changes (there is a test). A step then takes a third longer:
26 s of CPU in place of 19 with SmolLM2-135M on one thread. RLHF with a KL penalty pays it too."""


class GrpoFacts(TypedDict):
    """What the manifest says of a training."""

    steps: int
    trained_tokens: int
    generated_tokens: int
    scored: int
    """Answers that were scored."""
    weights: list[float]
    constants: dict[str, list[float]]
    echo_gate: float | None
    processes: int
    trainable_parameters: int
    settings: dict[str, Any]
    """The settings in force."""
    lora: dict[str, Any]


def check_settings(given: Mapping[str, Any], lora: Mapping[str, Any], where: str = "grpo") -> None:
    """Refuse settings for GRPOConfig and LoraConfig that could not be followed, before any work.

    Raises:
        ValueError: See `sft.check_settings`.
    """
    KIND.check_all(given, lora, where)


def check_budgeted(given: Mapping[str, Any], where: str = "grpo") -> None:
    """Refuse settings that need the number of steps: a budget of tokens gives none.

    Raises:
        ValueError: A learning rate that changes over all steps, or a warm-up as a share of them.
    """
    chosen = {**DEFAULTS, **given}
    kind, warmup = str(chosen["lr_scheduler_type"]), chosen.get("warmup_steps", 0)
    for name, value, wrong in (
        ("lr_scheduler_type", kind, not kind.startswith("constant")),
        ("warmup_steps", warmup, 0 < warmup < 1),
    ):
        if wrong:
            raise ValueError(
                f"{where}.{name}: {value} needs to know the number of steps, and a budget of "
                "tokens gives none: use constant and whole steps, or a number of steps in its place"
            )


def reinforce(
    model: Any,
    tokenizer: Any,
    prompts: Sequence[str],
    rewards: Sequence[Reward],
    weights: Sequence[float],
    out: Path,
    *,
    machine: Machine,
    settings: Mapping[str, Any],
    lora: Mapping[str, Any],
    constants: Mapping[str, tuple[float, float]],
    seed: int = 0,
    steps: int | None = None,
    trained_tokens: int | None = None,
    generated_tokens: int | None = None,
    seconds: float | None = None,
    prices: Mapping[str, float] | None = None,
    echo_gate: float | None = None,
    credit: Credit | None = None,
    originals: Mapping[str, str] | None = None,
    on_step: OnStep | None = None,
) -> GrpoFacts:
    """Train one fresh adapter on sum_i w_i (r_i - mean_i) / deviation_i and save it.

    The KL to the base is logged at every step whatever `beta` is: with beta = 0, TRL's default, it
    is watched and not trained on (see WATCH), for one forward pass more per answer. At the first
    step it is 0, because an adapter starts as the base.

    A training that was killed starts anew: it keeps no checkpoints.

    Args:
        model: The base model, freshly loaded (in float32 on a CPU); the call wraps it.
        tokenizer: Its tokenizer, with a chat template.
        prompts: Prompts as texts, answered in this order and from the first again after the last.
        rewards: M scorers of (prompt, answer).
        weights: M weights, the preference.
        out: Folder for `adapter/` and `log.json`, one entry per step: see `Rollouts`, and of TRL
            the standardised and weighted reward, KL and entropy per token, the share of prompts
            whose answers all got the same reward (they train nothing), loss, gradient norm.
        machine: Device and number format.
        settings: For GRPOConfig, over DEFAULTS.
        lora: Settings for LoraConfig, over adapter_settings.LORA_DEFAULTS; its dropout is always 0.
        constants: {name: (mean, deviation)}, frozen: see `standard_constants`. Without them the
            reward with the widest scores would decide alone.
        seed: Fixes the adapter's start and what is sampled.
        steps: Steps to train; STEPS where nothing limits them.
        trained_tokens: Stop at the whole number of steps nearest to this many tokens of prompts
            and answers, padding not counted.
        generated_tokens: The same for tokens of answers; the first limit that is met holds.
        seconds: The same for what all tokens cost at `prices`.
        prices: Seconds of a token, by the names trained_tokens and generated_tokens.
        echo_gate: An answer of whose distinct words more than this share stands in the prompt gets
            the standardised reward -3 in every objective, so that similarity to the prompt cannot
            be had by repeating it (ours). None: no gate.
        credit: What the advantages are, in place of those of the weighted sum, which then is logged
            alone; what it says of them is in the log, too.
        originals: What rewards see in the place of a prompt, where these have something added that
            only the model is to read.
        on_step: Called with (steps done, steps in all); the second is an estimate with a budget.

    Returns:
        Facts for the manifest.

    Raises:
        ValueError: Settings that could not be followed, no prompts or one that leaves no room for
            an answer, weights or constants that do not fit the rewards, a budget too small for a
            step, a score that is not finite, or a training that diverged. Nothing is saved then.
    """
    check_settings(settings, lora)
    check_modules(model, lora)
    chosen = KIND.merged(settings)
    if not prompts:
        raise ValueError("no prompts to train on")
    prompts = [write_prompt(read_prompt(prompt)) for prompt in prompts]  # as they come back
    check_constants(rewards, weights, constants)
    lengths = _prompt_lengths(model, tokenizer, prompts, chosen["max_completion_length"])
    wish = {"trained_tokens": trained_tokens, "generated_tokens": generated_tokens}
    limits = {name: limit for name, limit in wish.items() if limit is not None}
    limited = bool(limits) or seconds is not None
    budget = Budget(
        steps=STEPS if steps is None and not limited else steps,
        tokens=limits,
        seconds=seconds,
        prices=prices or {},
    )
    if limited:
        check_budgeted(chosen)
    stop = stop_tokens(model, tokenizer)
    rollouts = Rollouts(
        rewards,
        constants,
        prompt_tokens=lengths,
        stop=stop,
        read=lambda ids: answer_text(tokenizer, [i for i in ids if i not in stop]),
        echo_gate=echo_gate,
        gather=gather_object,
        originals=originals,
    )

    def make() -> ChatTrainer:
        arguments = KIND.build(
            {**chosen, "beta": chosen.get("beta", 0.0) or WATCH},
            machine,
            "grpo",
            output_dir=str(out / "checkpoints"),
            seed=seed,
            reward_weights=[float(w) for w in weights],
            shuffle_dataset=False,
            logging_steps=1,
            save_strategy="no",
        )
        per_step = arguments.generation_batch_size // arguments.num_generations
        first = [lengths[prompts[i % len(prompts)]] for i in range(per_step)]
        arguments.max_steps = _most_steps(budget, arguments, first)
        return ChatTrainer(
            model=model,
            reward_funcs=rollouts.functions(),
            args=arguments,
            train_dataset=_rounds(prompts, per_step),
            processing_class=tokenizer,
            peft_config=adapter_config(lora, lora_dropout=0.0),
            callbacks=[StopsAtBudget(budget, rollouts.steps, on_step)],
            rollouts=rollouts,
            credit=credit,
        )

    trainer = run_trainer(
        make,
        out,
        seed=seed,
        train=ChatTrainer.train,  # a budget ends it before its last step
        log=lambda trainer: _log(trainer.state.log_history, rollouts.steps),
    )
    return {
        "steps": trainer.state.global_step,
        "trained_tokens": rollouts.counts["trained_tokens"],
        "generated_tokens": rollouts.counts["generated_tokens"],
        "scored": rollouts.counts["scored"],
        "weights": [float(w) for w in weights],
        "constants": {reward.name: list(constants[reward.name]) for reward in rewards},
        "echo_gate": echo_gate,
        "processes": trainer.args.world_size,
        "trainable_parameters": trainable_parameters(trainer),
        "settings": chosen,
        "lora": lora_settings(trainer),
    }


def _most_steps(budget: Budget, arguments: GRPOConfig, first: Sequence[int]) -> int:
    """Steps that are never exceeded, if the budget pays for the first with prompts so long."""
    answers = arguments.generation_batch_size
    generated = answers * arguments.max_completion_length
    read = arguments.num_generations * sum(first)
    budget.check({"trained_tokens": read + generated, "generated_tokens": generated})
    return budget.most(answers)


def _prompt_lengths(
    model: Any, tokenizer: Any, prompts: Sequence[str], answer: int
) -> dict[str, int]:
    """Tokens of each prompt in the chat template; each must leave room for an answer."""
    unique = list(dict.fromkeys(prompts))
    lengths = [len(ids) for ids in encode_prompts(tokenizer, unique)]
    room = context_tokens(model.config)
    check_room(lengths, answer, room, longest="max_completion_length")
    return dict(zip(unique, lengths, strict=True))


def _rounds(prompts: Sequence[str], per_step: int) -> Dataset:
    """Prompts as messages, gone through until a step of `per_step` ends where they end.

    TRL drops an incomplete last step of each round through its data.
    """
    rows = math.lcm(len(prompts), per_step)
    return Dataset.from_dict({"prompt": [messages(prompts[i % len(prompts)]) for i in range(rows)]})


def _log(history: Sequence[Mapping[str, Any]], steps: Sequence[Mapping[str, Any]]) -> list[Any]:
    """One entry per step: what TRL measured, and what the rollouts recorded."""
    names = {"reward": "reward", "reward_std": "reward_deviation", "kl": "kl", "entropy": "entropy"}
    names |= {"frac_reward_zero_std": "no_signal", "loss": "loss", "grad_norm": "grad_norm"}
    names["learning_rate"] = "learning_rate"
    measured = [entry for entry in history if "loss" in entry]
    return [
        {"step": one["step"], **{ours: one.get(theirs) for theirs, ours in names.items()}, **own}
        for one, own in zip(measured, steps, strict=True)
    ]
