"""Training of one LoRA adapter on preference pairs: DPO, and MODPO by a margin.

The trainer is TRL's DPOTrainer (Rafailov et al. 2023, "Direct Preference Optimization", arXiv
2305.18290), the adapter PEFT's LoRA; both follow the user's settings, each key as `trainers.keys`
says.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypedDict

import numpy as np
import polars as pl
from datasets import Dataset
from trl import DPOConfig, DPOTrainer

from paretohqd.frames.conversations.prompts import write_prompt
from paretohqd.models.adapter_settings import adapter_config, check_modules
from paretohqd.models.chat import (
    SIDES,
    answer_lengths,
    check_prompt_lengths,
    check_trainable,
    encode_rows,
    messages,
    pair_lengths,
    stop_tokens,
)
from paretohqd.models.finite import StopsAtNan
from paretohqd.models.library_calls import without_tqdm
from paretohqd.models.machine import Machine
from paretohqd.trainers.cpu_head import put_head
from paretohqd.trainers.keys import DPO
from paretohqd.trainers.schedule import trained_tokens
from paretohqd.trainers.settings import Kind
from paretohqd.trainers.training import (
    OnStep,
    Steps,
    logged,
    lora_settings,
    run_trainer,
    trainable_parameters,
)

DEFAULTS: dict[str, Any] = {
    "per_device_train_batch_size": 8,
    # DPOConfig's own 1e-6 is for whole models: an adapter hardly moves with it.
    "learning_rate": 1e-4,
    "max_length": 512,
    "logging_steps": 1,
    "report_to": "none",
    "save_strategy": "no",
    "gradient_checkpointing": False,
    "ddp_find_unused_parameters": False,
}
"""What differs from DPOConfig; by default the steps are one pass over the pairs."""

KIND = Kind(DPOConfig, DPO, DEFAULTS)
"""What `pairs` is."""

LOGGED = ("rewards/accuracies", "rewards/margins", "logps/chosen", "logps/rejected", "entropy")
"""Kept of each step besides what every training keeps. With a margin the margin is subtracted from
the rewards: rewards/margins is then what the loss takes the sigmoid of."""

MARGIN = "margin"
"""Column of what MODPO takes off a pair's logit."""


class DpoFacts(TypedDict):
    """What the manifest says of a training."""

    pairs: int
    cut_answers: int
    """Answers cut by max_length: they have no end token."""
    processes: int
    steps: int
    trained_tokens: int
    """`pair_lengths` of the pairs trained on."""
    generated_tokens: int
    scored: int
    trainable_parameters: int
    beta: float
    weight: float
    train: dict[str, Any]
    """The settings in force."""
    lora: dict[str, Any]


def check_settings(train: Mapping[str, Any], lora: Mapping[str, Any], where: str = "pairs") -> None:
    """Refuse settings for DPOConfig and LoraConfig that could not be followed, before any work.

    Raises:
        ValueError: See `sft.check_settings`.
    """
    KIND.check_all(train, lora, where)


def fit_pairs(
    model: Any,
    tokenizer: Any,
    pairs: pl.DataFrame,
    out: Path,
    *,
    machine: Machine,
    train: Mapping[str, Any],
    lora: Mapping[str, Any],
    seed: int = 0,
    beta: float = 0.1,
    weight: float = 1.0,
    on_step: OnStep | None = None,
) -> DpoFacts:
    """Train one fresh adapter on preference pairs, in their order, and save it.

    With dc and dr for log pi - log pi_ref of the chosen and the rejected answer the loss is

        -log sigmoid((beta (dc - dr) - margin) / weight),

    MODPO's (Zhou et al. 2023, "Beyond One-Preference-Fits-All Alignment: Multi-Objective Direct
    Preference Optimization", arXiv 2310.03708): weight is that of the objective whose preferences
    the pairs are, margin = w_rest . (r_rest(chosen) - r_rest(rejected)). Margin 0 and weight 1 is
    DPO. pi_ref is the model without the adapter. Dropout is off, unlike in `sft.fit`, because the
    reference has none.

    Args:
        model: The base model, freshly loaded (in float32 on a CPU); the call wraps it.
        tokenizer: Its tokenizer, with a chat template.
        pairs: Columns prompt, chosen, rejected and, for MODPO, margin; n pairs in training order.
        out: Folder for `adapter/` and `log.json`. Checkpoints that an interrupted call left there
            (`save_strategy: steps`) are continued from.
        machine: Device and number format.
        train: Settings for DPOConfig, over DEFAULTS; one pass over the pairs where neither
            max_steps nor num_train_epochs is given.
        lora: Settings for LoraConfig, over adapter_settings.LORA_DEFAULTS.
        seed: Fixes the adapter's start.
        beta: How much a difference of log-probabilities counts: larger stays nearer to the base.
        weight: The main objective's, above 0 and at most 1.
        on_step: Called with (steps done, steps in all).

    Returns:
        Facts for the manifest.

    Raises:
        ValueError: Settings that could not be followed, no pairs, missing columns or values, a pair
            of two equal answers, a beta or weight out of range, a prompt that fills max_length,
            answers that are all cut short, a chat template that does not end answers, an adapter
            without trainable parameters, or a training that diverged. Nothing is saved then.
    """
    check_settings(train, lora)
    check_modules(model, lora)
    chosen = KIND.merged(train)
    _check_pairs(pairs)
    if not 0 < weight <= 1 or not 0 < beta < math.inf:
        raise ValueError(
            f"weight must be above 0 and at most 1, and beta above 0: {weight=}, {beta=}"
        )
    limit = chosen["max_length"]
    check_prompt_lengths(tokenizer, pairs, limit, section="pairs")
    stop = stop_tokens(model, tokenizer)
    check_trainable(tokenizer, stop)
    sizes = answer_lengths(tokenizer, pairs, SIDES, stop=stop)
    cut = 0 if limit is None else int((sizes > limit).sum())
    if cut == sizes.size:
        raise ValueError(
            f"max_length={limit} cuts all {cut} answers short: no end token would be trained, and "
            "the model would never stop: raise pairs.max_length"
        )
    one_pass = not {"max_steps", "num_train_epochs"} & chosen.keys()
    dropout = {} if chosen.get("disable_dropout") is False else {"lora_dropout": 0.0}

    def make() -> PairTrainer:
        arguments = KIND.build(
            {**chosen, "num_train_epochs": 1} if one_pass else chosen,
            machine,
            "pairs",
            output_dir=str(out / "checkpoints"),
            seed=seed,
            beta=beta,
            precompute_ref_log_probs=True,
            train_sampling_strategy="sequential",
        )
        return PairTrainer(
            model=model,
            args=arguments,
            train_dataset=_dataset(pairs),
            processing_class=tokenizer,
            peft_config=adapter_config(lora, **dropout),
            callbacks=[Steps(on_step)] if on_step else None,
            stop=stop,
            weight=weight,
        )

    with without_tqdm():
        trainer = run_trainer(make, out, seed=seed, log=lambda trainer: logged(trainer, LOGGED))
    arguments, steps = trainer.args, trainer.state.global_step
    batch = (
        arguments.train_batch_size * arguments.gradient_accumulation_steps * arguments.world_size
    )
    lengths = pair_lengths(tokenizer, pairs, limit, stop=stop)
    return {
        "pairs": len(pairs),
        "cut_answers": cut,
        "processes": arguments.world_size,
        "steps": steps,
        "trained_tokens": trained_tokens(lengths, batch, steps),
        "generated_tokens": 0,
        "scored": 0,
        "trainable_parameters": trainable_parameters(trainer),
        "beta": beta,
        "weight": weight,
        "train": chosen,
        "lora": lora_settings(trainer),
    }


