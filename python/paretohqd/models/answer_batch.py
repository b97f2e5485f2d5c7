"""The answers to one batch of prompts, padded on the left, each row with its own random numbers.

The search is `decode_loop` on a CPU, and elsewhere transformers' `generate`; the draw of the next
token is `nucleus` in both.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from inspect import signature
from typing import Any

import numpy as np
import polars as pl
import torch
from peft import PeftModel
from transformers import GenerationConfig, LogitsProcessorList

from paretohqd.models.chat import answer_text, find_form, pad_prompts, stop_tokens, until_end
from paretohqd.models.decode_loop import decode, known_cache
from paretohqd.models.finite import FiniteLogits, check_logits
from paretohqd.models.library_calls import without_bars
from paretohqd.models.merging import merged
from paretohqd.models.nucleus import NucleusSampler
from paretohqd.models.spec import Sampling

ANSWERS = {
    "row": pl.Int64,
    "prompt": pl.String,
    "response": pl.String,
    "sample": pl.Int32,
    "tokens": pl.Int32,
    "finished": pl.Boolean,
}
"""Columns of answers, `row` being the prompt's number among all prompts."""


@torch.inference_mode()
def decode_batch(
    model: Any,
    tokenizer: Any,
    prompts: Sequence[str],
    ids: Sequence[list[int]],
    rows: Sequence[int],
    *,
    seed: int,
    samples: int,
    sampling: Sampling,
) -> pl.DataFrame:
    """Answers to one batch, `samples` per prompt, prompt by prompt.

    Args:
        model: See `generate`, as for the other arguments.
        tokenizer: Its tokenizer.
        prompts: n prompts.
        ids: Their tokens, as `encode_prompts` has them.
        rows: The number of each prompt among all prompts, which fixes its random numbers.
        seed: Fixes them too.
        samples: Answers per prompt.
        sampling: Length, temperature and top_p.

    Returns:
        Frame of n * samples rows with the columns of ANSWERS.
    """
    stop = stop_tokens(model, tokenizer)
    sampler = sampler_of(rows, seed=seed, samples=samples, sampling=sampling)
    batch = pad_prompts(ids, tokenizer, model.device)
    replies = None
    if model.device.type == "cpu":
        with merged(model):
            replies = decode(
                model,
                *batch,
                samples=samples,
                steps=sampling.max_new_tokens,
                stop=stop,
                choose=partial(next_tokens, sampler),
            )
    if replies is None:
        replies = _search(
            model,
            tokenizer,
            *batch,
            samples=samples,
            steps=sampling.max_new_tokens,
            stop=stop,
            sampler=sampler,
        )
    return answers_frame(tokenizer, replies, prompts, rows, samples=samples, stop=stop)


def sampler_of(
    rows: Sequence[int], *, seed: int, samples: int, sampling: Sampling
) -> NucleusSampler | None:
    """What draws the tokens of prompts with these numbers; None at temperature 0."""
    if sampling.temperature == 0:
        return None
    steps = sampling.max_new_tokens
    drawn = [np.random.default_rng([seed, row]).random((samples, steps)) for row in rows]
    uniforms = np.stack(drawn).reshape(len(rows) * samples, steps)
    return NucleusSampler(uniforms, temperature=sampling.temperature, top_p=sampling.top_p)


def answers_frame(
    tokenizer: Any,
    replies: Sequence[Sequence[int]],
    prompts: Sequence[str],
    rows: Sequence[int],
    *,
    samples: int,
    stop: Collection[int],
) -> pl.DataFrame:
    """Answers' tokens, prompt by prompt, as a frame with the columns of ANSWERS."""
    form, answers = find_form(tokenizer), []
    for number, reply in enumerate(replies):
        finished = bool(reply) and reply[-1] in stop
        text = answer_text(tokenizer, reply[:-1] if finished else reply, form=form)
        i, sample = divmod(number, samples)
        answers.append((rows[i], prompts[i], text, sample, len(reply), finished))
    return pl.DataFrame(answers, schema=ANSWERS, orient="row")


def next_tokens(
    sampler: NucleusSampler | None, scores: torch.Tensor, rows: torch.Tensor, step: int
) -> torch.Tensor:
    """The next token of some rows: drawn, or without a sampler the likeliest."""
    check_logits(scores)
    return scores.argmax(dim=-1) if sampler is None else sampler.draw(scores, rows, step)


def _search(
    model: Any,
    tokenizer: Any,
    tokens: torch.Tensor,
    mask: torch.Tensor,
    *,
    samples: int,
    steps: int,
    stop: list[int],
    sampler: NucleusSampler | None,
) -> list[list[int]]:
    """What `decode` gives, by transformers' `generate`: on a GPU, and for what that cannot do."""
    width = tokens.shape[1]
    inputs: dict[str, Any] = {}
    if samples > 1:
        if (cache := _read_once(model, tokens, mask, samples)) is not None:
            inputs["past_key_values"] = cache
        tokens = tokens.repeat_interleave(samples, dim=0)
        mask = mask.repeat_interleave(samples, dim=0)
    processors = LogitsProcessorList([FiniteLogits(), *([sampler] if sampler else [])])
    with without_bars(), _no_settings(model):
        out = model.generate(
            input_ids=tokens,
            attention_mask=mask,
            generation_config=GenerationConfig(
                do_sample=False,
                max_new_tokens=steps,
                eos_token_id=stop,
                pad_token_id=tokenizer.pad_token_id,
                bos_token_id=tokenizer.bos_token_id,
            ),
            logits_processor=processors,
            **inputs,
        )
    return [until_end(drawn, stop) for drawn in out[:, width:].tolist()]


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
    if not known_cache(cache):
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
