"""What a base knows of prompts before it answers: the mean of its last hidden states."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from paretohqd.models.chat import check_room, context_tokens, encode_prompts, pad_prompts
from paretohqd.models.sampling import Progress, plan_batches

READ_AT_ONCE = 16
"""Prompts that are read side by side."""


@torch.inference_mode()
def prompt_features(
    model: Any, tokenizer: Any, prompts: Sequence[str], *, progress: Progress | None = None
) -> NDArray[np.float64]:
    """(n, hidden size) means over each prompt's tokens, as its chat template writes it.

    Args:
        model: A base without adapters, in eval mode.
        tokenizer: Its tokenizer, with a chat template.
        prompts: n prompts, as for `generate`.
        progress: Called with (prompts done, prompts in all).

    Raises:
        ValueError: A prompt exceeds the model's context.
    """
    ids = encode_prompts(tokenizer, prompts)
    lengths = [len(row) for row in ids]
    check_room(lengths, 0, context_tokens(model.config))
    features = np.zeros((len(ids), model.config.get_text_config().hidden_size))
    done = 0
    for batch in plan_batches(lengths, samples=1, batch_size=READ_AT_ONCE):
        tokens, mask = pad_prompts([ids[i] for i in batch], tokenizer, model.device)
        states = model.base_model(
            input_ids=tokens,
            attention_mask=mask,
            position_ids=(mask.cumsum(-1) - 1).clamp(min=0),
            use_cache=False,
        ).last_hidden_state
        inside = mask[..., None].double()
        means = (states.double() * inside).sum(dim=1) / inside.sum(dim=1)
        features[batch] = means.cpu().numpy()
        done += len(batch)
        if progress:
            progress(done, len(ids))
    return features
