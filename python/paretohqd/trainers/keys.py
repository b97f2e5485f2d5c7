"""What a run makes of each setting of TRL's trainers: the one place that says so.

A test walks over all fields of the installed versions, so that a key that a new version brings is
judged before it is used.
"""

from __future__ import annotations

from collections.abc import Mapping

from paretohqd.models.setting_rules import (
    OTHER_PARALLELISM,
    YES_OR_NO,
    Follow,
    Keys,
    for_reason,
    is_whole,
    number,
    one_of,
    or_none,
    steps_or_share,
    texts,
    whole,
)

# ── what all trainers share: transformers' TrainingArguments ─────────────────────────────────────

_OPTIMISER = {
    "learning_rate": number(0),
    "lr_scheduler_type": one_of(
        "linear",
        "cosine",
        "cosine_with_restarts",
        "polynomial",
        "constant",
        "constant_with_warmup",
        "inverse_sqrt",
        "cosine_with_min_lr",
        "cosine_warmup_with_min_lr",
        "warmup_stable_decay",
        why="others need rows to evaluate on",
    ),
    "lr_scheduler_kwargs": Follow(
        "a section or null", lambda v: v is None or isinstance(v, Mapping)
    ),
    "warmup_steps": steps_or_share(0, above=False),
    "weight_decay": number(0),
    "adam_beta1": number(0, 1, below=True),
    "adam_beta2": number(0, 1, below=True),
    "adam_epsilon": number(0),
    "max_grad_norm": number(0),
}

_BATCHES = {
    "per_device_train_batch_size": whole(1),
    "gradient_accumulation_steps": whole(1),
}

_MEMORY = {
    "activation_checkpointing": YES_OR_NO,
    "gradient_checkpointing": YES_OR_NO,
    "torch_empty_cache_steps": or_none(whole(1)),
}

_COMMON = {
    **_OPTIMISER,
    **_BATCHES,
    **_MEMORY,
    "optim": one_of(
        "adamw_torch",
        "adamw_torch_fused",
        "adafactor",
        "sgd",
        "adagrad",
        "rmsprop",
        why="others need packages that are not tried with a run",
    ),
    "pad_to_multiple_of": Follow(
        "a whole number, auto or null",
        lambda v: v in (None, "auto") or is_whole(v),
        "from 1 on",
        lambda v: not is_whole(v) or v >= 1,
    ),
    "average_tokens_across_devices": YES_OR_NO,
    "ddp_find_unused_parameters": or_none(YES_OR_NO),
    "report_to": Follow(
        "the name of a tracker, or a list of them", lambda v: isinstance(v, str) or texts(v)
    ),
    "run_name": or_none(Follow("text", lambda v: isinstance(v, str))),
}

_LENGTH = {"max_steps": whole(1, -1), "num_train_epochs": number(0, above=True)}
"""How long a training is: given one, the other's default does not hold."""

LENGTH = tuple(_LENGTH)

_KEPT = {
    "logging_strategy": one_of("steps", "epoch", "no"),
    "logging_steps": steps_or_share(0, above=True),
    "logging_first_step": YES_OR_NO,
    "save_strategy": one_of("steps", "epoch", "no", why="a fit has no rows to evaluate on"),
    "save_steps": steps_or_share(0, above=True),
    "save_total_limit": or_none(whole(1)),
}

