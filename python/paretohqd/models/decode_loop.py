"""The search for answers on a CPU: token by token, by rows that are still going on.

transformers' `generate` does the same with all rows until the last one ends, and copies its cache
for each token. Where a model's own way to prepare a step is not the library's, or its cache is of
another kind, that is what is used: `decode` says so.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from inspect import signature
from typing import Any

import torch
from peft import PeftModel
from transformers import DynamicCache, GenerationMixin
from transformers.cache_utils import DynamicLayer

from paretohqd.models.cache_layer import RoomyLayer

Choose = Callable[[torch.Tensor, torch.Tensor, int], torch.Tensor]
"""The tokens (rows,) that are taken, of the (rows, vocabulary) float32 scores, the rows' numbers
and the step's."""

STEPS = ("generate", "prepare_inputs_for_generation", "_update_model_kwargs_for_generation")
"""What a model may do in its own way while it generates."""


SHARED = 4
"""The fewest tokens that all prompts begin with for which these are read apart."""


def known_cache(cache: Any) -> bool:
    """Whether a cache and its layers are the library's own, so that `reorder_cache` is exact."""
    known = DynamicCache.__module__
    return type(cache) is DynamicCache and all(type(x).__module__ == known for x in cache.layers)


def decode(
    model: Any,
    tokens: torch.Tensor,
    mask: torch.Tensor,
    *,
    samples: int,
    steps: int,
    stop: Collection[int],
    choose: Choose,
) -> list[list[int]] | None:
    """Go on from prompts, `samples` times from each, until an end token or for so many steps.

    Args:
        model: A causal language model, with or without adapters, in eval mode.
        tokens: (n, width) token ids of n prompts, padded on the left.
        mask: (n, width): 1 where a token stands, 0 for padding.
        samples: Answers per prompt; the prompt is read once for all of them.
        steps: The most tokens of an answer.
        stop: Ids that end an answer.
        choose: Takes the next tokens; row i of prompt p is number p * samples + i.

    Returns:
        Tokens of each of the n * samples answers, with the end token; None where this loop may be
        another function than `generate`.
    """
    base = model.get_base_model() if isinstance(model, PeftModel) else model
    takes = signature(base.forward).parameters
    own = any(
        getattr(type(base), name, None) is not getattr(GenerationMixin, name) for name in STEPS
    )
    if own or not {"past_key_values", "attention_mask", "position_ids"} <= takes.keys():
        return None
    last = {"logits_to_keep": 1} if "logits_to_keep" in takes else {}
    tokens, mask, begun = _begin(model, tokens, mask, last)
    positions = (mask.cumsum(-1) - 1).clamp(min=0)
    new = tokens.shape[1]
    read = model(
        input_ids=tokens,
        attention_mask=None if bool(mask.all()) else mask,
        position_ids=positions[:, -new:],
        use_cache=True,
        **begun,
        **last,
    )
    if not known_cache(getattr(read, "past_key_values", None)):
        return None
    each = torch.arange(len(tokens), device=tokens.device).repeat_interleave(samples)
    room = mask.new_ones(len(each), mask.shape[1] + steps)
    room[:, : mask.shape[1]] = mask[each]
    going = _Going(
        rows=torch.arange(len(each), device=tokens.device),
        positions=positions[each, -1:],
        mask=room,
        cache=_with_room(read.past_key_values, each, steps),
    )
    answers: list[list[int]] = [[] for _ in each]
    scores = read.logits[each, -1].float()
    for step in range(steps):
        drawn = choose(scores, going.rows, step)
        for row, token in zip(going.rows.tolist(), drawn.tolist(), strict=True):
            answers[row].append(token)
        goes_on = [token not in stop for token in drawn.tolist()]
        if step + 1 == steps or not any(goes_on):
            break
        if not all(goes_on):
            drawn = drawn[going.keep(goes_on)]
        scores = going.read(model, drawn)
    return answers


