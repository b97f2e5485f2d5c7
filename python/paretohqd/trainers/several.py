"""Several adapters on one base that are trained together: put on it, given rows, and saved."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import polars as pl
from peft import LoraConfig, get_peft_model
from transformers import set_seed

from paretohqd.models.base_names import without_places
from paretohqd.models.chat import SYSTEM_PROMPT, encode_answers
from paretohqd.models.library_calls import tied_on_purpose, without_bars

APART = 1_000_003
"""How far the seeds of adapters that are trained together lie apart."""

BODY = "body"
"""An adapter that others, on the head alone, share; and its folder."""

Ids = tuple[list[int], list[int]]
"""Tokens of a prompt and of its answer."""


def put_on(model: Any, adapters: Mapping[str, LoraConfig], *, seed: int) -> Any:
    """Put fresh adapters on a bare base, in eval mode.

    Args:
        model: The base; the call wraps it.
        adapters: Settings by name, a config each, because PEFT writes into it.
        seed: The first starts from it, each further one `APART` further: with the next number it
            would start as the first one of the next seed.

    Returns:
        The wrapped model.
    """
    wrapped: Any = None
    with tied_on_purpose():
        for place, (name, config) in enumerate(adapters.items()):
            set_seed(seed + APART * place)
            if wrapped is None:
                wrapped = get_peft_model(model, config, adapter_name=name)
            else:
                wrapped.add_adapter(name, config)
    return wrapped.eval()


def save_all(model: Any, out: Path, names: Sequence[str]) -> None:
    """Write each adapter to a folder of its name."""
    with without_bars(), tied_on_purpose():
        model.save_pretrained(out, save_embedding_layers=False)  # as in `save_adapter`
    for folder in (out, *(out / name for name in names)):
        without_places(folder, model)


def encoded(
    model: Any,
    tokenizer: Any,
    rows: pl.DataFrame,
    longest: int | None,
    *,
    answers: str = "response",
    setting: str = "train",
) -> list[Ids]:
    """Tokens of prompts and answers, cut to max_length.

    Args:
        model: The base.
        tokenizer: Its tokenizer, with a chat template.
        rows: Columns prompt and the answers, and perhaps system_prompt and finished.
        longest: max_length.
        answers: The answers' column.
        setting: Where max_length stands, for the message.

    Raises:
        ValueError: An answer without a token that is left.
    """
    ids = encode_answers(
        model,
        tokenizer,
        rows["prompt"].to_list(),
        rows[answers].to_list(),
        system_prompt=rows[SYSTEM_PROMPT].to_list() if SYSTEM_PROMPT in rows.columns else None,
        finished=rows["finished"].to_list() if "finished" in rows.columns else None,
    )
    if longest is not None:
        ids = [(prompt, answer[: max(0, longest - len(prompt))]) for prompt, answer in ids]
    none = [i for i, (_, answer) in enumerate(ids) if not answer]
    if none:
        raise ValueError(
            f"{len(none)} of {len(rows)} answers have no token to train on (first: row {none[0]}): "
            f"raise {setting}.max_length or leave these rows out"
        )
    return ids
