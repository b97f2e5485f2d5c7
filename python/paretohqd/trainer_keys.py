"""What a run makes of each setting of TRL's trainers and of PEFT's LoRA: the one place that says so.

A key is followed (and which values it may have), set by the run itself, or refused with a reason. A
refused key may state its default: that is what happens anyway. A test walks over all fields of the
installed versions, so that a key that a new version brings is judged before it is used.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Follow:
    """A key that has its effect."""

    kind: str
    """What the value has to be, in words."""
    is_kind: Callable[[Any], bool]
    within: str = ""
    """What more it has to be, in words; "" for nothing."""
    is_within: Callable[[Any], bool] = lambda value: True
    why: str = ""
    """Why not another value, where that is no matter of course."""


@dataclass(frozen=True)
class Keys:
    """The judged keys of one trainer's settings, or of an adapter's."""

    followed: Mapping[str, Follow]
    own: Mapping[str, str]
    """Set by the run itself; what to set in its place, or ""."""
    refused: Mapping[str, str]
    """The reason."""


def _is_whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _whole(low: int, *also: int) -> Follow:
    words = f"from {low} on" + "".join(f", or {value}" for value in also)
    return Follow("a whole number", _is_whole, words, lambda v: v >= low or v in also)


def _number(low: float, high: float = math.inf, *, above: bool = False, below: bool = False) -> Follow:
    start = f"above {low:g}" if above else f"from {low:g} on" if high == math.inf else f"from {low:g}"
    end = "" if high == math.inf else f" and below {high:g}" if below else f" to {high:g}"

    def inside(value: Any) -> bool:
        return (
            math.isfinite(value)
            and (value > low if above else value >= low)
            and (value < high if below else value <= high)
        )

    return Follow("a number", _is_number, start + end, inside)


def _or_none(rule: Follow) -> Follow:
    return Follow(
        f"{rule.kind} or null",
        lambda v: v is None or rule.is_kind(v),
        rule.within,
        lambda v: v is None or rule.is_within(v),
    )


def _one_of(*values: Any, why: str = "") -> Follow:
    words = ", ".join(str(v).lower() if isinstance(v, bool) else str(v) for v in values)
    # True == 1, but it is not what `1` means.
    return Follow(
        f"one of {words}" if len(values) > 1 else words,
        lambda v: any(v == one and type(v) is type(one) for one in values),
        why=why,
    )


def _texts(value: Any) -> bool:
    return isinstance(value, list | tuple | set) and all(isinstance(one, str) for one in value)


def _steps_or_share(low: float, *, above: bool) -> Follow:
    """A whole number of steps, or a share of them all."""
    return Follow(
        "a number", _is_number,
        f"a whole number {'above' if above else 'from'} {low:g}{'' if above else ' on'}, or a share "
        "of all steps below 1",
        lambda v: math.isfinite(v) and (v > low if above else v >= low) and (v < 1 or v == int(v)),
    )  # fmt: skip


def _pattern(kind: str, value: Callable[[Any], bool]) -> Follow:
    return Follow(
        f"a section of module names and {kind}",
        lambda v: isinstance(v, Mapping) and all(isinstance(k, str) and value(v[k]) for k in v),
        "that are valid patterns",
        lambda v: all(map(_compiles, v)),
    )


def _compiles(text: str) -> bool:
    try:
        re.compile(text)
    except re.error:
        return False
    return True


YES_OR_NO = Follow("true or false", lambda value: isinstance(value, bool))
_NAMES = Follow(
    "a module's name, a pattern or a list of names",
    lambda v: (isinstance(v, str) and v != "") or (_texts(v) and bool(v) and "" not in v),
    "that is a valid pattern",
    lambda v: not isinstance(v, str) or _compiles(v),
)

# ── what all trainers share: transformers' TrainingArguments ─────────────────────────────────────

_OPTIMISER = {
    "learning_rate": _number(0),
    "lr_scheduler_type": _one_of(
        "linear", "cosine", "cosine_with_restarts", "polynomial", "constant",
        "constant_with_warmup", "inverse_sqrt", "cosine_with_min_lr", "cosine_warmup_with_min_lr",
        "warmup_stable_decay",
        why="others need rows to evaluate on",
    ),
    "lr_scheduler_kwargs": Follow(
        "a section or null", lambda v: v is None or isinstance(v, Mapping)
    ),
    "warmup_steps": _steps_or_share(0, above=False),
    "weight_decay": _number(0),
    "adam_beta1": _number(0, 1, below=True),
    "adam_beta2": _number(0, 1, below=True),
    "adam_epsilon": _number(0),
    "max_grad_norm": _number(0),
}  # fmt: skip

_BATCHES = {
    "per_device_train_batch_size": _whole(1),
    "gradient_accumulation_steps": _whole(1),
}

_MEMORY = {
    "activation_checkpointing": YES_OR_NO,
    "gradient_checkpointing": YES_OR_NO,
    "torch_empty_cache_steps": _or_none(_whole(1)),
}

_COMMON = {
    **_OPTIMISER,
    **_BATCHES,
    **_MEMORY,
    "optim": _one_of(
        "adamw_torch", "adamw_torch_fused", "adafactor", "sgd", "adagrad", "rmsprop",
        why="others need packages that are not tried with a run",
    ),
    "pad_to_multiple_of": Follow(
        "a whole number, auto or null", lambda v: v in (None, "auto") or _is_whole(v),
        "from 1 on", lambda v: not _is_whole(v) or v >= 1,
    ),
    "average_tokens_across_devices": YES_OR_NO,
    "ddp_find_unused_parameters": _or_none(YES_OR_NO),
    "report_to": Follow(
        "the name of a tracker, or a list of them", lambda v: isinstance(v, str) or _texts(v)
    ),
    "run_name": _or_none(Follow("text", lambda v: isinstance(v, str))),
}  # fmt: skip

_LENGTH = {"max_steps": _whole(1, -1), "num_train_epochs": _number(0, above=True)}
"""How long a training is: given one, the other's default does not hold."""

