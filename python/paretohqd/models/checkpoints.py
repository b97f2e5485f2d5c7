"""Whether a checkpoint computes what its authors' does: checked once, when it is loaded.

transformers fills weights that a checkpoint lacks with random numbers and leaves out those that it
does not know, each with a mere warning. Here both are errors, as is whatever else would give other
numbers than the checkpoint's authors get.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from typing import Any

DERIVED = re.compile(
    r"(inv_freq|masked_bias|causal_mask|(attn|attention)\.bias|position_ids)$|\.pooler\."
)
"""Stored by some checkpoints though the architecture computes it, or another head reads it."""


NEITHER = ("gpt_neox", "gpt_neox_japanese")
"""Decoders throughout, whose configuration says `is_decoder: false` and means nothing by it."""


def check_decoder(name: str, config: Any) -> None:
    """Refuse what is no language model of text, by its configuration alone.

    Args:
        name: The model's, for the message.
        config: Its transformers configuration.

    Raises:
        ValueError: Quantised weights, an encoder, inputs other than text, or a checkpoint of
            another head.
    """
    check_plain(name, config)
    kind = config.model_type
    if getattr(config, "is_encoder_decoder", False):
        raise ValueError(
            f"model {name}: {kind} is an encoder with a decoder: take a language model that is a "
            "decoder alone (...ForCausalLM)"
        )
    # Only architectures that can be either say, and those of NEITHER.
    if getattr(config, "is_decoder", None) is False and kind not in NEITHER:
        raise ValueError(
            f"model {name}: {kind} is an encoder (is_decoder is false): take a language model "
            "(...ForCausalLM)"
        )
    if config.get_text_config(decoder=True) is not config:
        inside = [key for key in config.sub_configs if getattr(config, key, None) is not None]
        raise ValueError(
            f"model {name}: {kind} reads more than text ({', '.join(inside)}): take the text-only "
            "checkpoint of that model (...ForCausalLM)"
        )
    check_head(name, config, "CausalLM")


def check_plain(name: str, config: Any) -> None:
    """Refuse quantised weights, which some machines round in one way and some in another."""
    if getattr(config, "quantization_config", None) is not None:
        raise ValueError(
            f"model {name}: its weights are quantised (quantization_config), and what that changes "
            "is not measured here: take the checkpoint that it was made from"
        )


def check_head(name: str, config: Any, head: str) -> None:
    """Refuse a checkpoint that was saved with another head than ...For`head`."""
    declared = getattr(config, "architectures", None) or []
    heads = {part for text in declared for part in re.findall(r"[a-z\d]For([A-Z]\w*)", text)}
    if heads and head not in heads:
        raise ValueError(
            f"model {name}: is saved as {', '.join(declared)}, and would be read as one "
            f"...For{head}, which computes something else: take a checkpoint with that head"
        )


def check_weights(name: str | object, network: Any, report: Mapping[str, Collection[Any]]) -> None:
    """Refuse a checkpoint whose weights are not those of the network that was made from it.

    Args:
        name: The model's, for the message.
        network: What `from_pretrained` made.
        report: Its loading info.

    Raises:
        ValueError: Weights are missing, and would be random; or the checkpoint has weights inside
            the network's trunk that the architecture does not know. Further heads are left aside.
    """
    missing = sorted(report["missing_keys"])
    if missing:
        raise ValueError(
            f"model {name}: its checkpoint lacks {_some(missing)}, which would be random: it is no "
            f"trained {type(network).__name__}. Take one that is: no reward model for a language "
            "model, nor a language model for a reward model"
        )
    trunk = f"{network.base_model_prefix}." if network.base_model_prefix else ""
    unknown = [
        key
        for key in sorted(report["unexpected_keys"])
        if key.startswith(trunk) and not DERIVED.search(key)
    ]
    if unknown:
        raise ValueError(
            f"model {name}: its checkpoint has weights that {type(network).__name__} does not know "
            f"and would leave out: {_some(unknown)}: merge adapters into it, or take a checkpoint "
            "of this architecture"
        )


def check_vocabulary(name: str, tokenizer: Any, network: Any, used: Collection[int]) -> None:
    """Refuse a tokenizer that has tokens without a row of the network's embeddings.

    More rows than tokens are the usual padding. A special token beyond the rows may be there, as
    that of images in text-only models is, as long as nothing writes it.

    Args:
        name: The model's, for the message.
        tokenizer: What texts are encoded with.
        network: What reads them.
        used: Ids that are written beside the texts' own, as by a chat template.

    Raises:
        ValueError: Ids without a row, of ordinary tokens or of such as are used.
    """
    rows = network.get_input_embeddings().weight.shape[0]
    own = (tokenizer.pad_token_id, tokenizer.eos_token_id, tokenizer.bos_token_id)
    written = {*used, *(i for i in own if i is not None)}
    special = {i for i, token in tokenizer.added_tokens_decoder.items() if token.special}
    beyond = {
        token: i
        for token, i in sorted(tokenizer.get_vocab().items(), key=lambda item: item[1])
        if i >= rows and (i in written or i not in special)
    }
    if beyond:
        first, number = next(iter(beyond.items()))
        raise ValueError(
            f"model {name}: its embeddings have {rows} rows, but {len(beyond)} of its tokenizer's "
            f"tokens have higher numbers (first: {first!r} with {number}): the tokenizer is of "
            "another model, or the embeddings were not resized: take the pair that belongs together"
        )


def _some(keys: Sequence[str], most: int = 3) -> str:
    more = f" and {len(keys) - most} more" if len(keys) > most else ""
    return ", ".join(keys[:most]) + more
