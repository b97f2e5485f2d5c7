"""Sampling answers: one base model, many adapters, batched, left padded, seeded per row.

The search itself is transformers' `generate`. Only the draw of the next token is ours, because
the library's top-p sorts the whole vocabulary and its multinomial draws one random number per
vocabulary entry: together more than the model's own matrix products on a CPU (DESIGN.md has the
figures).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from inspect import signature
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import torch
from peft import PeftModel
from transformers import DynamicCache, GenerationConfig, LogitsProcessor, LogitsProcessorList

from paretohqd.frames.hashes import hash_path
from paretohqd.models.adapters import put_adapter
from paretohqd.models.base import positions
from paretohqd.models.chat import encode_prompts, stop_tokens
from paretohqd.models.finite import FiniteLogits
from paretohqd.models.loading import without_bars
from paretohqd.models.templates import find_form

Progress = Callable[[int, int], None]

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
        logits = scores.float() / self.temperature
        log_total = torch.logsumexp(logits, dim=-1, keepdim=True)
        count = min(NUCLEUS_GUESS, logits.shape[-1])
        uniform = self.uniforms[:, self.step, None].to(logits.device)
        self.step += 1
        drawn, reached = self._draw(logits, log_total, uniform, count)
        if count < logits.shape[-1] and not bool(reached.all()):
            # Flat rows only: what the others draw must not depend on who is in the batch.
            flat = ~reached
            drawn[flat], _ = self._draw(
                logits[flat], log_total[flat], uniform[flat], logits.shape[-1]
            )
        return torch.full_like(scores, -torch.inf).scatter_(-1, drawn, 0.0)

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
        place = torch.searchsorted(cumulative, uniform * mass, right=True).minimum(size - 1)
        return token.gather(-1, place), cumulative[:, -1] >= self.top_p


def load_adapter(base: Any, folder: Path) -> PeftModel:
    """Put the LoRA adapter in `folder` on a base model, ready for generation.

    A base that already carries an adapter switches to this one and lets the other go, so memory
    does not grow with the number of adapters; the base's weights are shared and never changed.

    Raises:
        ValueError: no LoRA adapter, one that changes the base or more than its updates, or weights
            that are not finite.
    """
    # Named by content: folders of two stages have the same names, and one may be written anew.
    name = f"adapter-{hash_path(folder)[:16]}"
    with without_bars():
        if isinstance(base, PeftModel):
            others = [other for other in base.peft_config if other != name]
            if name not in base.peft_config:
                put_adapter(base, folder, name)
            base.set_adapter(name)
            for other in others:
                base.delete_adapter(other)
            model = base
        else:
            model = put_adapter(base, folder, name)
    return model.eval()


def generate(
    model: Any,
    tokenizer: Any,
    prompts: Sequence[str],
    *,
    system_prompt: Sequence[str] | None = None,
    seed: int = 0,
    samples: int = 1,
    max_new_tokens: int = 128,
    temperature: float = 0.7,
    top_p: float = 0.9,
    batch_size: int = 64,
    progress: Progress | None = None,
) -> pl.DataFrame:
    """Sample `samples` answers to every prompt.

    Args:
        model: a causal language model, with or without adapters, in eval mode.
        tokenizer: its tokenizer, with a chat template.
        prompts: n user messages.
        system_prompt: a system message for each of them; an empty one is none.
        seed: together with the row's number it fixes the row's random numbers, so an answer
            depends neither on the batch size nor on the other prompts (up to the rounding of
            the model's own arithmetic).
        samples: answers per prompt; the prompt is read once for all of them where the model's cache
            can be repeated.
        max_new_tokens: an answer stops here at the latest.
        temperature: 0 takes the likeliest token; larger is more random.
        top_p: the share of probability that may be drawn from.
        batch_size: answers decoded side by side.
        progress: called with (answers done, answers in all).

    Returns:
        Frame of n * samples rows, in the prompts' order: prompt, response, sample (0-based),
        tokens (generated, with the end token), finished (it ended by itself).

    Raises:
        ValueError: a prompt leaves no room for an answer within the model's context, or the
            model's scores of the next token are not finite.
    """
    ids = encode_prompts(tokenizer, prompts, system_prompt)
    check_room([len(row) for row in ids], max_new_tokens, positions(model.config))
    per_batch = max(1, batch_size // samples)
    # Neighbours of like length waste no padding; results go back to the prompts' order.
    order = sorted(range(len(ids)), key=lambda i: (len(ids[i]), i))
    rows: list[list[dict[str, Any]]] = [[] for _ in ids]
    for start in range(0, len(order), per_batch):
        batch = order[start : start + per_batch]
        answers = _decode_batch(
            model,
            tokenizer,
            [ids[i] for i in batch],
            batch,
            seed=seed,
            samples=samples,
            max_new_tokens=max_new_tokens,
            temperature=temperature,
            top_p=top_p,
        )
        for place, i in enumerate(batch):
            for sample in range(samples):
                answer = answers[place * samples + sample]
                rows[i].append({"prompt": prompts[i], "sample": sample, **answer})
        if progress:
            progress(min(start + per_batch, len(order)) * samples, len(order) * samples)
    schema = {"prompt": pl.String, "response": pl.String, "sample": pl.Int32}
    schema |= {"tokens": pl.Int32, "finished": pl.Boolean}
    return pl.DataFrame([row for group in rows for row in group], schema=schema, orient="row")


def check_room(
    lengths: Sequence[int], answer: int, room: int, *, longest: str = "max_new_tokens"
) -> None:
    """Refuse prompts that leave less than `answer` of the `room` tokens of a model's context.

    Args:
        lengths: tokens of each prompt, in the caller's order.
        answer: tokens that an answer may have.
        room: tokens of prompt and answer together.
        longest: the setting that says how long an answer may be.
    """
    long = [row for row, length in enumerate(lengths) if length + answer > room]
    if long:
        raise ValueError(
            f"{len(long)} of {len(lengths)} prompts leave no room for {answer} new tokens within "
            f"the model's context of {room} tokens (first: row {long[0]} with {lengths[long[0]]} "
            f"tokens): drop them or lower {longest}"
        )


def trim_unfinished(answers: pl.DataFrame) -> pl.DataFrame:
    """Cut answers that did not finish after their last whole sentence, if they have one.

    An answer that stops in the middle of a sentence, trained on with an end token, teaches the
    model to stop there.

    >>> frame = pl.DataFrame({"response": ["One. Two. Thr", "On"], "finished": [False, False]})
    >>> trim_unfinished(frame)["response"].to_list()
    ['One. Two.', 'On']
    """
    whole = pl.col("response").str.extract(r"(?s)^(.*[.!?…])", 1).fill_null(pl.col("response"))
    return answers.with_columns(
        pl.when(pl.col("finished")).then(pl.col("response")).otherwise(whole).alias("response")
    )


@torch.inference_mode()
def _decode_batch(
    model: Any,
    tokenizer: Any,
    ids: list[list[int]],
    row_numbers: list[int],
    *,
    seed: int,
    samples: int,
    max_new_tokens: int,
    temperature: float,
    top_p: float,
) -> list[dict[str, Any]]:
    """Answers to one batch, `samples` per prompt, prompt by prompt."""
    width = max(map(len, ids))
    pad = tokenizer.pad_token_id
    tokens = torch.tensor([[pad] * (width - len(row)) + row for row in ids], device=model.device)
    mask = torch.tensor([[0] * (width - len(row)) + [1] * len(row) for row in ids])
    mask = mask.to(model.device)
    inputs: dict[str, Any] = {}
    if samples > 1:
        if (cache := _read_once(model, tokens, mask, samples)) is not None:
            inputs["past_key_values"] = cache
        tokens = tokens.repeat_interleave(samples, dim=0)
        mask = mask.repeat_interleave(samples, dim=0)
    stop = stop_tokens(model, tokenizer)
    processors = LogitsProcessorList([FiniteLogits()])
    if temperature > 0:
        uniforms = np.stack(
            [
                np.random.default_rng([seed, row]).random((samples, max_new_tokens))
                for row in row_numbers
            ]
        ).reshape(len(ids) * samples, max_new_tokens)
        processors.append(NucleusSampler(uniforms, temperature=temperature, top_p=top_p))
    with without_bars(), _no_settings(model):
        out = model.generate(
            input_ids=tokens,
            attention_mask=mask,
            generation_config=GenerationConfig(
                do_sample=False,
                max_new_tokens=max_new_tokens,
                eos_token_id=stop,
                pad_token_id=pad,
                bos_token_id=tokenizer.bos_token_id,
            ),
            logits_processor=processors,
            **inputs,
        )
    form, answers = find_form(tokenizer), []
    for row in out[:, width:].tolist():
        end = next((j for j, token in enumerate(row) if token in stop), None)
        text = form.said(tokenizer.decode(row[:end], skip_special_tokens=True))
        count = len(row) if end is None else end + 1
        answers.append({"response": text, "tokens": count, "finished": end is not None})
    return answers


def _read_once(model: Any, tokens: torch.Tensor, mask: torch.Tensor, samples: int) -> Any:
    """What a model remembers of all prompts but their last tokens, once for each of the samples.

    None where that cannot be repeated exactly, so that each answer's prompt is read for itself: a
    model that keeps its memory elsewhere (Mamba, RecurrentGemma), or in a cache of its own kind
    (MiniMax), of which the library's `reorder_cache` may know a part.
    """
    base = model.get_base_model() if isinstance(model, PeftModel) else model
    if "past_key_values" not in signature(base.forward).parameters or tokens.shape[1] == 1:
        return None
    positions = (mask.cumsum(-1) - 1).clamp(min=0)
    read = model(
        input_ids=tokens[:, :-1],
        attention_mask=mask[:, :-1],
        position_ids=positions[:, :-1],
        use_cache=True,
        logits_to_keep=1,
    )
    cache: Any = getattr(read, "past_key_values", None)
    known = DynamicCache.__module__
    if type(cache) is not DynamicCache or any(type(x).__module__ != known for x in cache.layers):
        return None
    # Not batch_repeat_interleave: layers of convolutions and recurrences lack it or forget theirs.
    rows = torch.arange(len(tokens), device=tokens.device)
    cache.reorder_cache(rows.repeat_interleave(samples))
    return cache


@contextmanager
def _no_settings(model: Any) -> Iterator[None]:
    """Take away a model's own settings of sampling, which fill in whatever a call leaves open.

    `load_base` has none of them left; a model from elsewhere may have penalties, forbidden words
    or a cache of another kind.
    """
    base = model.get_base_model() if isinstance(model, PeftModel) else model
    kept, base.generation_config = base.generation_config, GenerationConfig()
    try:
        yield
    finally:
        base.generation_config = kept
