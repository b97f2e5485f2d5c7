"""Whether a model predicts token by token what it predicts of a whole text.

Training and likelihoods read a whole text at once; sampling reads a padded prompt and goes on from
a cache. The two are one function if the model looks at no later token, heeds the mask and remembers
all it needs. Trying shows it; the architecture's name does not.
"""

from __future__ import annotations

from typing import Any

import torch
from transformers import GenerationConfig, LogitsProcessor, LogitsProcessorList

from paretohqd.models.library_calls import one_line_errors, without_bars

ROUNDING = 2.0
"""Mean difference of logits that rounding may make, in their standard deviation times the root of
the number format's unit: 7e-4 deviations in float32 and 0.18 in bfloat16, where the embedded
model has 1e-6 and 0.015."""


class _Forced(LogitsProcessor):  # type: ignore[misc]
    """Keeps the predictions of each step, and takes given tokens whatever they are."""

    def __init__(self, tokens: list[int]) -> None:
        self.tokens, self.seen = tokens, list[torch.Tensor]()

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        self.seen.append(scores.float())
        taken = torch.full_like(scores, -torch.inf)
        taken[:, self.tokens[len(self.seen) - 1]] = 0
        return taken


@torch.inference_mode()
def check_reading(name: str, model: Any, ids: list[int], pad: int) -> None:
    """Refuse a model that predicts otherwise token by token, beside a longer prompt, than at once.

    Args:
        name: The model's, for the message.
        model: As it will sample; its generation config is emptied.
        ids: A short text.
        pad: The token that fills up the shorter of two prompts.

    Raises:
        ValueError: The predictions differ beyond rounding, or are no numbers.
    """
    steps = min(4, len(ids) - 1)
    start, forced = ids[:-steps], _Forced(ids[-steps:])
    rows = torch.tensor([[pad] * 3 + start, ids[:1] * 3 + start], device=model.device)
    mask = torch.ones_like(rows)
    mask[0, :3] = 0
    model.generation_config = GenerationConfig()  # no end tokens either
    with one_line_errors(name), without_bars():
        whole = model(input_ids=torch.tensor([ids], device=model.device), use_cache=False).logits
        model.generate(
            input_ids=rows,
            attention_mask=mask,
            generation_config=GenerationConfig(
                do_sample=False, max_new_tokens=steps, pad_token_id=pad
            ),
            logits_processor=LogitsProcessorList([forced]),
        )
    expected = whole[0, -steps - 1 : -1].float()
    if not expected.isfinite().all():
        raise ValueError(
            f"model {name}: its predictions in {str(model.dtype).removeprefix('torch.')} are no "
            "numbers: its weights are damaged, or need another precision"
        )
    # A mean, because one rounding may send a token to another expert.
    apart = (torch.stack([scores[0] for scores in forced.seen]) - expected).abs().mean()
    apart = float(apart / whole.float().std().clamp(min=torch.finfo(torch.float32).tiny))
    if not apart <= ROUNDING * torch.finfo(model.dtype).eps ** 0.5:
        raise ValueError(
            f"model {name}: predicts token by token, beside a longer prompt, something else than "
            f"reading the text at once ({apart:.2g} standard deviations apart): "
            f"{model.config.model_type} looks at later tokens, takes no heed of padding, or has a "
            "cache that forgets. Take another architecture"
        )