class PairTrainer(StopsAtNan, DPOTrainer):  # type: ignore[misc]
    """DPOTrainer that trains nothing behind an answer's end token and knows MODPO's margin.

    MODPO's loss is DPO's own with margin / beta added to the reference's log-probability of the
    chosen answer, and beta / weight for beta: no loss of ours.
    """

    def __init__(self, *args: Any, stop: list[int], weight: float, **more: Any) -> None:
        """Take what DPOTrainer takes, the ids that end an answer and the main weight."""
        self.stop = stop
        super().__init__(*args, **more)
        # Behind the reference's computation, which divides the margin by beta itself.
        self.beta = self.args.beta / weight

    def _prepare_dataset(
        self, dataset: Dataset, processing_class: Any, args: Any, dataset_name: str
    ) -> Dataset:
        """Token ids as the sampler reads them, and nothing behind an answer's end token."""
        ids: dict[str, list[list[int]]] = {}
        prompts = [write_prompt(talk) for talk in dataset["prompt"]]
        for side in SIDES:
            rows = encode_rows(
                processing_class,
                prompts,
                [talk[0]["content"] for talk in dataset[side]],
                stop=self.stop,
            )
            ids["prompt_ids"] = [row.prompt for row in rows]
            ids[f"{side}_ids"] = [row.answer for row in rows]
        more = {MARGIN: dataset[MARGIN]} if MARGIN in dataset.column_names else {}
        return Dataset.from_dict({**ids, **more})

    def _precompute_ref_logps(self, dataset: Dataset, name: str, batch_size: int) -> Dataset:
        """The one place that every data set passes before training or evaluation."""
        # Before the reference is read: it and the policy are to round alike.
        put_head(self.model.get_base_model(), longest=self.args.max_length)
        dataset = super()._precompute_ref_logps(dataset, name, batch_size)
        if MARGIN not in dataset.column_names:  # DPO; the trainer would ignore the column
            return dataset
        shift = np.array(dataset[MARGIN], dtype=np.float64) / self.args.beta
        chosen = np.array(dataset["ref_chosen_logps"], dtype=np.float64) + shift
        return dataset.remove_columns("ref_chosen_logps").add_column(
            "ref_chosen_logps", chosen.tolist()
        )


def _dataset(pairs: pl.DataFrame) -> Dataset:
    """The conversational prompt, chosen and rejected that DPOTrainer takes."""
    rows = []
    for row in pairs.iter_rows(named=True):
        answers = {side: [{"role": "assistant", "content": row[side]}] for side in SIDES}
        margin = {MARGIN: float(row[MARGIN])} if MARGIN in row else {}
        rows.append({"prompt": messages(row["prompt"]), **answers, **margin})
    return Dataset.from_list(rows)


def _check_pairs(pairs: pl.DataFrame) -> None:
    for name in ("prompt", "chosen", "rejected"):
        if name not in pairs.columns or pairs[name].dtype != pl.String:
            raise ValueError(
                f"pairs need a text column {name!r}; the frame has {', '.join(pairs.columns)}"
            )
        if pairs[name].null_count():
            raise ValueError(f"column {name!r} holds {pairs[name].null_count()} nulls")
    if pairs.is_empty():
        raise ValueError("no pairs to train on")
    equal = pairs["chosen"] == pairs["rejected"]
    if equal.any():
        raise ValueError(
            f"{equal.sum()} of {len(pairs)} pairs hold one text twice (first: row "
            f"{equal.arg_max()}): nothing is learned from them; leave them out"
        )
    if MARGIN in pairs.columns:
        margin = pairs[MARGIN]
        if not margin.dtype.is_numeric() or not margin.is_finite().fill_null(False).all():
            raise ValueError("column 'margin' must hold a finite number in every row")