LENGTH = tuple(_LENGTH)

_KEPT = {
    "logging_strategy": _one_of("steps", "epoch", "no"),
    "logging_steps": _steps_or_share(0, above=True),
    "logging_first_step": YES_OR_NO,
    "save_strategy": _one_of("steps", "epoch", "no", why="a fit has no rows to evaluate on"),
    "save_steps": _steps_or_share(0, above=True),
    "save_total_limit": _or_none(_whole(1)),
}

_LOADER = {
    "dataloader_num_workers": _whole(0),
    "dataloader_pin_memory": YES_OR_NO,
    "dataloader_persistent_workers": YES_OR_NO,
    "dataloader_prefetch_factor": _or_none(_whole(1)),
    "dataloader_in_order": YES_OR_NO,
}

_OWN = {
    "output_dir": "run",
    "use_cpu": "device",
    "seed": "seed",
    "data_seed": "seed",
    "bf16": "precision",
    "disable_tqdm": "",
    "logging_nan_inf_filter": "",
    "remove_unused_columns": "",
    "local_rank": "",
    "resume_from_checkpoint": "",
}

NOT_TRIED = "not tried with adapters of a run"
_UPLOADS = "a run sends nothing anywhere"
_EVALUATES = "a fit has no rows to evaluate on: the run evaluates every model on held-out prompts"
_ONE_FORMAT = "a run trains and samples in one number format: set precision"
_OTHER_PARALLELISM = "adapters are trained and saved by processes that hold the whole model"
_OTHER_ROWS = "rows are built by the run itself"
_NO_EFFECT = "it would have no effect here"
_LIBRARY_LOGS = "the run keeps what the libraries say in warnings.txt"
_GOES_ON = "a run that was stopped could not go on as if it had not been"
_COMPILES = "what is compiled, and to which bits, is up to the machine: a run compiles nothing"


def _all(reason: str, *keys: str) -> dict[str, str]:
    return dict.fromkeys(keys, reason)


