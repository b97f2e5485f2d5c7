"""Measures of texts that need no model.

Collapse and echo catch what rewards miss: a policy can raise its relevance by repeating the prompt
and its brevity by saying nothing. The thresholds are this project's own; they are parameters
everywhere, and belong beside every rate that is printed.

Words are runs of letters, digits and apostrophes, each with its combining marks, and compare equal
whatever their case and their Unicode form; punctuation and emoji are not words. In Chinese and
Japanese, which are written without spaces, each ideograph and each run of one kana is a word. Thai,
Lao, Khmer and Burmese would need a dictionary: there the text between two spaces is one word, and
answers look shorter and more original than they are.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from paretohqd.frames.conversations.prompts import last_message

Bools = NDArray[np.bool_]
Floats = NDArray[np.float64]

_ASCII_WORD = re.compile("[a-z0-9]+(?:'[a-z0-9]+)*")

_INVISIBLE = "\u00ad\u034f\u061c\u200c-\u200f\u2060\ufe00-\ufe0f\ufeff\U000e0100-\U000e01ef"
"""Characters that only affect how a word is set: soft hyphens, joiners, variants, directions."""

_IDEOGRAPHS = "\u3005-\u3007\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
_HIRAGANA = "\u3041-\u3096\u309d-\u309f"
_KATAKANA = "\u30a1-\u30fa\u30fd-\u30ff\u31f0-\u31ff\uff66-\uff9f"
_LONG_VOWEL = "\u30fc"  # lengthens a syllable of either kana

_APOSTROPHES = str.maketrans(dict.fromkeys("\u2018\u2019\u02bc", "'"))


def words(text: str) -> list[str]:
    """Words of a text, in order, in lower case and one Unicode form (NFKC).

    Example:
        >>> words("Don't panic, Zaphod -- it's 42!")
        ["don't", 'panic', 'zaphod', "it's", '42']
        >>> words("धन्यवाद! 我很好。")
        ['धन्यवाद', '我', '很', '好']
    """
    if text.isascii():
        return _ASCII_WORD.findall(text.lower())
    word_pattern, invisible = _word_patterns()
    matches = word_pattern.findall(_folded(text).translate(_APOSTROPHES))
    return [invisible.sub("", word) for word in matches]


@cache
def _word_patterns() -> tuple[re.Pattern[str], re.Pattern[str]]:
    """The pattern of a word in any script, and that of the invisible characters in one."""
    # The module `re` has no class of combining marks; all of them are in these two ranges.
    codes = [*range(0x300, 0x20000), *range(0xE0100, 0xE01F0)]
    marks = "".join(chr(c) for c in codes if unicodedata.category(chr(c)).startswith("M"))
    mark = f"[{marks}{_INVISIBLE}]"
    letter = rf"[^\W_{_IDEOGRAPHS}{_HIRAGANA}{_KATAKANA}{_LONG_VOWEL}]{mark}*"
    words_by_script = [
        f"{letter}(?:'?{letter})*",
        f"[{_IDEOGRAPHS}]{mark}*",
        f"[{_HIRAGANA}](?:[{_HIRAGANA}{_LONG_VOWEL}]|{mark})*",
        f"[{_KATAKANA}](?:[{_KATAKANA}{_LONG_VOWEL}]|{mark})*",
    ]
    return re.compile("|".join(words_by_script)), re.compile(f"[{_INVISIBLE}]+")


def _folded(text: str) -> str:
    """A text in one Unicode form (NFKC) and without differences of case."""
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())


@dataclass(frozen=True, kw_only=True)
class Collapse:
    """Which of n answers collapsed, and how.

    Attributes:
        short: (n,) mask of answers with too few words.
        repetitive: (n,) mask of answers that loop.
    """

    short: Bools
    repetitive: Bools

    @property
    def collapsed(self) -> Bools:
        """(n,) mask of answers that are short, repetitive or both."""
        return self.short | self.repetitive

    def rates(self) -> dict[str, float]:
        """Shares of all answers: `short`, `repetitive`, and `any` of the two."""
        return {
            "short": float(self.short.mean()),
            "repetitive": float(self.repetitive.mean()),
            "any": float(self.collapsed.mean()),
        }


def _longest_run(tokens: Sequence[str], n: int) -> int:
    """How many times in a row the most repeated n-gram occurs in `tokens`."""
    longest = matches = 0
    for token, nth_next in zip(tokens, tokens[n:], strict=False):
        matches = matches + 1 if token == nth_next else 0
        longest = max(longest, matches)
    # r copies of an n-gram in a row give (r - 1) n consecutive matches with the token n further on.
    return longest // n + 1


def _distinct_share(tokens: Sequence[str], n: int) -> float:
    ngrams = list(zip(*(tokens[i:] for i in range(n)), strict=False))
    return len(set(ngrams)) / len(ngrams) if ngrams else 1.0


def collapse(
    responses: Sequence[str],
    *,
    min_words: int = 3,
    max_ngram: int = 4,
    repeats: int = 4,
    distinct: float = 0.3,
) -> Collapse:
    """Find collapsed answers: too short, or looping.

    An answer is short with fewer than `min_words` words. It is repetitive when some n-gram of words
    with n <= `max_ngram` occurs at least `repeats` times in a row, or when fewer than `distinct` of
    its `max_ngram`-grams are distinct. The two are reported separately. The definition is ours: we
    do not know the ParetoHqD paper's own.

    Args:
        responses: n answers.
        min_words: The least number of words of an answer that is not short.
        max_ngram: The longest n-gram that is counted.
        repeats: Copies in a row from which an n-gram counts as a loop.
        distinct: The least share of distinct n-grams; an answer with none has share 1.

    Raises:
        ValueError: There are no answers, or no answer can meet a threshold.

    Example:
        >>> result = collapse(["Yes.", "so so so so good", "I walked home in the rain."])
        >>> result.short.tolist(), result.repetitive.tolist()
        ([True, False, False], [False, True, False])
        >>> round(result.rates()["any"], 3)
        0.667
    """
    if max_ngram < 1 or repeats < 2:
        raise ValueError(
            f"max_ngram must be at least 1 and repeats at least 2; got {max_ngram} and {repeats}"
        )
    if not len(responses):
        raise ValueError("collapse needs at least one response: a rate of none is undefined")
    split = [words(text) for text in responses]
    loops = [
        any(_longest_run(tokens, n) >= repeats for n in range(1, max_ngram + 1))
        or _distinct_share(tokens, max_ngram) < distinct
        for tokens in split
    ]
    short = [len(tokens) < min_words for tokens in split]
    return Collapse(short=np.array(short, dtype=bool), repetitive=np.array(loops, dtype=bool))


def word_overlap(prompts: Sequence[str], responses: Sequence[str]) -> Floats:
    """Share of each answer's distinct words that also occur in its prompt.

    It is 0 for an answer without words. Words are counted once each: otherwise an answer that loops
    on a word of its own would look original. The definition is ours; 98.3 % of the human answers in
    `paretohqd.models.embedded.conversations` have a share of at most 0.5.

    Args:
        prompts: n prompts; of a conversation (see `frames.conversations.prompts`) the last message.
        responses: n answers, one per prompt.

    Returns:
        (n,) shares in [0, 1].

    Raises:
        ValueError: The numbers of prompts and responses differ.

    Example:
        >>> word_overlap(["Do you like tea?"], ["Tea? I like it, I do."]).tolist()
        [0.6]
    """
    if len(prompts) != len(responses):
        raise ValueError(f"{len(prompts)} prompts but {len(responses)} responses: pass pairs")
    shares = np.zeros(len(responses))
    for i, (prompt, response) in enumerate(zip(prompts, responses, strict=True)):
        own = set(words(response))
        if own:
            shares[i] = len(own.intersection(words(last_message(prompt)))) / len(own)
    return shares


def echo(prompts: Sequence[str], responses: Sequence[str], *, threshold: float = 0.5) -> Bools:
    """Find answers that echo: most of their distinct words occur in the prompt.

    Similarity rewards favour such answers: their rate belongs beside the collapse rate, and they
    are better left out of training (keep `~echo(...)`).

    Args:
        prompts: n prompts, as for `word_overlap`.
        responses: n answers, one per prompt.
        threshold: An answer echoes when its `word_overlap` is above this.

    Returns:
        (n,) mask.

    Example:
        >>> echo(["Do you like tea?"] * 2, ["Do you like tea too?", "Coffee, if you do."]).tolist()
        [True, False]
    """
    return word_overlap(prompts, responses) > threshold