_LOADER = {
    "dataloader_num_workers": whole(0),
    "dataloader_pin_memory": YES_OR_NO,
    "dataloader_persistent_workers": YES_OR_NO,
    "dataloader_prefetch_factor": or_none(whole(1)),
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

_NOT_TRIED = "not tried with adapters of a run"
_UPLOADS = "a run sends nothing anywhere"
_EVALUATES = "a fit has no rows to evaluate on: the run evaluates every model on held-out prompts"
_ONE_FORMAT = "a run trains and samples in one number format: set precision"
_OTHER_ROWS = "rows are built by the run itself"
_NO_EFFECT = "it would have no effect here"
_LIBRARY_LOGS = "the run keeps what the libraries say in warnings.txt"
_GOES_ON = "a run that was stopped could not go on as if it had not been"
_COMPILES = "what is compiled, and to which bits, is up to the machine: a run compiles nothing"


_REFUSED = {
    **for_reason(
        _UPLOADS,
        "push_to_hub",
        "hub_token",
        "hub_private_repo",
        "hub_model_id",
        "hub_strategy",
        "hub_always_push",
        "hub_revision",
        "project",
        "trackio_space_id",
        "trackio_bucket_id",
        "trackio_static_space_id",
    ),
    **for_reason(
        _EVALUATES,
        "eval_strategy",
        "eval_steps",
        "eval_delay",
        "per_device_eval_batch_size",
        "prediction_loss_only",
        "eval_on_start",
        "eval_do_concat_batches",
        "eval_use_gather_object",
        "eval_accumulation_steps",
        "include_for_metrics",
        "batch_eval_metrics",
        "load_best_model_at_end",
        "metric_for_best_model",
        "greater_is_better",
        "do_train",
        "do_eval",
        "do_predict",
        "label_names",
        "bf16_full_eval",
        "fp16_full_eval",
    ),
    **for_reason(_ONE_FORMAT, "fp16", "tf32"),
    **for_reason(
        OTHER_PARALLELISM,
        "accelerator_config",
        "parallelism_config",
        "fsdp",
        "fsdp_config",
        "deepspeed",
    ),
    **for_reason(
        _NOT_TRIED,
        "ddp_bucket_cap_mb",
        "ddp_broadcast_buffers",
        "ddp_static_graph",
        "ddp_backend",
        "ddp_timeout",
        "activation_checkpointing_kwargs",
        "gradient_checkpointing_kwargs",
        "router_aux_loss_coef",
        "use_cache",
        "dataloader_multiprocessing_context",
        "full_determinism",
        "optim_args",
        "optim_target_modules",
    ),
    **for_reason(_COMPILES, "torch_compile", "torch_compile_backend", "torch_compile_mode"),
    **for_reason(
        "it replaces layers of the base that all adapters share",
        "use_liger_kernel",
        "liger_kernel_config",
    ),
    **for_reason(
        "rows per step would change in silence: lower per_device_train_batch_size",
        "auto_find_batch_size",
    ),
    **for_reason(
        _LIBRARY_LOGS,
        "log_level",
        "log_level_replica",
        "log_on_each_node",
        "debug",
        "skip_memory_metrics",
        "include_num_input_tokens_seen",
    ),
    **for_reason(
        _GOES_ON,
        "save_only_model",
        "save_on_each_node",
        "enable_jit_checkpoint",
        "ignore_data_skip",
        "restore_callback_states_from_checkpoint",
    ),
    **for_reason(
        "the model and its tokenizer are loaded by the run: see the section model",
        "model_init_kwargs",
        "trust_remote_code",
    ),
    **for_reason(_OTHER_ROWS, "length_column_name"),
}

_TOKENIZED = {
    **for_reason("the tokenizer is the model's own: see the section model", "pad_token"),
    **for_reason(_OTHER_ROWS, "padding_free"),
    **for_reason("forked workers can hang: rows are tokenized in one process", "dataset_num_proc"),
    **for_reason(
        "it moves activations through a stream that a CPU has not: set gradient_checkpointing",
        "activation_offloading",
    ),
}
"""Of the trainers that are given texts."""


def _keys(
    followed: Mapping[str, Follow], own: Mapping[str, str], refused: Mapping[str, str]
) -> Keys:
    """What is followed or the run's own in one trainer is so, whatever holds for the others."""
    own = {**_OWN, **own}
    followed = {k: rule for k, rule in followed.items() if k not in own and k not in refused}
    rest = {**_REFUSED, **refused}
    taken = {**followed, **own}
    return Keys(followed, own, {key: why for key, why in rest.items() if key not in taken})


# ── supervised fine-tuning ───────────────────────────────────────────────────────────────────────

SFT = _keys(
    {
        **_COMMON,
        **_LENGTH,
        **_KEPT,
        **_LOADER,
        "dataloader_drop_last": YES_OR_NO,
        "max_length": or_none(whole(1)),
        "loss_type": one_of("nll", "dft"),
        "label_smoothing_factor": number(0, 1, below=True),
        "neftune_noise_alpha": or_none(number(0, above=True)),
        "packing": YES_OR_NO,
        "packing_strategy": one_of(
            "wrapped",
            why="others need flash attention, without which rows read each other",
        ),
        "train_sampling_strategy": one_of("random", "sequential", "group_by_length"),
    },
    own={"completion_only_loss": "", "assistant_only_loss": ""},
    refused=_TOKENIZED
    | for_reason(
        _OTHER_ROWS,
        "dataset_text_field",
        "dataset_kwargs",
        "truncation_mode",
        "shuffle_dataset",
        "eval_packing",
        "chat_template_path",
        "eos_token",
    ),
)

# ── preference pairs ─────────────────────────────────────────────────────────────────────────────

DPO = _keys(
    {
        **_COMMON,
        **_LENGTH,
        **_KEPT,
        **_LOADER,
        "max_length": or_none(whole(1)),
        "disable_dropout": YES_OR_NO,
        "precompute_ref_batch_size": or_none(whole(1)),
    },
    own={
        **for_reason(
            "",
            "loss_type",
            "loss_weights",
            "ld_alpha",
            "f_divergence_type",
            "use_weighting",
            "sync_ref_model",
            "precompute_ref_log_probs",
            "truncation_mode",
            "train_sampling_strategy",
            "dataloader_drop_last",
        ),
        "beta": "the method's option beta",
    },
    refused=_TOKENIZED
    | for_reason(
        f"it belongs to a loss that is not used: {_NO_EFFECT}",
        "f_alpha_divergence_coef",
        "label_smoothing",
        "label_smoothing_factor",
        "discopop_tau",
        "ref_model_mixup_alpha",
        "ref_model_sync_steps",
    )
    | for_reason("the reference is read without noise", "neftune_noise_alpha"),
)

# ── reinforcement learning ───────────────────────────────────────────────────────────────────────

GRPO = _keys(
    {
        **_COMMON,
        "disable_dropout": YES_OR_NO,
        "num_generations": whole(2),
        "max_completion_length": whole(1),
        "temperature": number(0, above=True),
        "top_p": number(0, 1, above=True),
        "top_k": whole(0),
        "min_p": or_none(number(0, 1)),
        "repetition_penalty": number(0, above=True),
        "beta": number(0),
        "loss_type": one_of("grpo", "bnpo", "dr_grpo", "dapo"),
        "importance_sampling_level": one_of("token", "sequence"),
        "scale_rewards": one_of("group", "batch", "none", True, False),
        "multi_objective_aggregation": one_of("sum_then_normalize", "normalize_then_sum"),
        "top_entropy_quantile": number(0, 1),
        "entropy_coef": number(0),
    },
    own=for_reason(
        "",
        "max_steps",
        "num_train_epochs",
        "num_iterations",
        "steps_per_generation",
        "generation_batch_size",
        "shuffle_dataset",
        "reward_weights",
        "mask_truncated_completions",
        "logging_steps",
        "logging_strategy",
        "save_strategy",
    ),
    refused={
        **for_reason(
            f"every answer is trained on once, so its ratio to what sampled it is 1: {_NO_EFFECT}",
            "epsilon",
            "epsilon_high",
            "delta",
            "sapo_temperature_neg",
            "sapo_temperature_pos",
            "vespo_k_pos",
            "vespo_lambda_pos",
            "vespo_k_neg",
            "vespo_lambda_neg",
            "use_bias_correction_kl",
            "off_policy_mask_threshold",
        ),
        **for_reason(
            _NOT_TRIED,
            "use_adaptive_entropy",
            "entropy_coef_min",
            "entropy_coef_max",
            "entropy_coef_delta",
            "entropy_target",
            "cast_lm_head_to_fp32",
            "ds3_gather_for_generation",
            "neftune_noise_alpha",
            *_LOADER,
            "dataloader_drop_last",
        ),
        **for_reason(
            f"the base without its adapter is the reference: {_NO_EFFECT}",
            "sync_ref_model",
            "ref_model_mixup_alpha",
            "ref_model_sync_steps",
        ),
        **for_reason(
            "answers are sampled by transformers, in the run's own process",
            "use_vllm",
            "vllm_mode",
            "vllm_model_impl",
            "vllm_enable_sleep_mode",
            "vllm_structured_outputs_regex",
            "vllm_server_base_url",
            "vllm_server_host",
            "vllm_server_port",
            "vllm_server_timeout",
            "vllm_group_port",
            "vllm_gpu_memory_utilization",
            "vllm_max_model_length",
            "vllm_tensor_parallel_size",
            "vllm_importance_sampling_correction",
            "vllm_importance_sampling_mode",
            "vllm_importance_sampling_clip_max",
            "vllm_importance_sampling_clip_min",
            "vllm_importance_sampling_cap",
            "use_transformers_continuous_batching",
            "transformers_continuous_batching_config",
            "use_transformers_paged",
            "cache_implementation",
            "generation_kwargs",
        ),
        **for_reason(
            "prompts are written by the run itself",
            "chat_template_kwargs",
            "max_tool_calling_iterations",
            "num_generations_eval",
        ),
        **for_reason(
            _UPLOADS,
            "log_completions",
            "log_multimodal",
            "num_completions_to_print",
            "log_unique_prompts",
            "log_completions_hub_repo",
        ),
        **for_reason(
            "each step is logged and no checkpoints are kept",
            "logging_first_step",
            "save_steps",
            "save_total_limit",
        ),
        **for_reason(
            "prompts come in their order and are not padded into labels",
            "train_sampling_strategy",
            "label_smoothing_factor",
        ),
    },
)

# ── several adapters trained together: SFTConfig, of which it takes this ─────────────────────────

_TOGETHER = {
    **_OPTIMISER,
    **_BATCHES,
    "max_steps": _LENGTH["max_steps"],
    "max_length": SFT.followed["max_length"],
}

JOINT = Keys(
    _TOGETHER,
    SFT.own,
    {
        **SFT.refused,
        **for_reason(
            "training several adapters together does not take it",
            *(key for key in SFT.followed if key not in _TOGETHER),
        ),
    },
)