_REFUSED = {
    **_all(
        _UPLOADS, "push_to_hub", "hub_token", "hub_private_repo", "hub_model_id", "hub_strategy",
        "hub_always_push", "hub_revision", "project", "trackio_space_id", "trackio_bucket_id",
        "trackio_static_space_id",
    ),
    **_all(
        _EVALUATES, "eval_strategy", "eval_steps", "eval_delay", "per_device_eval_batch_size",
        "prediction_loss_only", "eval_on_start", "eval_do_concat_batches", "eval_use_gather_object",
        "eval_accumulation_steps", "include_for_metrics", "batch_eval_metrics",
        "load_best_model_at_end", "metric_for_best_model", "greater_is_better", "do_train",
        "do_eval", "do_predict", "label_names", "bf16_full_eval", "fp16_full_eval",
    ),
    **_all(_ONE_FORMAT, "fp16", "tf32"),
    **_all(
        _OTHER_PARALLELISM, "accelerator_config", "parallelism_config", "fsdp", "fsdp_config",
        "deepspeed",
    ),
    **_all(
        NOT_TRIED, "ddp_bucket_cap_mb", "ddp_broadcast_buffers", "ddp_static_graph", "ddp_backend",
        "ddp_timeout", "activation_checkpointing_kwargs", "gradient_checkpointing_kwargs",
        "router_aux_loss_coef", "use_cache", "dataloader_multiprocessing_context", "full_determinism",
        "optim_args", "optim_target_modules",
    ),
    **_all(_COMPILES, "torch_compile", "torch_compile_backend", "torch_compile_mode"),
    **_all(
        "it replaces layers of the base that all adapters share", "use_liger_kernel",
        "liger_kernel_config",
    ),
    **_all(
        "rows per step would change in silence: lower per_device_train_batch_size",
        "auto_find_batch_size",
    ),
    **_all(
        _LIBRARY_LOGS, "log_level", "log_level_replica", "log_on_each_node", "debug",
        "skip_memory_metrics", "include_num_input_tokens_seen",
    ),
    **_all(
        _GOES_ON, "save_only_model", "save_on_each_node", "enable_jit_checkpoint",
        "ignore_data_skip", "restore_callback_states_from_checkpoint",
    ),
    **_all(
        "the model and its tokenizer are loaded by the run: see the section model",
        "model_init_kwargs", "trust_remote_code",
    ),
    **_all(_OTHER_ROWS, "length_column_name"),
}  # fmt: skip

_TOKENIZED = {
    **_all("the tokenizer is the model's own: see the section model", "pad_token"),
    **_all(_OTHER_ROWS, "padding_free"),
    **_all("forked workers can hang: rows are tokenized in one process", "dataset_num_proc"),
    **_all(
        "it moves activations through a stream that a CPU has not: set gradient_checkpointing",
        "activation_offloading",
    ),
}  # fmt: skip
"""Of the trainers that are given texts."""


def _keys(
    followed: Mapping[str, Follow], own: Mapping[str, str], refused: Mapping[str, str]
) -> Keys:
    """What is followed or the run's own in one trainer is so, whatever holds for the others."""
    own = {**_OWN, **own}
    followed = {k: rule for k, rule in followed.items() if k not in own and k not in refused}
    rest = {**_REFUSED, **refused}
    return Keys(followed, own, {k: v for k, v in rest.items() if k not in followed and k not in own})


# ── supervised fine-tuning ───────────────────────────────────────────────────────────────────────

SFT = _keys(
    {
        **_COMMON, **_LENGTH, **_KEPT, **_LOADER,
        "dataloader_drop_last": YES_OR_NO,
        "max_length": _or_none(_whole(1)),
        "loss_type": _one_of("nll", "dft"),
        "label_smoothing_factor": _number(0, 1, below=True),
        "neftune_noise_alpha": _or_none(_number(0, above=True)),
        "packing": YES_OR_NO,
        "packing_strategy": _one_of(
            "wrapped", why="others need flash attention, without which rows read each other",
        ),
        "train_sampling_strategy": _one_of("random", "sequential", "group_by_length"),
    },
    own={"completion_only_loss": "", "assistant_only_loss": ""},
    refused=_TOKENIZED | _all(
        _OTHER_ROWS, "dataset_text_field", "dataset_kwargs", "truncation_mode", "shuffle_dataset",
        "eval_packing", "chat_template_path", "eos_token",
    ),
)  # fmt: skip