def _begin(
    model: Any, tokens: torch.Tensor, mask: torch.Tensor, last: dict[str, int]
) -> tuple[torch.Tensor, torch.Tensor, dict[str, Any]]:
    """Read what all prompts begin with, such as a template's system message, once for all.

    Returns:
        (n, fewer) tokens that are left to read, (n, width) the mask, in which padding now stands
        behind the common beginning, and the cache as an argument; or what was given and none,
        where little is shared or a layer counts padding as distance.
    """
    lengths = mask.sum(dim=1)
    starts = mask.shape[1] - lengths
    places = torch.arange(mask.shape[1], device=tokens.device)
    rows = tokens.gather(1, (places + starts[:, None]).clamp(max=mask.shape[1] - 1))
    differs = (rows != rows[0]).any(dim=0) | (places >= lengths.min() - 1)
    shared = int(differs.cummax(dim=0).values.logical_not().sum())
    if len(tokens) == 1 or shared < SHARED:
        return tokens, mask, {}
    read = model(
        input_ids=rows[:1, :shared], position_ids=places[None, :shared], use_cache=True, **last
    )
    cache: Any = getattr(read, "past_key_values", None)
    if not known_cache(cache) or any(type(layer) is not DynamicLayer for layer in cache.layers):
        return tokens, mask, {}
    cache.reorder_cache(torch.zeros(len(tokens), dtype=torch.long, device=tokens.device))
    own = (places >= starts[:, None] + shared).to(mask.dtype)[:, shared:]
    mask = torch.cat([mask.new_ones(len(tokens), shared), own], dim=1)
    return tokens[:, shared:], mask, {"past_key_values": cache}


@dataclass(kw_only=True)
class _Going:
    """The answers that have not ended."""

    rows: torch.Tensor
    """(rows,) their numbers."""
    positions: torch.Tensor
    """(rows, 1) places of their last tokens that were read."""
    mask: torch.Tensor
    """(rows, width) what may be looked at, with room for what is to come."""
    cache: DynamicCache

    def read(self, model: Any, tokens: torch.Tensor) -> torch.Tensor:
        """(rows, vocabulary) float32 scores of what follows the next token of each row."""
        self.positions = self.positions + 1
        length = self.cache.get_seq_length() + 1
        # Without a mask at all, attention needs no copies of its keys.
        mask = self.mask[:, :length]
        read = model(
            input_ids=tokens[:, None],
            attention_mask=None if bool(mask.all()) else mask,
            position_ids=self.positions,
            past_key_values=self.cache,
            use_cache=True,
        )
        scores: torch.Tensor = read.logits[:, -1].float()
        return scores

    def keep(self, goes_on: list[bool]) -> torch.Tensor:
        """Let the others go: rows from the end take their places. Returns the new order."""
        left = sum(goes_on)
        holes = [place for place in range(left) if not goes_on[place]]
        movers = [place for place in range(left, len(goes_on)) if goes_on[place]]
        order = torch.arange(left, device=self.rows.device)
        if holes:
            order[holes] = torch.tensor(movers, device=order.device)
        for layer in self.cache.layers:
            if isinstance(layer, RoomyLayer):
                layer.move_rows(left, holes, movers)
            else:
                layer.reorder_cache(order)
        self.rows, self.positions = self.rows[order], self.positions[order]
        self.mask = self.mask[order]
        return order


def _with_room(cache: DynamicCache, rows: torch.Tensor, steps: int) -> DynamicCache:
    """The cache of some rows, whose plain layers are made once for all steps."""
    for number, layer in enumerate(cache.layers):
        if type(layer) is DynamicLayer and layer.is_initialized:
            cache.layers[number] = RoomyLayer(layer, rows, steps)
        else:
            # Not batch_repeat_interleave: layers of convolutions and recurrences lack it or forget
            # theirs.
            layer.reorder_cache(rows)
    return cache
