"""The head of a training on a CPU: tokens scored where there is a label, and nowhere else.

TRL scores every position of a padded batch where there is no Triton, reads the head's weights
twice, and takes the gradient's product in float32: on a CPU that was two fifths of a step. Here
the positions that are trained alone are scored, and the gradient is taken at once: that of a
log-probability with respect to the hidden state, W[target] - p W, depends on nothing that comes
later but a factor.
"""

from __future__ import annotations

from functools import wraps
from types import MethodType
from typing import Any

import torch
from trl.trainer.utils import FusedCausalLMOutput

from paretohqd.trainers.cpu_rows import read_rows, takes_rows, without_shared

CHUNK = 256
"""Positions that are scored at once: 50 MB with 49,152 tokens in float32."""

IGNORED = -100
"""The label that torch's cross entropy leaves out."""

KNOWN = {"input_ids", "attention_mask", "use_cache", "return_dict"}
"""What a batch of ours is given to the model with; whatever else there is goes to TRL's head."""


def put_head(model: Any, *, longest: int | None, rows: bool = True) -> bool:
    """Give a base model this head in the place of TRL's, if it gives the same there.

    Args:
        model: The base model within a trainer of TRL's, which has its fused head.
        longest: The most tokens of a row; None where there is no limit.
        rows: Read rows without padding where the model can.

    Returns:
        Whether it was put there. Heads with a bias, a scale or a cap, heads that are trained
        and models on another device than a CPU keep TRL's.
    """
    fused, head, body = model.forward, model.get_output_embeddings(), model.base_model
    if model.device.type != "cpu" or not _is_plain(model, head, body):
        return False
    unpadded, alike = rows and takes_rows(body, longest), not _drops_out(body)

    @wraps(fused)
    def forward(self: Any, *given: Any, fused_lm_head: bool = False, **more: Any) -> Any:
        def theirs() -> Any:
            return fused(*given, fused_lm_head=fused_lm_head, **more)

        inputs = {name: value for name, value in more.items() if value is not None}
        labels, mask = inputs.pop("labels", None), inputs.get("attention_mask")
        if not fused_lm_head or labels is None or given or not KNOWN.issuperset(inputs):
            return theirs()
        trained = labels[:, 1:] != IGNORED
        if not bool(trained.any()):
            return theirs()
        targets = labels[:, 1:][trained]
        begins = mask is None or bool((mask.cummin(dim=1).values == mask).all())
        if unpadded and begins and not _recomputes(body):
            # No later token is looked at: a row is read up to where its last label is predicted.
            some = trained.any(dim=1)
            tokens, ours = inputs["input_ids"][some, :-1], trained[some]
            kept = ours.flip(1).cummax(dim=1).values.flip(1)
            shared = _shared(tokens, ours) if alike else 0
            read = read_rows(body, tokens, kept, shared=shared)
            hidden = read[ours[without_shared(kept, shared)]]
        else:
            hidden = body(**inputs | {"use_cache": False}).last_hidden_state[:, :-1][trained]
        scores = _Scores.apply(hidden, head.weight, targets)
        log_probs, entropy, mean_logits, is_top1 = (
            score.new_zeros(trained.shape).masked_scatter(trained, score) for score in scores
        )
        return FusedCausalLMOutput(
            loss=-log_probs.sum() / len(targets),
            log_probs=log_probs,
            entropy=entropy,
            mean_logits=mean_logits,
            is_top1=is_top1,
            label_mask=trained,
        )

    model.forward = MethodType(forward, model)
    return True


def _shared(tokens: torch.Tensor, trained: torch.Tensor) -> int:
    """How many tokens all rows begin with, before any that predicts a trained one."""
    differs = (tokens != tokens[0]).any(dim=0) | trained.any(dim=0)
    return int(differs.cummax(dim=0).values.logical_not().sum())


def _drops_out(body: Any) -> bool:
    """Whether equal tokens of two rows are trained with unequal noise."""
    places = (m for m in body.modules() if isinstance(m, torch.nn.Dropout))
    return any(m.p > 0 for m in places) or getattr(body.config, "attention_dropout", 0) > 0


def _recomputes(body: Any) -> bool:
    """Whether activations are recomputed: that would be without the rows' own attention."""
    return any(getattr(module, "gradient_checkpointing", False) for module in body.modules())


@torch.no_grad()
def _is_plain(model: Any, head: Any, body: Any) -> bool:
    """Whether logits are the head's product alone, which trying shows. Puts it in eval mode."""
    if type(head) is not torch.nn.Linear or head.bias is not None or head.weight.requires_grad:
        return False
    model.eval()
    tokens = torch.arange(4, device=model.device)[None] % model.config.vocab_size
    hidden = body(input_ids=tokens, use_cache=False).last_hidden_state
    return torch.equal(model(input_ids=tokens, use_cache=False).logits, head(hidden))


class _Scores(torch.autograd.Function):
    """Of (n, features) hidden states, an (vocabulary, features) head and n targets: the n targets'
    log-probabilities, with their gradient; and without one the entropies in nats, the means of the
    logits, and whether no token is more likely.
    """

    @staticmethod
    def forward(
        ctx: Any, hidden: torch.Tensor, weight: torch.Tensor, targets: torch.Tensor
    ) -> tuple[torch.Tensor, ...]:
        cast = torch.is_autocast_enabled("cpu")
        dtype = torch.get_autocast_dtype("cpu") if cast else hidden.dtype
        table = weight.to(dtype)
        logp, entropy, mean = (hidden.new_empty(len(hidden), dtype=torch.float32) for _ in range(3))
        top = torch.empty(len(hidden), dtype=torch.bool)
        pull = torch.empty_like(hidden, dtype=torch.float32) if ctx.needs_input_grad[0] else None
        for start in range(0, len(hidden), CHUNK):
            part = slice(start, start + CHUNK)
            target = targets[part, None]
            logits = (hidden[part].to(dtype) @ table.T).float()
            chosen = logits.gather(-1, target)
            best, token = logits.max(dim=-1, keepdim=True)
            mean[part] = logits.mean(dim=-1)
            top[part] = (token == target)[:, 0]
            # exp(logits - best) in place, for one more table of this size would cost more than all
            # that is done with it.
            weighted = logits.sub_(best)
            p = weighted.exp()
            total = p.sum(dim=-1, keepdim=True)
            log_total = total.log()
            p /= total
            logp[part] = (chosen - best - log_total)[:, 0]
            entropy[part] = log_total[:, 0] - torch.linalg.vecdot(p, weighted)
            if pull is not None:
                p.neg_().scatter_add_(-1, target, torch.ones_like(chosen))
                pull[part] = p.to(dtype) @ table
        ctx.save_for_backward(pull)
        ctx.dtype = hidden.dtype
        ctx.mark_non_differentiable(entropy, mean, top)
        return logp, entropy, mean, top

    @staticmethod
    def backward(ctx: Any, *grads: torch.Tensor) -> tuple[torch.Tensor, None, None]:
        (pull,) = ctx.saved_tensors
        return (pull * grads[0][:, None]).to(ctx.dtype), None, None
