"""What a reward model reads of a prompt and its answer: one text, or a pair of them.

Encoders that were trained on pairs tell the second text from the first by its token types. The same
tokens given as one text have the first's types throughout, and get another score without a word; so
a user who wants one text for such a model has to say so.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from string import Formatter
from typing import Any

from paretohqd.frames.conversations.prompts import dialogue, system_and_dialogue
from paretohqd.models.chat import as_text, encode_cut, messages, render

Parts = tuple[str, ...]
"""One text, or a prompt and its answer."""

Tokens = dict[str, list[list[int]]]
"""A model's inputs by name, each with a list for each row."""


NAMES_HUMAN = re.compile(r"\s*Human:\s*\{prompt\}")
"""How a template in the form of hh-rlhf begins."""

MOST_FIELDS, MOST_CHARACTERS = 8, 65_536
"""Places for a text in a template, and the template's own length."""


def check_fields(template: str) -> None:
    """Refuse a format string that does more than to put two texts in their places.

    `{prompt:>1000000000}` would be a text of a gigabyte, and what else a format can ask for has no
    meaning for texts.

    Raises:
        ValueError: Not {prompt} and {response} alone, one of them written in a way of its own, more
            than 8 fields or 64 kB.
    """
    if len(template) > MOST_CHARACTERS:
        raise ValueError(f"template: more than {MOST_CHARACTERS:,} characters")
    try:
        fields = [part[1:] for part in Formatter().parse(template) if part[1] is not None]
    except ValueError as error:  # a brace that is not closed
        raise ValueError(f"template: {error}: write a brace of the text twice") from None
    names = {str(name) for name, _, _ in fields}
    if names != {"prompt", "response"}:
        raise ValueError(
            "template needs the fields {prompt} and {response}; found "
            f"{', '.join(sorted(names)) or 'none'}"
        )
    if any(spec or conversion for _, spec, conversion in fields):
        raise ValueError("template: write {prompt} and {response} without `:` and `!`")
    if len(fields) > MOST_FIELDS:
        raise ValueError(f"template: {len(fields)} fields, and {MOST_FIELDS} are enough")


def refuse_blank(column: str, values: Sequence[str | None], *, empty: bool) -> None:
    """Refuse nulls, and blank texts unless `empty` allows them."""
    bad = [i for i, v in enumerate(values) if v is None or not (empty or v.strip())]
    if bad:
        what = "null" if empty else "null or empty"
        raise ValueError(
            f"{len(bad)} {what} text(s) in {column!r}, the first in row {bad[0]}: drop those rows "
            "before scoring, since no score of theirs would mean anything"
        )


@dataclass(frozen=True, kw_only=True)
class RewardInputs:
    """How pairs of prompt and answer become a model's inputs."""

    tokenizer: Any
    control: re.Pattern[str]
    """Finds the tokenizer's control tokens, which texts do not write."""
    form: str
    """"chat", "pair" or a format string with {prompt} and {response}."""
    limit: int
    """Tokens that the model can take."""
    types: dict[str, bool]
    """What `type_options` says of the model."""

    def parts(self, prompt: str, response: str) -> Parts:
        """What the tokenizer is given: the whole conversation, in its chat template or as text."""
        if self.form == "chat":
            chat = [
                turn | {"content": as_text(self.control, turn["content"])}
                for turn in messages(prompt, response)
            ]
            return (render(self.tokenizer, chat),)
        system, talk = "", dialogue(prompt)
        if NAMES_HUMAN.match(self.form):
            # The data of such models have a system's text before the first turn.
            system, talk = system_and_dialogue(prompt)
        system, talk, response = (as_text(self.control, t) for t in (system, talk, response))
        if self.form == "pair":
            return talk, response
        text = self.form.format(prompt=talk, response=response)
        return (f"{system}\n\n{text.lstrip()}" if system else text,)

    def encode(self, rows: Sequence[Parts], **more: Any) -> Tokens:
        """Tokens of each row, whole unless `more` says otherwise."""
        # A chat template writes the special tokens itself.
        special = self.form != "chat"
        columns = [list(column) for column in zip(*rows, strict=True)]
        more |= self.types
        return encode_cut(
            self.tokenizer, *columns, add_special_tokens=special, verbose=False, **more
        )

    def cut(self, rows: Sequence[Parts]) -> Tokens:
        """Tokens of over-long rows without their beginning: the prompt's, then the answer's."""
        if self.form != "pair":
            return self.encode(rows, truncation=True, max_length=self.limit)
        tokens: Tokens = {}
        for prompt, answer in rows:
            alone = self.length(("", answer)) >= self.limit
            row, which = ("", answer), "only_second"
            if not alone:
                row, which = (prompt, answer), "only_first"
            one = self.encode([row], truncation=which, max_length=self.limit)
            for key, (ids,) in one.items():
                tokens.setdefault(key, []).append(ids)
        return tokens

    def length(self, row: Parts) -> int:
        """Tokens of one row."""
        return len(self.encode([row])["input_ids"][0])

    def cuts_answer(self, response: str) -> bool:
        """Whether an answer is too long even with an empty prompt."""
        return self.length(self.parts("", response)) > self.limit


def type_options(config: Any) -> dict[str, bool]:
    """Ask a tokenizer for token types where the network has embeddings for them.

    A tokenizer that was converted does not know that its model wants them. Without embeddings of
    their own (`type_vocab_size`) what the tokenizer does by itself is right: GPT-2 would take types
    for tokens.
    """
    kinds = getattr(config, "type_vocab_size", None)
    return {"return_token_type_ids": True} if isinstance(kinds, int) and kinds > 1 else {}


def reads_pairs(tokenizer: Any, network: Any) -> bool:
    """Whether a model scores the tokens of a pair by which of the two texts they are in.

    Found out by trying: a tokenizer may give no types, and a network may not use them.
    """
    import torch

    inputs = tokenizer("a", "b", return_tensors="pt", **type_options(network.config))
    types = inputs.get("token_type_ids")
    if types is None or not (types == 1).any():
        return False
    first = {**inputs, "token_type_ids": types.masked_fill(types == 1, 0)}
    with torch.inference_mode():
        return not torch.equal(network(**inputs).logits, network(**first).logits)


def choose_form(
    model: str, tokenizer: Any, network: Any, *, template: str | None, pair: bool | None
) -> str:
    """The form of a reward's inputs, from what the user says and what the model is.

    Raises:
        ValueError: One text for a model that reads pairs, unless `pair` is False; or no template
            for one text where the tokenizer has none.
    """
    if pair:
        return "pair"
    if pair is None and reads_pairs(tokenizer, network):
        if template is not None:
            raise ValueError(
                f"model {model}: tells two texts apart by their token types, and a template makes "
                "one text, to which it would give another score: leave template out, and it is "
                "given prompt and answer as a pair; or set pair: false if it was trained on single "
                "texts"
            )
        return "pair"
    if template not in (None, "chat"):
        return str(template)
    if not tokenizer.chat_template:
        raise ValueError(
            f"model {model}: has no chat template: pass template= as a format string with "
            "{prompt} and {response}, as its model card shows it, or pair=True if it was trained "
            "on pairs of texts"
        )
    return "chat"
