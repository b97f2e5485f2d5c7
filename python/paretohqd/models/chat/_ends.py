"""How an answer ends: which tokens end it, and what it says without them."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

from paretohqd.models.chat._templates import Form, find_form


def stop_tokens(model: Any, tokenizer: Any) -> list[int]:
    """Ids that end an answer: the tokenizer's end token and those the model declares."""
    return stop_ids(tokenizer, model.generation_config.eos_token_id)


def stop_ids(tokenizer: Any, declared: int | list[int] | None) -> list[int]:
    """Ids that end an answer: the tokenizer's end token and those that are declared."""
    listed = declared if isinstance(declared, list) else [declared]
    return sorted({t for t in [tokenizer.eos_token_id, *listed] if t is not None})


def until_end(ids: list[int], stop: Collection[int]) -> list[int]:
    """Ids up to the first end token and with it; all of them where there is none.

    Example:
        >>> until_end([7, 9, 5, 9], {9}), until_end([7, 5], {9})
        ([7, 9], [7, 5])
    """
    end = next((i for i, token in enumerate(ids) if token in stop), len(ids))
    return ids[: end + 1]


def answer_text(tokenizer: Any, ids: Sequence[int], *, form: Form | None = None) -> str:
    """The text of a sampled answer: without control tokens and white space around it.

    `form` is that of the tokenizer's template; it is found out where it is not given.
    """
    form = form or find_form(tokenizer)
    return form.clean(tokenizer.decode(ids, skip_special_tokens=True))
