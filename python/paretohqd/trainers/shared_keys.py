"""What a run makes of the settings that all trainers share: transformers' TrainingArguments."""

from __future__ import annotations

import re
from collections.abc import Mapping

from paretohqd.models.setting_rules import (
    OTHER_PARALLELISM,
    PLAIN_WORDS,
    YES_OR_NO,
    Follow,
    Keys,
    for_reason,
    is_whole,
    number,
    one_of,
    or_none,
    plain,
    steps_or_share,
    texts,
    whole,
)

OPTIMISER = {
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
        "a section or null",
        lambda v: v is None or isinstance(v, Mapping),
        f"of numbers, true, false, null, {', '.join(PLAIN_WORDS)}",
        lambda v: v is None or all(map(plain, v.values())),
    ),
    "warmup_steps": steps_or_share(0, above=False),
    "weight_decay": number(0),
    "adam_beta1": number(0, 1, below=True),
    "adam_beta2": number(0, 1, below=True),
    "adam_epsilon": number(0),
    "max_grad_norm": number(0),
}

BATCHES = {
    "per_device_train_batch_size": whole(1),
    "gradient_accumulation_steps": whole(1),
}

MEMORY = {
    "activation_checkpointing": YES_OR_NO,
    "gradient_checkpointing": YES_OR_NO,
    "torch_empty_cache_steps": or_none(whole(1)),
}

TRACKERS = ("none", "tensorboard")
"""What keeps a log on this machine."""

COMMON = {
    **OPTIMISER,
    **BATCHES,
    **MEMORY,
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
        f"{' or '.join(TRACKERS)}, or a list of them",
        lambda v: v in TRACKERS or (texts(v) and set(v) <= set(TRACKERS)),
        why="others send what is trained and logged elsewhere",
        is_unsafe=lambda v: isinstance(v, str) or texts(v),
    ),
    "run_name": or_none(
        Follow(
            "text",
            lambda v: isinstance(v, str),
            "of at most 100 letters, digits, spaces and _.,-",
            lambda v: re.fullmatch(r"[\w .,-]{1,100}", v) is not None,
        )
    ),
}

LENGTH = {"max_steps": whole(1, -1), "num_train_epochs": number(0, above=True)}
"""How long a training is: given one, the other's default does not hold."""

KEPT = {
    "logging_strategy": one_of("steps", "epoch", "no"),
    "logging_steps": steps_or_share(0, above=True),
    "logging_first_step": YES_OR_NO,
    "save_strategy": one_of("steps", "epoch", "no", why="a fit has no rows to evaluate on"),
    "save_steps": steps_or_share(0, above=True),
    "save_total_limit": or_none(whole(1)),
}

LOADER = {
    "dataloader_num_workers": whole(0),
    "dataloader_pin_memory": YES_OR_NO,
    "dataloader_persistent_workers": YES_OR_NO,
    "dataloader_prefetch_factor": or_none(whole(1)),
    "dataloader_in_order": YES_OR_NO,
}

OWN = {
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
UPLOADS = "a run sends nothing anywhere"
EVALUATES = "a fit has no rows to evaluate on: the run evaluates every model on held-out prompts"
ONE_FORMAT = "a run trains and samples in one number format: set precision"
OTHER_ROWS = "rows are built by the run itself"
NO_EFFECT = "it would have no effect here"
LIBRARY_LOGS = "the run keeps what the libraries say in warnings.txt"
GOES_ON = "a run that was stopped could not go on as if it had not been"
COMPILES = "what is compiled, and to which bits, is up to the machine: a run compiles nothing"


UNSAFE = for_reason(
    UPLOADS,
    """
        push_to_hub hub_token hub_private_repo hub_model_id hub_strategy hub_always_push
        hub_revision project trackio_space_id trackio_bucket_id trackio_static_space_id
    """,
)

REFUSED = {
    **for_reason(
        EVALUATES,
        """
            eval_strategy eval_steps eval_delay per_device_eval_batch_size prediction_loss_only
            eval_on_start eval_do_concat_batches eval_use_gather_object eval_accumulation_steps
            include_for_metrics batch_eval_metrics load_best_model_at_end metric_for_best_model
            greater_is_better do_train do_eval do_predict label_names bf16_full_eval fp16_full_eval
        """,
    ),
    **for_reason(ONE_FORMAT, "fp16 tf32"),
    **for_reason(
        OTHER_PARALLELISM, "accelerator_config parallelism_config fsdp fsdp_config deepspeed"
    ),
    **for_reason(
        NOT_TRIED,
        """
            ddp_bucket_cap_mb ddp_broadcast_buffers ddp_static_graph ddp_backend ddp_timeout
            activation_checkpointing_kwargs gradient_checkpointing_kwargs router_aux_loss_coef
            use_cache dataloader_multiprocessing_context full_determinism optim_args
            optim_target_modules
        """,
    ),
    **for_reason(COMPILES, "torch_compile torch_compile_backend torch_compile_mode"),
    **for_reason(
        "it replaces layers of the base that all adapters share",
        "use_liger_kernel liger_kernel_config",
    ),
    **for_reason(
        "rows per step would change in silence: lower per_device_train_batch_size",
        "auto_find_batch_size",
    ),
    **for_reason(
        LIBRARY_LOGS,
        """
            log_level log_level_replica log_on_each_node debug skip_memory_metrics
            include_num_input_tokens_seen
        """,
    ),
    **for_reason(
        GOES_ON,
        """
            save_only_model save_on_each_node enable_jit_checkpoint ignore_data_skip
            restore_callback_states_from_checkpoint
        """,
    ),
    **for_reason(
        "the model and its tokenizer are loaded by the run: see the section model",
        "model_init_kwargs trust_remote_code",
    ),
    **for_reason(OTHER_ROWS, "length_column_name"),
}

TOKENIZED = {
    **for_reason("the tokenizer is the model's own: see the section model", "pad_token"),
    **for_reason(OTHER_ROWS, "padding_free"),
    **for_reason("forked workers can hang: rows are tokenized in one process", "dataset_num_proc"),
    **for_reason(
        "it moves activations through a stream that a CPU has not: set gradient_checkpointing",
        "activation_offloading",
    ),
}
"""Keys of the trainers that are given texts."""


def judged(
    followed: Mapping[str, Follow],
    own: Mapping[str, str],
    refused: Mapping[str, str],
    unsafe: Mapping[str, str] | None = None,
) -> Keys:
    """What is followed or the run's own in one trainer is so, whatever holds for the others."""
    own = {**OWN, **own}
    followed = {k: rule for k, rule in followed.items() if k not in own and k not in refused}
    rest = {**REFUSED, **refused}
    taken = {**followed, **own}
    return Keys(
        followed,
        own,
        {key: why for key, why in rest.items() if key not in taken},
        {**UNSAFE, **(unsafe or {})},
    )
