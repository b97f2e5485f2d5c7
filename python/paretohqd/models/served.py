"""Sampling answers through a server with OpenAI's interface: the same frame as `sampling.generate`.

The server has the run's base model and applies its chat template itself. What cannot be seen from
here is told where it shows: a request of which the server counts other tokens than the run's own
template gives was read in another way.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from paretohqd.models import chat
from paretohqd.models.answer_batch import ANSWERS
from paretohqd.models.endpoint import EndpointClient, Progress
from paretohqd.models.endpoint_requests import Request
from paretohqd.models.replies import Reply
from paretohqd.models.spec import Sampling

ENDED = ("stop", "eos", "eos_token")
"""What servers call an answer that ended by itself."""


@dataclass(frozen=True, kw_only=True)
class Served:
    """Answers of a server, and what it did."""

    answers: pl.DataFrame
    """As `sampling.generate` gives them."""
    other_prompts: int
    """Prompts of which the server counted other tokens than the run's own template gives."""
    reported: str | None
    """What the server called the model."""


def generate_served(
    client: EndpointClient,
    tokenizer: Any,
    prompts: Sequence[str],
    *,
    model: str,
    depends: Mapping[str, Any],
    context: int,
    system_prompt: Sequence[str] | None = None,
    seed: int = 0,
    samples: int = 1,
    sampling: Sampling,
    progress: Progress | None = None,
) -> Served:
    """Sample `samples` answers to every prompt.

    Args:
        client: The server's client.
        tokenizer: That of the run's base model, for lengths.
        prompts: n prompts: what a user says, or a conversation as `write_prompt` writes it.
        model: What the server calls the model.
        depends: What tells the model from others, wherever it is served: the base, an adapter.
        context: Tokens that the model can attend to.
        system_prompt: A further system message for each; an empty one is none.
        seed: Each request's own seed is derived from it, the row and the sample.
        samples: Answers per prompt, each of its own request.
        sampling: Length, temperature and top_p.
        progress: Called with (answers done, answers in all).

    Raises:
        ValueError: A prompt that leaves no room for an answer or that the template does not take;
            what `EndpointClient.ask` refuses.
    """
    ids = chat.encode_prompts(tokenizer, prompts, system_prompt)
    lengths = [len(row) for row in ids]
    chat.check_room(lengths, sampling.max_new_tokens, context)
    form = chat.find_form(tokenizer)
    requests = []
    for row, prompt in enumerate(prompts):
        turns = chat.with_system(form, prompt, system_prompt[row] if system_prompt else "")
        for sample in range(samples):
            body = {
                "messages": turns,
                "max_tokens": sampling.max_new_tokens,
                "temperature": sampling.temperature,
                "top_p": sampling.top_p,
                "seed": request_seed(seed, row, sample),
            }
            requests.append(Request(body=body, depends=depends, row=row))
    replies = client.ask(requests, model=model, progress=progress)
    rows, others, reported = [], set(), None
    for number, reply in enumerate(replies):
        row, sample = divmod(number, samples)
        finished = reply.finish in ENDED
        tokens = _tokens(reply, tokenizer, finished=finished)
        rows.append((row, prompts[row], form.clean(reply.text), sample, tokens, finished))
        reported = reply.model or reported
        if reply.read is not None and reply.read != lengths[row]:
            others.add(row)
    answers = pl.DataFrame(rows, schema=ANSWERS, orient="row").drop("row")
    return Served(answers=answers, other_prompts=len(others), reported=reported)


def request_seed(seed: int, row: int, sample: int) -> int:
    """The seed of one request: 31 bits, since some servers take no more.

    Example:
        >>> request_seed(0, 0, 0) != request_seed(0, 0, 1) != request_seed(0, 1, 0)
        True
    """
    return int(np.random.SeedSequence([seed, row, sample]).generate_state(1)[0] >> 1)


def _tokens(reply: Reply, tokenizer: Any, *, finished: bool) -> int:
    """Tokens of an answer with its end token: the server's count, or else the tokenizer's."""
    if reply.written is not None:
        return reply.written
    ids = tokenizer(reply.text, add_special_tokens=False)["input_ids"]
    return len(ids) + finished
