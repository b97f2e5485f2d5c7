"""Measures of answers, training sets and fronts that need no model.

Collapse and echo catch what rewards miss: a policy can raise its relevance by repeating the prompt
and its brevity by saying nothing. The thresholds are this project's, parameters everywhere, and
belong beside every rate that is printed.

Words are runs of letters, digits and apostrophes, each with its combining marks, and compare equal
whatever their case and their Unicode form; punctuation and emoji are no words. Of Chinese and
Japanese, written without spaces, each ideograph and each run of one kana is a word. Thai, Lao,
Khmer and Burmese would need a dictionary: what stands between two spaces is one word there, so that
their answers look shorter and more original than they are.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from itertools import pairwise

import numpy as np
import polars as pl
from numpy.typing import ArrayLike, NDArray

Bools = NDArray[np.bool_]
Floats = NDArray[np.float64]

BLOCK = 4096
"""Rows whose preferences are compared at once: single precision counts them exactly."""

_ASCII_WORD = re.compile("[a-z0-9]+(?:'[a-z0-9]+)*")

_UNSEEN = "\u00ad\u034f\u061c\u200c-\u200f\u2060\ufe00-\ufe0f\ufeff\U000e0100-\U000e01ef"
"""What only tells how a word is set: soft hyphens, joiners, variants, directions."""

_IDEOGRAPHS = "\u3005-\u3007\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
_HIRAGANA = "\u3041-\u3096\u309d-\u309f"
_KATAKANA = "\u30a1-\u30fa\u30fd-\u30ff\u31f0-\u31ff\uff66-\uff9f"
_LONG = "\u30fc"  # lengthens a syllable of either kana

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
    pattern, unseen = _any_word()
    found = pattern.findall(_folded(text).translate(_APOSTROPHES))
    return [unseen.sub("", word) for word in found]


@cache
def _any_word() -> tuple[re.Pattern[str], re.Pattern[str]]:
    """What matches a word in any script, and what in a word is not seen."""
    # The module `re` knows no class of combining marks; none lie elsewhere.
    places = [*range(0x300, 0x20000), *range(0xE0100, 0xE01F0)]
    marks = "".join(chr(c) for c in places if unicodedata.category(chr(c)).startswith("M"))
    on = f"[{marks}{_UNSEEN}]"
    letter = rf"[^\W_{_IDEOGRAPHS}{_HIRAGANA}{_KATAKANA}{_LONG}]{on}*"
    kinds = [
        f"{letter}(?:'?{letter})*",
        f"[{_IDEOGRAPHS}]{on}*",
        f"[{_HIRAGANA}](?:[{_HIRAGANA}{_LONG}]|{on})*",
        f"[{_KATAKANA}](?:[{_KATAKANA}{_LONG}]|{on})*",
    ]
    return re.compile("|".join(kinds)), re.compile(f"[{_UNSEEN}]+")


def _folded(text: str) -> str:
    """A text with its compatible forms and its cases made one."""
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())


@dataclass(frozen=True, kw_only=True)
class Collapse:
    """Which of n answers collapsed, and how.

    Attributes:
        short: (n,) answers with too few words.
        repetitive: (n,) answers that loop.
    """

    short: Bools
    repetitive: Bools

    @property
    def collapsed(self) -> Bools:
        """(n,) answers that are short, repetitive or both."""
        return self.short | self.repetitive

    def rates(self) -> dict[str, float]:
        """Shares of all answers: `short`, `repetitive`, and `any` of the two."""
        return {
            "short": float(self.short.mean()),
            "repetitive": float(self.repetitive.mean()),
            "any": float(self.collapsed.mean()),
        }


def _longest_run(tokens: Sequence[str], n: int) -> int:
    """How many times in a row the most repeated n-gram stands in `tokens`."""
    longest = matches = 0
    for before, after in zip(tokens, tokens[n:], strict=False):
        matches = matches + 1 if before == after else 0
        longest = max(longest, matches)
    # r copies of an n-gram in a row are (r - 1) n consecutive matches with the word n before.
    return longest // n + 1


def _distinct_share(tokens: Sequence[str], n: int) -> float:
    grams = list(zip(*(tokens[i:] for i in range(n)), strict=False))
    return len(set(grams)) / len(grams) if grams else 1.0


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
    with n <= `max_ngram` stands at least `repeats` times in a row, or when fewer than `distinct` of
    its `max_ngram`-grams are distinct. The two are reported apart. The definition is ours: the
    ParetoHqD paper's own is unknown to us.

    Args:
        responses: n answers.
        min_words: The least number of words of an answer that is not short.
        max_ngram: The longest n-gram looked at.
        repeats: Copies in a row from which an n-gram counts as a loop.
        distinct: The least share of distinct n-grams; an answer with none has share 1.

    Raises:
        ValueError: No answers, or a threshold that no answer can meet.

    Example:
        >>> found = collapse(["Yes.", "so so so so good", "I walked home in the rain."])
        >>> found.short.tolist(), found.repetitive.tolist()
        ([True, False, False], [False, True, False])
        >>> round(found.rates()["any"], 3)
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
    """Share of each answer's distinct words that also stand in its prompt.

    0 for an answer without words. Distinct words, because an answer that loops on a word of its own
    would otherwise look original. The definition is ours; 98.3 % of the human answers of
    `embedded.conversations` have a share of at most .5.

    Args:
        prompts: n prompts.
        responses: n answers, one per prompt.

    Returns:
        (n,) shares in [0, 1].

    Raises:
        ValueError: Different numbers of prompts and responses.

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
            shares[i] = len(own.intersection(words(prompt))) / len(own)
    return shares