# ── preference pairs ─────────────────────────────────────────────────────────────────────────────

DPO = _keys(
    {
        **_COMMON, **_LENGTH, **_KEPT, **_LOADER,
        "max_length": _or_none(_whole(1)),
        "disable_dropout": YES_OR_NO,
        "precompute_ref_batch_size": _or_none(_whole(1)),
    },
    own={
        **_all("", "loss_type", "loss_weights", "ld_alpha", "f_divergence_type", "use_weighting",
               "sync_ref_model", "precompute_ref_log_probs", "truncation_mode",
               "train_sampling_strategy", "dataloader_drop_last"),
        "beta": "the method's option beta",
    },
    refused=_TOKENIZED | _all(
        f"it belongs to a loss that is not used: {_NO_EFFECT}", "f_alpha_divergence_coef",
        "label_smoothing", "label_smoothing_factor", "discopop_tau", "ref_model_mixup_alpha",
        "ref_model_sync_steps",
    ) | _all("the reference is read without noise", "neftune_noise_alpha"),
)  # fmt: skip

# ── reinforcement learning ───────────────────────────────────────────────────────────────────────

GRPO = _keys(
    {
        **_COMMON,
        "disable_dropout": YES_OR_NO,
        "num_generations": _whole(2),
        "max_completion_length": _whole(1),
        "temperature": _number(0, above=True),
        "top_p": _number(0, 1, above=True),
        "top_k": _whole(0),
        "min_p": _or_none(_number(0, 1)),
        "repetition_penalty": _number(0, above=True),
        "beta": _number(0),
        "loss_type": _one_of("grpo", "bnpo", "dr_grpo", "dapo"),
        "importance_sampling_level": _one_of("token", "sequence"),
        "scale_rewards": _one_of("group", "batch", "none", True, False),
        "multi_objective_aggregation": _one_of("sum_then_normalize", "normalize_then_sum"),
        "top_entropy_quantile": _number(0, 1),
        "entropy_coef": _number(0),
    },
    own=_all(
        "", "max_steps", "num_train_epochs", "num_iterations", "steps_per_generation",
        "generation_batch_size", "shuffle_dataset", "reward_weights", "mask_truncated_completions",
        "logging_steps", "logging_strategy", "save_strategy",
    ),
    refused={
        **_all(
            f"every answer is trained on once, so its ratio to what sampled it is 1: {_NO_EFFECT}",
            "epsilon", "epsilon_high", "delta", "sapo_temperature_neg", "sapo_temperature_pos",
            "vespo_k_pos", "vespo_lambda_pos", "vespo_k_neg", "vespo_lambda_neg",
            "use_bias_correction_kl", "off_policy_mask_threshold",
        ),
        **_all(
            NOT_TRIED, "use_adaptive_entropy", "entropy_coef_min", "entropy_coef_max",
            "entropy_coef_delta", "entropy_target", "cast_lm_head_to_fp32", "ds3_gather_for_generation",
            "neftune_noise_alpha", *_LOADER, "dataloader_drop_last",
        ),
        **_all(
            f"the base without its adapter is the reference: {_NO_EFFECT}", "sync_ref_model",
            "ref_model_mixup_alpha", "ref_model_sync_steps",
        ),
        **_all(
            "answers are sampled by transformers, in the run's own process", "use_vllm", "vllm_mode",
            "vllm_model_impl", "vllm_enable_sleep_mode", "vllm_structured_outputs_regex",
            "vllm_server_base_url", "vllm_server_host", "vllm_server_port", "vllm_server_timeout",
            "vllm_group_port", "vllm_gpu_memory_utilization", "vllm_max_model_length",
            "vllm_tensor_parallel_size", "vllm_importance_sampling_correction",
            "vllm_importance_sampling_mode", "vllm_importance_sampling_clip_max",
            "vllm_importance_sampling_clip_min", "vllm_importance_sampling_cap",
            "use_transformers_continuous_batching", "transformers_continuous_batching_config",
            "use_transformers_paged", "cache_implementation", "generation_kwargs",
        ),
        **_all(
            "prompts are written by the run itself", "chat_template_kwargs",
            "max_tool_calling_iterations", "num_generations_eval",
        ),
        **_all(
            _UPLOADS, "log_completions", "log_multimodal", "num_completions_to_print",
            "log_unique_prompts", "log_completions_hub_repo",
        ),
        **_all(
            "each step is logged and no checkpoints are kept", "logging_first_step", "save_steps",
            "save_total_limit",
        ),
        **_all(
            "prompts come in their order and are not padded into labels",
            "train_sampling_strategy", "label_smoothing_factor",
        ),
    },
)  # fmt: skip

