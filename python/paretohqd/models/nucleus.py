"""The draw of a token from a model's scores: top-p, with one uniform number per row and step.

transformers' top-p sorts the whole vocabulary and its multinomial draws one random number per
vocabulary entry: together more than the model's own matrix products on a CPU (DESIGN.md has the
figures).
"""

from __future__ import annotations

import numpy as np
import torch
from transformers import LogitsProcessor

NUCLEUS_GUESS = 1024
"""Tokens looked at before falling back to a full sort; the result does not depend on it."""


class NucleusSampler(LogitsProcessor):  # type: ignore[misc]
    """Top-p sampling (Holtzman et al. 2020) that spends one uniform number per row and step.

    It leaves only the drawn token finite, so that transformers' greedy search takes it. Row i's
    numbers come from its own stream: what a row gets does not depend on its neighbours.
    """

    def __init__(self, uniforms: np.ndarray, *, temperature: float, top_p: float) -> None:
        """Take the (rows, steps) numbers in [0, 1) to draw with."""
        self.uniforms = torch.from_numpy(uniforms)
        self.temperature = temperature
        self.top_p = top_p
        self.step = 0

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        """Return scores that are 0 at the drawn token and minus infinity elsewhere."""
        drawn = self.draw(scores, torch.arange(len(scores)), self.step)
        self.step += 1
        return torch.full_like(scores, -torch.inf).scatter_(-1, drawn[:, None], 0.0)

    def draw(self, scores: torch.Tensor, rows: torch.Tensor, step: int) -> torch.Tensor:
        """Return the tokens (n,) drawn from (n, vocabulary) scores, of rows of these numbers."""
        logits = scores.float() / self.temperature
        log_total = torch.logsumexp(logits, dim=-1, keepdim=True)
        count = min(NUCLEUS_GUESS, logits.shape[-1])
        uniform = self.uniforms[rows.cpu(), step, None].to(logits.device)
        drawn, reached = self._draw(logits, log_total, uniform, count)
        if count < logits.shape[-1] and not bool(reached.all()):
            # Flat rows only: what the others draw must not depend on who is in the batch.
            flat = ~reached
            drawn[flat], _ = self._draw(
                logits[flat], log_total[flat], uniform[flat], logits.shape[-1]
            )
        return drawn[:, 0]

    def _draw(
        self, logits: torch.Tensor, log_total: torch.Tensor, uniform: torch.Tensor, count: int
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """(rows, 1) tokens drawn, and for each row whether `count` tokens hold its nucleus."""
        top, token = torch.topk(logits, count, dim=-1)
        probability = torch.exp(top - log_total).double()
        cumulative = probability.cumsum(dim=-1)
        # The nucleus: the fewest tokens whose probability reaches top_p; never empty.
        size = (cumulative - probability < self.top_p).sum(dim=-1, keepdim=True).clamp(min=1)
        mass = cumulative.gather(-1, size - 1)
        index = torch.searchsorted(cumulative, uniform * mass, right=True).minimum(size - 1)
        return token.gather(-1, index), cumulative[:, -1] >= self.top_p
