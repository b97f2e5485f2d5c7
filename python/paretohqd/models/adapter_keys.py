"""What a run makes of each setting of PEFT's LoraConfig: the one place that says so.

All adapters of a run share one base, are put on and off it, and are added up: what changes the base
or cannot be added is refused. A test walks over all fields of the installed version.
"""

from __future__ import annotations

import math

from paretohqd.models.setting_rules import (
    NAMES,
    OTHER_PARALLELISM,
    YES_OR_NO,
    Follow,
    Keys,
    for_reason,
    is_number,
    is_whole,
    number,
    one_of,
    or_none,
    pattern,
    whole,
)

LORA = Keys(
    {
        "r": whole(1),
        "lora_alpha": number(0, above=True),
        "lora_dropout": number(0, 1, below=True),
        "target_modules": NAMES,
        "exclude_modules": or_none(NAMES),
        "use_rslora": YES_OR_NO,
        "use_dora": YES_OR_NO,
        "init_lora_weights": one_of(
            True,
            "gaussian",
            why="others change the base that all adapters share, or do not start as the base",
        ),
        "layers_to_transform": Follow(
            "a layer's number, a list of them or null",
            lambda v: (
                v is None or is_whole(v) or (isinstance(v, list | tuple) and all(map(is_whole, v)))
            ),
            "from 0 on",
            lambda v: v is None or all(n >= 0 for n in (v if not is_whole(v) else [v])),
        ),
        "layers_pattern": or_none(NAMES),
        "rank_pattern": pattern("whole numbers from 1 on", lambda v: is_whole(v) and v >= 1),
        "alpha_pattern": pattern("numbers above 0", lambda v: is_number(v) and 0 < v < math.inf),
        "task_type": one_of("CAUSAL_LM"),
    },
    own=for_reason(
        "", "peft_type auto_mapping peft_version base_model_name_or_path revision inference_mode"
    ),
    refused={
        **for_reason(
            "it trains weights of the base that all adapters share: only one adapter could be "
            "used, and none be added to another",
            "bias modules_to_save trainable_token_indices ensure_weight_tying",
        ),
        **for_reason("it copies layers of the base that all adapters share", "layer_replication"),
        **for_reason(
            "it belongs to a start that changes the base or reads data: init_lora_weights is true "
            "or gaussian",
            "loftq_config eva_config corda_config lora_ga_config",
        ),
        **for_reason(
            "adapters of this kind cannot be added up by their updates",
            """
                lora_bias target_parameters alora_invocation_tokens use_qalora qalora_group_size
                monteclora_config velora_config use_bdlora arrow_config kasa_config
            """,
        ),
        **for_reason(OTHER_PARALLELISM, "megatron_config megatron_core"),
        **for_reason("not tried with adapters of a run", "runtime_config"),
        **for_reason("PEFT sees from the layers themselves how they lie", "fan_in_fan_out"),
    },
)

NOT_ADDED = ("use_rslora", "use_dora")
"""LoraConfig keys that are exact for an adapter alone and wrong in a sum of adapters."""
