"""Tiny random models in a folder, for tests: real code paths, no download, well under a second."""

from __future__ import annotations

from itertools import product
from pathlib import Path
from typing import Any

CHAT_TEMPLATE = (
    "{% for message in messages %}"
    "{{ '<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>' + '\n' }}"
    "{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)
SPECIAL = ["<|im_start|>", "<|im_end|>", "<|pad|>"]


def sentences() -> list[str]:
    """About a thousand plain sentences, always the same."""
    who = ["I", "you", "we", "my friend", "the teacher", "her brother", "every neighbour"]
    verb = ["like", "found", "would buy", "talked about", "never saw", "remember", "cannot stand"]
    what = ["good tea", "the old house", "a small dog", "your question", "that film", "music"]
    when = ["today.", "in the evening!", "with pleasure?", "because of Thursday,"]
    return [" ".join(parts) for parts in product(who, verb, what, when)]


def tiny_tokenizer() -> Any:
    """A byte-level BPE with a chat template, eos `<|im_end|>` and a pad of its own."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    bpe = Tokenizer(models.BPE())
    bpe.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    bpe.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=512,
        special_tokens=SPECIAL,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    # The roles stand in every chat, so they should be words like any other.
    bpe.train_from_iterator(sentences() + ["user assistant system\n"] * 50, trainer)
    return PreTrainedTokenizerFast(
        tokenizer_object=bpe,
        eos_token="<|im_end|>",
        pad_token="<|pad|>",
        chat_template=CHAT_TEMPLATE,
        clean_up_tokenization_spaces=False,
        model_max_length=1024,
    )


def _llama_config(tokenizer: Any, **more: Any) -> Any:
    from transformers import LlamaConfig

    return LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=1024,
        tie_word_embeddings=True,
        bos_token_id=None,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
        **more,
    )


def tiny_causal(folder: Path, seed: int = 0) -> Path:
    """Save a random two-layer Llama language model and its tokenizer; returns `folder`."""
    import torch
    from transformers import LlamaForCausalLM

    tokenizer = tiny_tokenizer()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = LlamaForCausalLM(_llama_config(tokenizer))
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def tiny_classifier(folder: Path, seed: int = 0, num_labels: int = 1, kind: str = "llama") -> Path:
    """Save a random two-layer reward model ("llama" or "gpt2") and its tokenizer.

    The weights are drawn wide, so that scores differ far beyond rounding from text to text.
    """
    import torch
    from transformers import (
        GPT2Config,
        GPT2ForSequenceClassification,
        LlamaForSequenceClassification,
    )

    tokenizer = tiny_tokenizer()
    wide = {"num_labels": num_labels, "initializer_range": 0.2}
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        if kind == "llama":
            model = LlamaForSequenceClassification(_llama_config(tokenizer, **wide))
        elif kind == "gpt2":
            model = GPT2ForSequenceClassification(
                GPT2Config(
                    vocab_size=len(tokenizer),
                    n_embd=32,
                    n_layer=2,
                    n_head=4,
                    n_positions=256,
                    bos_token_id=None,
                    eos_token_id=tokenizer.eos_token_id,
                    pad_token_id=tokenizer.pad_token_id,
                    **wide,
                )
            )
        else:
            raise ValueError(f"kind must be llama or gpt2, not {kind!r}")
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def load_tiny(folder: Path) -> tuple[Any, Any]:
    """The language model in a folder, in float32 on the CPU, and its tokenizer."""
    import torch

    from paretohqd.models import base
    from paretohqd.models.spec import Model

    return base.load_base(Model(name=str(folder)), device="cpu", dtype=torch.float32)
