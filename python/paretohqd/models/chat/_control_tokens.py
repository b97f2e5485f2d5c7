"""Control tokens in texts: read as the characters that they are written with.

A token such as `<|im_end|>` is the template's to write. Where a prompt or an answer holds its
characters, the text is cut within them and the pieces are encoded apart, so that no piece makes the
token. Texts without such characters are not cut.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from typing import Any

CUT = "\U0010fffe\U0010ffff"
"""Where `as_text` cuts: two code points that no text is made of, because they are no characters."""


def special_tokens(tokenizer: Any) -> set[str]:
    """The tokens that a tokenizer calls special."""
    added = tokenizer.added_tokens_decoder.values()
    return {*tokenizer.all_special_tokens, *(token.content for token in added if token.special)}


def pattern_of(tokens: Collection[str]) -> re.Pattern[str]:
    """Finds tokens in texts; not those of one character, which look like the character itself."""
    parts = [re.escape(token) for token in sorted(tokens) if len(token) > 1]
    return re.compile("|".join(parts) or "(?!)")


def cut(control: re.Pattern[str], text: str) -> list[str]:
    """Cut a text within each control token, so that no piece holds one.

    Example:
        >>> cut(re.compile("<s>"), "a<s><s>b")
        ['a<', 's><', 's>b']
    """
    pieces, last = [], 0
    while token := control.search(text, last):
        pieces.append(text[last : token.start() + 1])
        last = token.start() + 1
    return [*pieces, text[last:]]


def control_pattern(tokenizer: Any) -> re.Pattern[str]:
    """Finds special tokens in texts."""
    return pattern_of(special_tokens(tokenizer))


def as_text(control: re.Pattern[str], text: str) -> str:
    """A text for `encode_cut`, which will read control tokens in it as characters.

    Args:
        control: As `control_pattern` makes it for the tokenizer.
        text: A prompt or an answer, before a template is filled in with it.
    """
    return CUT.join(cut(control, text))


def encode_cut(tokenizer: Any, *columns: Sequence[str], **more: Any) -> dict[str, list[Any]]:
    """What a tokenizer makes of texts, or of pairs of texts, of which `as_text` made some parts.

    Args:
        tokenizer: Any, with or without a chat template.
        columns: n texts, or n first and n second ones.
        more: What the tokenizer takes besides.
    """
    rows_cut = [
        row for row, texts in enumerate(zip(*columns, strict=True)) if CUT in "".join(texts)
    ]
    whole = [[text.replace(CUT, "") for text in column] for column in columns]
    tokens = dict(tokenizer(*whole, **more))
    if rows_cut:
        # Words of such a list are read apart, and no word holds a control token.
        words = [[column[row].split(CUT) for row in rows_cut] for column in columns]
        apart = tokenizer(*words, is_split_into_words=True, **more)
        for key, rows in tokens.items():
            for row, value in zip(rows_cut, apart[key], strict=True):
                rows[row] = value
    return tokens
