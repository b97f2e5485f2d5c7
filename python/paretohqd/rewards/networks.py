"""Networks of reward models in memory, and the logits that they give.

torch and transformers are loaded when the first network is.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from paretohqd.models import hub
from paretohqd.models.chat import (
    NO_CLOCK,
    check_added,
    context_tokens,
    control_pattern,
    named_template,
    with_date,
)
from paretohqd.models.checkpoints import check_head, check_plain, check_vocabulary, check_weights
from paretohqd.rewards.inputs import RewardInputs, choose_form, type_options


@dataclass(frozen=True, kw_only=True)
class Network:
    """A model ready to score, with what was found out while loading it."""

    inputs: RewardInputs
    network: Any
    device: str
    origin: hub.Origin

    @property
    def size(self) -> int:
        """Bytes of its weights."""
        return sum(weight.nbytes for weight in self.network.parameters())

    def logits(self, batch: Mapping[str, NDArray[np.int64]]) -> NDArray[np.float64]:
        """(rows, outputs) logits of rows of one length."""
        import torch

        # What a model keeps to go on from is as large as the batch, and nothing goes on here.
        more = {"use_cache": False} if _takes(self.network, "use_cache") else {}
        tensors = {k: torch.from_numpy(v).to(self.device) for k, v in batch.items()}
        with torch.inference_mode():
            logits = self.network(**tensors, **more).logits
        return np.array(logits.float().tolist(), dtype=np.float64)


def load_network(
    model: str,
    revision: str | None,
    *,
    template: str | None,
    pair: bool | None,
    max_length: int,
    device: str,
    dtype: str,
) -> Network:
    """Load a sequence classifier; the arguments are the attributes of `ClassifierReward`.

    Raises:
        ValueError: As `ClassifierReward.load`, but about outputs.
    """
    import torch
    from transformers import AutoConfig, AutoModelForSequenceClassification, AutoTokenizer

    origin = hub.find(model, revision)
    with hub.loading(model):
        config = AutoConfig.from_pretrained(origin.place, **origin.code)
    check_plain(model, config)
    with hub.loading(model):
        tokenizer = AutoTokenizer.from_pretrained(
            origin.place, truncation_side="left", **origin.code
        )
        network, report = AutoModelForSequenceClassification.from_pretrained(
            origin.place,
            dtype=getattr(torch, dtype),
            output_loading_info=True,
            **origin.weights,
        )
    check_weights(model, network, report)
    check_head(model, network.config, "SequenceClassification")
    check_vocabulary(model, tokenizer, network, ())
    network.eval()
    form = choose_form(model, tokenizer, network, template=template, pair=pair)
    if form == "chat":
        tokenizer.chat_template = with_date(named_template(tokenizer.chat_template), NO_CLOCK)
    elif form != "pair":
        check_added(tokenizer, form)
    text = network.config.get_text_config()
    if hasattr(network, "score"):
        # Heads of this name read the last token that is not pad_token_id: let none be that.
        text.pad_token_id = -1
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    return Network(
        inputs=RewardInputs(
            tokenizer=tokenizer,
            control=control_pattern(tokenizer),
            form=form,
            types=type_options(network.config),
            limit=min(max_length, tokenizer.model_max_length, _positions(network, text)),
        ),
        network=network.to(device),
        device=device,
        origin=origin,
    )


@contextmanager
def fast_products(device: str) -> Iterator[None]:
    """Let a GPU multiply float32 in TF32, which is several times as fast, while the block runs."""
    if not device.startswith("cuda"):
        yield
        return
    import torch

    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("high")
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(before)


def _takes(network: Any, name: str) -> bool:
    return name in inspect.signature(network.forward).parameters


def _positions(network: Any, config: Any) -> int:
    """Tokens that a network has positions for; very many where nothing limits them."""
    room = context_tokens(config)
    for name, module in network.named_modules():
        # Positions of RoBERTa and its kin begin after the padding token's number.
        if (
            name.endswith(".position_embeddings")
            and getattr(module, "padding_idx", None) is not None
        ):
            room = min(room, module.num_embeddings - module.padding_idx - 1)
    return room