# ── several adapters trained together: SFTConfig, of which it takes this ─────────────────────────

_TOGETHER = {
    **_OPTIMISER, **_BATCHES,
    "max_steps": _LENGTH["max_steps"], "max_length": SFT.followed["max_length"],
}  # fmt: skip

JOINT = Keys(
    _TOGETHER,
    SFT.own,
    {
        **SFT.refused,
        **_all(
            "training several adapters together does not take it",
            *(key for key in SFT.followed if key not in _TOGETHER),
        ),
    },
)

# ── the adapter: PEFT's LoraConfig ───────────────────────────────────────────────────────────────

LORA = Keys(
    {
        "r": _whole(1),
        "lora_alpha": _number(0, above=True),
        "lora_dropout": _number(0, 1, below=True),
        "target_modules": _NAMES,
        "exclude_modules": _or_none(_NAMES),
        "use_rslora": YES_OR_NO,
        "use_dora": YES_OR_NO,
        "init_lora_weights": _one_of(
            True, "gaussian",
            why="others change the base that all adapters share, or do not start as the base",
        ),
        "layers_to_transform": Follow(
            "a layer's number, a list of them or null",
            lambda v: v is None or _is_whole(v)
            or (isinstance(v, list | tuple) and all(map(_is_whole, v))),
            "from 0 on",
            lambda v: v is None or all(n >= 0 for n in (v if not _is_whole(v) else [v])),
        ),
        "layers_pattern": _or_none(_NAMES),
        "rank_pattern": _pattern("whole numbers from 1 on", lambda v: _is_whole(v) and v >= 1),
        "alpha_pattern": _pattern("numbers above 0", lambda v: _is_number(v) and 0 < v < math.inf),
        "task_type": _one_of("CAUSAL_LM"),
    },
    own=_all(
        "", "peft_type", "auto_mapping", "peft_version", "base_model_name_or_path", "revision",
        "inference_mode",
    ),
    refused={
        **_all(
            "it trains weights of the base that all adapters share: only one adapter could be "
            "used, and none be added to another", "bias", "modules_to_save",
            "trainable_token_indices", "ensure_weight_tying",
        ),
        **_all(
            "it copies layers of the base that all adapters share", "layer_replication",
        ),
        **_all(
            "it belongs to a start that changes the base or reads data: init_lora_weights is true "
            "or gaussian", "loftq_config", "eva_config", "corda_config", "lora_ga_config",
        ),
        **_all(
            "adapters of this kind cannot be added up by their updates", "lora_bias",
            "target_parameters", "alora_invocation_tokens", "use_qalora", "qalora_group_size",
            "monteclora_config", "velora_config", "use_bdlora", "arrow_config", "kasa_config",
        ),
        **_all(_OTHER_PARALLELISM, "megatron_config", "megatron_core"),
        **_all(NOT_TRIED, "runtime_config"),
        **_all("PEFT sees from the layers themselves how they lie", "fan_in_fan_out"),
    },
)  # fmt: skip

NOT_ADDED = ("use_rslora", "use_dora")
"""LoraConfig keys that are exact for an adapter alone and wrong in a sum of adapters."""
