"""How likely a model finds given answers, and how sure it is of each next token.

Teacher forcing: the model reads prompt and answer at once, and its prediction at every position of
the answer is held against the token that stands there. The entropy of these predictions is what
shows a policy that has collapsed onto a few sentences where no reward does.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any

import polars as pl
import torch

from paretohqd.models.chat import AnswerBatch, context_tokens, encode_answers, pad_answers
from paretohqd.models.sampling import Progress

MAX_POSITIONS = 2048
"""Positions of answers whose logits are held at once: 400 MB with 49,152 tokens in float32."""

CHUNK = 64
"""Positions whose logits are copied to float32 at once where no gradient is needed."""


def likelihood(
    model: Any,
    tokenizer: Any,
    prompts: Sequence[str],
    responses: Sequence[str],
    *,
    system_prompt: Sequence[str] | None = None,
    finished: Sequence[bool] | None = None,
    longest: int | None = None,
    batch_size: int = 16,
    progress: Progress | None = None,
) -> pl.DataFrame:
    """Log-probability of each answer under a model, and the entropy of its predictions.

    The answer's tokens are the tokenizer's encoding of the response text, followed by the token
    that ends an answer. A sampled answer may have been made of other tokens with the same text:
    this is the text encoded anew, the same measure for every model and answers of any source.

    Args:
        model: A causal language model, with or without adapters, in eval mode.
        tokenizer: Its tokenizer, with a chat template.
        prompts: n user messages.
        responses: n answers.
        system_prompt: n system messages to put before the prompts; an empty one is none.
        finished: n flags; an answer that did not finish has no end token. None: all finished.
        longest: Tokens that are read of a prompt and its answer: what goes beyond is cut off at the
            answer's end, as in training. None: all.
        batch_size: Answers read side by side, fewer where they are long; scores do not depend on
            it beyond rounding.
        progress: Called with (answers done, answers in all).

    Returns:
        Frame of n rows, in the order given: logp (natural logarithm of the answer's probability,
        the sum over its tokens), answer_tokens (with the end token), entropy (nats, at temperature
        1: mean over the answer's tokens of -sum p log p of the next-token distribution; null where
        there is no token).

    Raises:
        ValueError: Lists of unequal lengths, a model in training mode (dropout would act), a
            row that does not fit into the model's context, or a log-probability that is NaN.
    """
    if any(module.training for module in model.modules()):
        raise ValueError("the model is in training mode, so dropout would act: call model.eval()")
    ids = encode_answers(
        model, tokenizer, prompts, responses, system_prompt=system_prompt, finished=finished
    )
    if longest is not None:
        ids = [(prompt, answer[: max(0, longest - len(prompt))]) for prompt, answer in ids]
    room = context_tokens(model.config)
    long = [i for i, (prompt, answer) in enumerate(ids) if len(prompt) + len(answer) > room]
    if long:
        raise ValueError(
            f"{len(long)} of {len(ids)} prompts with their answers exceed the model's context of "
            f"{room} tokens (first: row {long[0]} with {sum(map(len, ids[long[0]]))} tokens): "
            "leave them out"
        )
    rows: list[tuple[float, int, float | None]] = [(0.0, 0, None)] * len(ids)
    done = 0
    for batch in _batches(ids, batch_size):
        padded = pad_answers([ids[i] for i in batch], tokenizer, model.device)
        for i, measured in zip(batch, _measure(model, padded), strict=True):
            rows[i] = measured
        done += len(batch)
        if progress:
            progress(done, len(ids))
    bad = [i for i, (logp, _, _) in enumerate(rows) if math.isnan(logp)]
    if bad:
        raise ValueError(
            f"the log-probabilities of {len(bad)} of {len(rows)} answers are NaN (first: row "
            f"{bad[0]}): the model's weights are too large or not finite: train its adapter anew "
            "with a lower learning rate, or compute in float32"
        )
    schema = {"logp": pl.Float64, "answer_tokens": pl.Int32, "entropy": pl.Float64}
    return pl.DataFrame(rows, schema=schema, orient="row")


def answer_logps(model: Any, batch: AnswerBatch) -> torch.Tensor:
    """Log-probability of each answer, with its gradient.

    Args:
        model: A causal language model, in whatever mode it is in.
        batch: The rows, as `pad_answers` makes them.

    Returns:
        (rows,) float32 sums over each answer's tokens; 0 for a row without any.
    """
    row, label, logits = _predictions(model, batch)
    logits = logits.float()
    logp = logits.gather(-1, label[:, None])[:, 0] - logits.logsumexp(dim=-1)
    return logp.new_zeros(len(batch.tokens)).index_add(0, row, logp)


def _batches(ids: list[tuple[list[int], list[int]]], most: int) -> Iterator[list[int]]:
    """Row numbers, neighbours of like lengths together: they waste the least padding."""
    batch: list[int] = []
    first = last = 0
    for i in sorted(range(len(ids)), key=lambda i: (len(ids[i][0]), len(ids[i][1]), i)):
        start, end = len(ids[i][0]), sum(map(len, ids[i]))
        if batch and (
            len(batch) == most or (max(last, end) - first) * (len(batch) + 1) > MAX_POSITIONS
        ):
            yield batch
            batch = []
        if not batch:
            first, last = start, end
        batch.append(i)
        last = max(last, end)
    if batch:
        yield batch


def _predictions(model: Any, batch: AnswerBatch) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Row of each position of an answer, its token, and (positions, vocabulary) logits for it."""
    predicted = batch.answer[:, 1:]  # the prediction for column j + 1 is made at column j
    columns = predicted.any(dim=0).nonzero()[:, 0]
    logits = model(
        input_ids=batch.tokens,
        attention_mask=batch.attention,
        position_ids=(batch.attention.cumsum(-1) - 1).clamp(min=0),
        use_cache=False,
        logits_to_keep=columns,  # the widest tensor there is: nothing of it for prompts
    ).logits
    predicted = predicted[:, columns]
    return predicted.nonzero()[:, 0], batch.tokens[:, 1:][:, columns][predicted], logits[predicted]


@torch.inference_mode()
def _measure(model: Any, batch: AnswerBatch) -> list[tuple[float, int, float | None]]:
    """(log-probability, tokens, mean entropy) of each row."""
    row, label, logits = _predictions(model, batch)
    logp, entropy = (torch.zeros(len(batch.tokens), dtype=torch.float64) for _ in range(2))
    for start in range(0, len(row), CHUNK):
        part = slice(start, start + CHUNK)
        log_p = logits[part].float().log_softmax(dim=-1)
        # p log p is 0 where p is, although log p may be minus infinity.
        nats = torch.special.entr(log_p.exp()).sum(dim=-1)
        chosen = log_p.gather(-1, label[part, None])[:, 0]
        logp.index_add_(0, row[part].cpu(), chosen.double().cpu())
        entropy.index_add_(0, row[part].cpu(), nats.double().cpu())
    counts = batch.answer.sum(dim=1).tolist()
    return [
        (float(total), count, float(nats) / count if count else None)
        for total, nats, count in zip(logp, entropy, counts, strict=True)
    ]
