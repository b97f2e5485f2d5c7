"""What a run makes of each setting of TRL's trainers: the one place that says so.

A test walks over all fields of the installed versions, so that a key that a new version brings is
judged before it is used.
"""

from __future__ import annotations

from paretohqd.models.setting_rules import (
    YES_OR_NO,
    Keys,
    for_reason,
    number,
    one_of,
    or_none,
    whole,
)
from paretohqd.trainers.shared_keys import (
    BATCHES,
    COMMON,
    KEPT,
    LENGTH,
    LOADER,
    NO_EFFECT,
    NOT_TRIED,
    OPTIMISER,
    OTHER_ROWS,
    TOKENIZED,
    UPLOADS,
    judged,
)

# ── supervised fine-tuning ───────────────────────────────────────────────────────────────────────

SFT = judged(
    {
        **COMMON,
        **LENGTH,
        **KEPT,
        **LOADER,
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
    refused=TOKENIZED
    | for_reason(
        OTHER_ROWS,
        """
            dataset_text_field dataset_kwargs truncation_mode shuffle_dataset eval_packing
            chat_template_path eos_token
        """,
    ),
)

# ── preference pairs ─────────────────────────────────────────────────────────────────────────────

DPO = judged(
    {
        **COMMON,
        **LENGTH,
        **KEPT,
        **LOADER,
        "max_length": or_none(whole(1)),
        "disable_dropout": YES_OR_NO,
        "precompute_ref_batch_size": or_none(whole(1)),
    },
    own={
        **for_reason(
            "",
            """
                loss_type loss_weights ld_alpha f_divergence_type use_weighting sync_ref_model
                precompute_ref_log_probs truncation_mode train_sampling_strategy
                dataloader_drop_last
            """,
        ),
        "beta": "the method's option beta",
    },
    refused=TOKENIZED
    | for_reason(
        f"it belongs to a loss that is not used: {NO_EFFECT}",
        """
            f_alpha_divergence_coef label_smoothing label_smoothing_factor discopop_tau
            ref_model_mixup_alpha ref_model_sync_steps
        """,
    )
    | for_reason("the reference is read without noise", "neftune_noise_alpha"),
)

# ── reinforcement learning ───────────────────────────────────────────────────────────────────────

GRPO = judged(
    {
        **COMMON,
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
        """
            max_steps num_train_epochs num_iterations steps_per_generation generation_batch_size
            shuffle_dataset reward_weights mask_truncated_completions logging_steps logging_strategy
            save_strategy
        """,
    ),
    refused={
        **for_reason(
            f"every answer is trained on once, so its ratio to what sampled it is 1: {NO_EFFECT}",
            """
                epsilon epsilon_high delta sapo_temperature_neg sapo_temperature_pos vespo_k_pos
                vespo_lambda_pos vespo_k_neg vespo_lambda_neg use_bias_correction_kl
                off_policy_mask_threshold
            """,
        ),
        **for_reason(
            NOT_TRIED,
            """
                use_adaptive_entropy entropy_coef_min entropy_coef_max entropy_coef_delta
                entropy_target cast_lm_head_to_fp32 ds3_gather_for_generation neftune_noise_alpha
                dataloader_drop_last
            """,
        ),
        **dict.fromkeys(LOADER, NOT_TRIED),
        **for_reason(
            f"the base without its adapter is the reference: {NO_EFFECT}",
            "sync_ref_model ref_model_mixup_alpha ref_model_sync_steps",
        ),
        **for_reason(
            "answers are sampled by transformers, in the run's own process",
            """
                use_vllm vllm_mode vllm_model_impl vllm_enable_sleep_mode
                vllm_structured_outputs_regex vllm_server_base_url vllm_server_host vllm_server_port
                vllm_server_timeout vllm_group_port vllm_gpu_memory_utilization
                vllm_max_model_length vllm_tensor_parallel_size vllm_importance_sampling_correction
                vllm_importance_sampling_mode vllm_importance_sampling_clip_max
                vllm_importance_sampling_clip_min vllm_importance_sampling_cap
                use_transformers_continuous_batching transformers_continuous_batching_config
                use_transformers_paged cache_implementation generation_kwargs
            """,
        ),
        **for_reason(
            "prompts are written by the run itself",
            "chat_template_kwargs max_tool_calling_iterations num_generations_eval",
        ),
        **for_reason(
            "each step is logged and no checkpoints are kept",
            "logging_first_step save_steps save_total_limit",
        ),
        **for_reason(
            "prompts come in their order and are not padded into labels",
            "train_sampling_strategy label_smoothing_factor",
        ),
    },
    unsafe=for_reason(
        UPLOADS,
        """
            log_completions log_multimodal num_completions_to_print log_unique_prompts
            log_completions_hub_repo
        """,
    ),
)

# ── several adapters trained together: what these trainings take of SFTConfig and DPOConfig ──────


def _together(whole: Keys) -> Keys:
    """The optimiser, the schedule and what says how long; no other key is followed."""
    taken = {
        **OPTIMISER,
        **BATCHES,
        "max_steps": LENGTH["max_steps"],
        "max_length": whole.followed["max_length"],
    }
    refused = {
        **whole.refused,
        **dict.fromkeys(
            (key for key in whole.followed if key not in taken),
            "training several adapters together does not take it",
        ),
    }
    return Keys(taken, whole.own, refused, whole.unsafe)


JOINT = _together(SFT)
"""HaM's: rows of answers."""
HEADS = _together(DPO)
"""MAH-DPO's: pairs."""
