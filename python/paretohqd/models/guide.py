"""A value model that changes what a policy samples next: token by token, at use.

Source: MAVIS (arXiv 2508.13415, and its public code): of the policy's `candidates` most likely next
tokens each becomes exp(strength w . V) times as likely, V being the scores that are expected of the
whole answer if that token comes next. A value model is an adapter on the policy's base and a head
on its last hidden states, see `trainers.values`; the policy is the base itself.
"""

from __future__ import annotations

from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from safetensors.torch import load_file, save_file
from torch import nn
from transformers.cache_utils import DynamicLayer

from paretohqd.models.adapters import load_adapter
from paretohqd.models.decode_loop import known_cache
from paretohqd.models.merging import merged

Kind = Literal["value", "action"]
"""What a head takes: the state after a token, or the state before it and the token."""

ADAPTER, HEAD = "adapter", "head.safetensors"
"""What the folder of a value model holds."""


class ValueHead(nn.Module):
    """M expected scores, from the state after a token."""

    kind: Kind = "value"

    def __init__(self, size: int, objectives: int) -> None:
        """Start with 0 everywhere."""
        super().__init__()
        self.state = nn.Linear(size, objectives)
        nn.init.zeros_(self.state.weight)
        nn.init.zeros_(self.state.bias)

    def forward(self, hidden: torch.Tensor) -> torch.Tensor:
        """(.., M) of (.., size) states."""
        values: torch.Tensor = self.state(hidden)
        return values


class ActionHead(nn.Module):
    """M expected scores, from the state before a token and the token's embedding.

    To what the state tells is added, of each objective, the product of two short vectors that are
    made of state and token: one forward pass tells the values of all next tokens.
    """

    kind: Kind = "action"

    def __init__(self, size: int, embedded: int, objectives: int, rank: int) -> None:
        """Start with 0 everywhere."""
        super().__init__()
        self.rank = rank
        self.state = nn.Linear(size, objectives)
        self.seen = nn.Linear(size, objectives * rank, bias=False)
        self.taken = nn.Linear(embedded, objectives * rank, bias=False)
        for layer in (self.state, self.taken):
            nn.init.zeros_(layer.weight)
        nn.init.zeros_(self.state.bias)

    def forward(self, hidden: torch.Tensor, tokens: torch.Tensor) -> torch.Tensor:
        """(.., M) of (.., size) states and (.., embedded) embeddings of tokens."""
        both = (self.seen(hidden) * self.taken(tokens)).unflatten(-1, (-1, self.rank))
        values: torch.Tensor = self.state(hidden) + both.sum(dim=-1)
        return values


Head = ValueHead | ActionHead


def save_head(head: Head, folder: Path) -> None:
    """Write a head beside its adapter."""
    save_file(
        {name: value.contiguous() for name, value in head.state_dict().items()}, folder / HEAD
    )


