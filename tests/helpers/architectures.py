"""Tiny random language models of architectures that remember what they have read in other ways."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from helpers.tiny import tiny_tokenizer

SMALL = {
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
}
MAMBA = {
    "mamba_d_state": 8,
    "mamba_chunk_size": 8,
    "mamba_n_groups": 1,
    "mamba_d_head": 8,
    "mamba_n_heads": 8,
}
LINEAR = {
    "linear_num_key_heads": 2,
    "linear_num_value_heads": 4,
    "linear_key_head_dim": 8,
    "linear_value_head_dim": 8,
    "num_experts": 2,
    "num_experts_per_tok": 1,
    "moe_intermediate_size": 16,
    "shared_expert_intermediate_size": 16,
}

SETTINGS: dict[str, tuple[str, dict[str, Any]]] = {
    "llama": ("Llama", SMALL),
    "mistral": ("Mistral", SMALL | {"sliding_window": 6}),
    "gpt2": ("GPT2", {"n_embd": 32, "n_layer": 2, "n_head": 4, "n_positions": 256}),
    "bloom": ("Bloom", {"hidden_size": 32, "n_layer": 2, "n_head": 4}),
    "gemma3": (
        "Gemma3Text",
        SMALL
        | {
            "head_dim": 8,
            "sliding_window": 8,
            "max_position_embeddings": 256,
            "layer_types": ["sliding_attention", "full_attention"],
        },
    ),
    "gpt_neox": (
        "GPTNeoX",
        {
            "hidden_size": 32,
            "intermediate_size": 64,
            "num_hidden_layers": 2,
            "num_attention_heads": 4,
            "max_position_embeddings": 256,
        },
    ),
    "lfm2": ("Lfm2", SMALL | {"layer_types": ["conv", "full_attention"], "block_multiple_of": 8}),
    "mamba": ("Mamba", {"hidden_size": 32, "num_hidden_layers": 2, "state_size": 8}),
    "jamba": (
        "Jamba",
        SMALL
        | {
            "use_mamba_kernels": False,
            "attn_layer_period": 2,
            "attn_layer_offset": 1,
            "expert_layer_period": 2,
            "expert_layer_offset": 1,
            "num_experts": 2,
            "mamba_d_state": 8,
        },
    ),
    "qwen3_next": (
        "Qwen3Next",
        SMALL | LINEAR | {"head_dim": 8, "layer_types": ["linear_attention", "full_attention"]},
    ),
    "falcon_h1": ("FalconH1", SMALL | MAMBA | {"mamba_d_ssm": 64}),
    "recurrent_gemma": (
        "RecurrentGemma",
        SMALL
        | {"num_hidden_layers": 3, "head_dim": 8, "lru_width": 32, "attention_window_size": 8},
    ),
}
"""Configuration class and settings by name."""


def configuration(name: str, **more: Any) -> Any:
    """One of SETTINGS as transformers' configuration, with the tiny tokenizer's vocabulary."""
    import transformers

    kind, settings = SETTINGS[name]
    tokenizer = tiny_tokenizer()
    made: Callable[..., Any] = getattr(transformers, f"{kind}Config")
    ids = {"eos_token_id": tokenizer.eos_token_id, "pad_token_id": tokenizer.pad_token_id}
    return made(**{"vocab_size": len(tokenizer), "bos_token_id": None, **ids, **settings, **more})


def save_model(folder: Path, settings: Any) -> Path:
    """Save a random causal model of a configuration, with the tiny tokenizer.

    Its matrices are drawn wide, so that answers differ from prompt to prompt.
    """
    import torch
    from transformers import AutoModelForCausalLM

    with torch.random.fork_rng(devices=[]), torch.no_grad():
        torch.manual_seed(0)
        model = AutoModelForCausalLM.from_config(settings)
        for parameter in model.parameters():
            if parameter.dim() > 1:
                parameter.mul_(4)
    model.save_pretrained(folder)
    tiny_tokenizer().save_pretrained(folder)
    return folder