def echo(prompts: Sequence[str], responses: Sequence[str], *, threshold: float = 0.5) -> Bools:
    """Find answers that echo: most of their distinct words stand in the prompt.

    Similarity rewards pay for this, so its rate belongs beside the collapse rate, and such rows are
    better left out of training (keep `~echo(...)`).

    Args:
        prompts: n prompts.
        responses: n answers, one per prompt.
        threshold: An answer echoes when its `word_overlap` is above this.

    Returns:
        (n,) mask.

    Example:
        >>> echo(["Do you like tea?"] * 2, ["Do you like tea too?", "Coffee, if you do."]).tolist()
        [True, False]
    """
    return word_overlap(prompts, responses) > threshold


def selection_overlap(selection: pl.DataFrame) -> Floats:
    """Jaccard overlap of the preferences' training sets.

    Neighbouring preferences that share most rows train nearly the same model; this shows it.

    Args:
        selection: A long frame, as `select` returns it: a row for each chosen example with the
            columns `preference` and `row` (its index in the scored data).

    Returns:
        (P, P) shares of the union in [0, 1], preferences in ascending order; 1 on the diagonal.

    Raises:
        ValueError: A column is missing.

    Example:
        >>> frame = pl.DataFrame({"preference": [0, 0, 1, 1], "row": [3, 5, 5, 8]})
        >>> selection_overlap(frame).round(3).tolist()
        [[1.0, 0.333], [0.333, 1.0]]
    """
    missing = [name for name in ("preference", "row") if name not in selection.columns]
    if missing:
        raise ValueError(
            f"selection lacks the column(s) {', '.join(missing)}: pass what select returns"
        )
    who, preference = np.unique(selection["preference"].to_numpy(), return_inverse=True)
    rows = np.unique(selection["row"].to_numpy(), return_inverse=True)[1]
    by_row = np.argsort(rows, kind="stable")
    rows, preference = rows[by_row], preference[by_row]
    shared = np.zeros((len(who), len(who)))
    ends = np.searchsorted(rows, np.arange(0, rows.max(initial=-1) + 1 + BLOCK, BLOCK))
    for start, end in pairwise(ends.tolist()):
        # Which preferences (down) have which of these rows (across).
        has = np.zeros((len(who), BLOCK), dtype=np.float32)
        has[preference[start:end], rows[start:end] % BLOCK] = 1
        shared += has @ has.T
    sizes = shared.diagonal()
    return shared / (sizes[:, None] + sizes[None, :] - shared)


def _average_ranks(values: Floats) -> Floats:
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    # Equal values share the mean of the ranks that they would take in some order.
    ranks: Floats = (last - (counts - 1) / 2)[inverse]
    return ranks


def rank_correlation(a: ArrayLike, b: ArrayLike) -> float:
    """Spearman's rank correlation, equal values sharing their average rank.

    For instance of a preference's weight on an objective with the reward achieved in it: 1 when
    asking for more always gives more.

    Args:
        a: n numbers.
        b: n numbers.

    Returns:
        A value in [-1, 1]; NaN where it is undefined, when either side is constant or n < 2.

    Raises:
        ValueError: Not two flat sequences of one length, or a NaN in one.

    Example:
        >>> rank_correlation([0.0, 0.5, 1.0], [2.1, 2.4, 9.0])
        1.0
        >>> rank_correlation([0.0, 0.5, 1.0], [3.0, 3.0, 3.0])
        nan
    """
    x, y = np.asarray(a, dtype=np.float64), np.asarray(b, dtype=np.float64)
    if x.ndim != 1 or x.shape != y.shape:
        raise ValueError(f"need two flat sequences of one length; got {x.shape} and {y.shape}")
    for side, values in (("a", x), ("b", y)):
        nans = np.flatnonzero(np.isnan(values))
        if nans.size:
            raise ValueError(f"{side} has {nans.size} NaN, the first at {nans[0]}: drop the pairs")
    if x.size < 2:
        return float("nan")
    # One root of the product, not a product of roots: a perfect correlation is then exactly 1.
    x, y = (_average_ranks(values) - (x.size + 1) / 2 for values in (x, y))
    scale = float(np.sqrt((x @ x) * (y @ y)))
    return float(np.clip(x @ y / scale, -1.0, 1.0)) if scale else float("nan")


def sparsity(front: ArrayLike) -> float:
    """How thinly a front is covered: the mean squared gap between neighbours; smaller is denser.

    1 / (P - 1) times the sum, over objectives, of the squared gaps between consecutive values of
    that objective in sorted order: the sparsity of Xu et al., "Prediction-Guided Multi-Objective
    Reinforcement Learning for Continuous Robot Control" (ICML 2020). It depends on the units of the
    objectives, and dominated points make a front look denser: pass a front, scaled like the
    hypervolume beside it.

    Args:
        front: (P, m) mutually non-dominated points.

    Returns:
        The sparsity, 0 for a single point, as in the reference code: read it beside P.

    Raises:
        ValueError: Not a non-empty (P, m) array of finite numbers.

    Example:
        >>> sparsity([[0.0, 1.0], [0.5, 0.5], [1.0, 0.0]])
        0.5
    """
    points = np.asarray(front, dtype=np.float64)
    if points.ndim != 2 or not points.size or not np.isfinite(points).all():
        raise ValueError(f"front must be finite numbers of shape (P, m), P, m >= 1; got {points!r}")
    if len(points) == 1:
        return 0.0
    gaps = np.diff(np.sort(points, axis=0), axis=0)
    return float(np.square(gaps).sum() / (len(points) - 1))