def load_head(folder: Path) -> Head:
    """The head in a value model's folder.

    Raises:
        ValueError: There is none, or its numbers are not finite.
    """
    try:
        state = load_file(folder / HEAD)
    except OSError as error:
        raise ValueError(f"{folder}: holds no value model: {error}") from None
    if not all(bool(value.isfinite().all()) for value in state.values()):
        raise ValueError(f"{folder}: the head of the value model is not finite")
    objectives, size = state["state.weight"].shape
    head: Head
    if "taken.weight" in state:
        wide, embedded = state["taken.weight"].shape
        head = ActionHead(size, embedded, objectives, wide // objectives)
    else:
        head = ValueHead(size, objectives)
    head.load_state_dict(state)
    return head.eval()


def embeddings(model: Any) -> torch.Tensor:
    """(vocabulary, embedded) float32 embeddings of the tokens that a base reads."""
    table: torch.Tensor = model.get_input_embeddings().weight
    return table.detach().float()


def hidden_states(model: Any, **inputs: Any) -> Any:
    """What a base with an adapter on it reads of tokens, without the scores of the next ones.

    Raises:
        ValueError: The architecture keeps its body elsewhere than the library's own do.
    """
    base = model.get_base_model()
    body = base.base_model
    read = body(**inputs) if body is not base else None
    if getattr(read, "last_hidden_state", None) is None:
        raise ValueError(
            f"a value model needs a body that gives hidden states, and {type(base).__name__} has "
            "none: take another base"
        )
    return read


@dataclass(frozen=True, kw_only=True)
class Tilt:
    """How much a value model's word counts."""

    weights: tuple[float, ...]
    """Of the M objectives."""
    strength: float = 1.0
    """Nats for each unit of w . V; 0 samples from the most likely tokens as they are."""
    candidates: int = 8
    """Tokens that are looked at in each step; no other is sampled."""


class Guide:
    """A value model with a preference, while it reads along with a batch of answers."""

    def __init__(self, base: Any, folder: Path, tilt: Tilt) -> None:
        """Put a value model's adapter on a base of its own.

        Raises:
            ValueError: No value model there, one of another base, or one of other objectives.
        """
        self.head, self.tilt = load_head(folder), tilt
        objectives = self.head.state.out_features
        if objectives != len(tilt.weights):
            raise ValueError(
                f"{folder}: a value model of {objectives} objectives, and the preference has "
                f"{len(tilt.weights)} weights"
            )
        self.model = load_adapter(base, folder / ADAPTER)
        self.head.to(self.model.device)
        self._weights = torch.tensor(tilt.weights, device=self.model.device)
        self._embeddings = embeddings(self.model) if self.head.kind == "action" else None

    def at_work(self) -> AbstractContextManager[None]:
        """Within it the adapter is merged, where that is as good."""
        return merged(self.model)

    def begin(self, tokens: torch.Tensor, mask: torch.Tensor) -> None:
        """Read prompts, padded on the left, whose next tokens will be asked for.

        Raises:
            ValueError: An architecture whose cache is of another kind than the library's usual one.
        """
        self._rows = torch.arange(len(tokens), device=tokens.device)
        self._mask, self._positions = mask, mask.sum(dim=1, keepdim=True) - 1
        self._candidates: torch.Tensor | None = None
        self._taken: torch.Tensor | None = None
        read = hidden_states(
            self.model,
            input_ids=tokens,
            attention_mask=mask,
            position_ids=(mask.cumsum(-1) - 1).clamp(min=0),
            use_cache=True,
        )
        self._cache = read.past_key_values
        if not known_cache(self._cache) or any(
            type(layer) is not DynamicLayer for layer in self._cache.layers
        ):
            raise ValueError(
                "a value model looks at several next tokens side by side, which "
                f"{type(self.model.get_base_model()).__name__}'s cache does not allow: take "
                "another base"
            )
        self._state = read.last_hidden_state[:, -1]

    def look(
        self, scores: torch.Tensor, rows: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """The tokens that may come next, and what policy and value model say of them.

        Args:
            scores: (n, vocabulary) float32, the policy's.
            rows: (n,) numbers of the rows; those that are not named any more are forgotten.

        Returns:
            (n, k) tokens, the policy's scores of them, and strength w . V, all in nats.
        """
        self._go_on(rows)
        top, tokens = scores.topk(min(self.tilt.candidates, scores.shape[-1]), dim=-1)
        self._candidates = tokens
        return tokens, top, self.tilt.strength * (self._values(tokens) @ self._weights)

    def took(self, drawn: torch.Tensor) -> None:
        """Say which tokens (n,) were taken, of the rows that were named last."""
        self._taken = drawn[:, None]

    def _values(self, tokens: torch.Tensor) -> torch.Tensor:
        """(n, k, M) expected scores if one of k tokens comes next."""
        if isinstance(self.head, ActionHead):
            assert self._embeddings is not None
            found: torch.Tensor = self.head(self._state[:, None].float(), self._embeddings[tokens])
            return found
        # The k tokens stand side by side in the cache, and none of them sees another.
        n, k = tokens.shape
        seen = self._mask.bool()[:, None, None].expand(n, 1, k, -1)
        own = torch.eye(k, dtype=torch.bool, device=tokens.device).expand(n, 1, k, k)
        hidden = torch.zeros((), dtype=self.model.dtype, device=tokens.device)
        read = self._read(
            tokens,
            self._positions + 1,
            torch.where(torch.cat([seen, own], dim=-1), hidden, torch.finfo(self.model.dtype).min),
        )
        found = self.head(read.float())
        return found

    def _go_on(self, rows: torch.Tensor) -> None:
        """Put the tokens that were taken behind the others, and let go of rows that have ended."""
        if self._taken is not None:
            one = self._mask.new_ones(len(self._mask), 1)
            if isinstance(self.head, ValueHead):
                assert self._candidates is not None
                self._keep_taken((self._candidates == self._taken).int().argmax(dim=1))
                self._mask = torch.cat([self._mask, one], dim=1)
            else:
                self._mask = torch.cat([self._mask, one], dim=1)
                self._state = self._read(self._taken, self._positions + 1, self._mask)[:, -1]
            self._positions = self._positions + 1
            self._taken = None
        if torch.equal(rows, self._rows):
            return
        order = (rows[:, None] == self._rows).int().argmax(dim=1)
        self._cache.reorder_cache(order)
        self._rows, self._mask = rows, self._mask[order]
        self._positions, self._state = self._positions[order], self._state[order]

    def _keep_taken(self, which: torch.Tensor) -> None:
        """Of the candidates in the cache keep the one of each row that was taken."""
        length = self._mask.shape[1]
        for layer in self._cache.layers:
            for name in ("keys", "values"):
                states = getattr(layer, name)
                _, heads, _, size = states.shape
                place = (length + which)[:, None, None, None].expand(-1, heads, 1, size)
                taken = states.gather(2, place)
                setattr(layer, name, torch.cat([states[:, :, :length], taken], dim=2))

    def _read(
        self, tokens: torch.Tensor, positions: torch.Tensor, mask: torch.Tensor
    ) -> torch.Tensor:
        """(n, k, size) states of tokens behind what was read before."""
        states: torch.Tensor = hidden_states(
            self.model,
            input_ids=tokens,
            attention_mask=mask,
            position_ids=positions.expand(tokens.shape),
            past_key_values=self._cache,
            use_cache=True,
        ).last_hidden_state
        return states
