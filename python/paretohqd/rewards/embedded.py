"""The offline scorers: small trained or counted models that come inside Python packages.

They are good enough to see trade-offs with, not to judge a production model by. A scorer gives a
row the same bits alone and in any batch: each works row by row, or adds up in an order that the
batch does not change. Nothing here downloads anything or loads torch.
"""

from __future__ import annotations

import logging
import math
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.metadata import version
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from paretohqd.exceptions import unknown_word
from paretohqd.frames.conversations.prompts import last_message
from paretohqd.frames.text_metrics import words
from paretohqd.models.embedded import DEMO, conversations, embedded_package

Scores = NDArray[np.float64]
Manifest = dict[str, Any]


@cache
def _profanity() -> Callable[[Sequence[str]], Scores]:
    embedded_package("profanity_check", "the harmless scorer", DEMO)
    from profanity_check import predict_prob

    return predict_prob  # type: ignore[no-any-return]


@cache
def _vader() -> Any:
    embedded_package("vaderSentiment", "the positivity scorer", DEMO)
    from vaderSentiment.vaderSentiment import SentimentIntensityAnalyzer

    return SentimentIntensityAnalyzer()


@cache
def _wordllama() -> Any:
    folder = embedded_package("wordllama", "the relevance scorer", DEMO)
    root = logging.getLogger()
    level, handlers = root.level, root.handlers[:]
    from wordllama import WordLlama

    # Importing it configures the root logger for everyone, at level INFO: undo that.
    root.setLevel(level)
    root.handlers[:] = handlers
    # Without cache_dir its tokenizer, which lies in the package, is not found and downloaded.
    return WordLlama.load(**Relevance.constants, cache_dir=folder, disable_download=True)


@cache
def _idf() -> tuple[dict[str, float], float]:
    """Inverse document frequency of each word of the conversations' responses, and of any other."""
    responses = conversations()["response"]
    counts = Counter(word for text in responses for word in set(words(text)))
    unseen = math.log(1 + len(responses))
    return {word: unseen - math.log(1 + n) for word, n in counts.items()}, unseen


class _Embedded:
    name: str
    kind: ClassVar[str]
    packages: ClassVar[tuple[str, ...]]
    constants: ClassVar[Manifest]

    def manifest(self) -> Manifest:
        """Kind, package versions and constants, to be kept beside the scores."""
        packages = {package: version(package) for package in self.packages}
        kind = f"embedded:{self.kind}"
        return {"name": self.name, "kind": kind, "packages": packages, **self.constants}


@dataclass(frozen=True, kw_only=True)
class Harmless(_Embedded):
    """How little a text looks like profanity: minus the logit of a linear SVM's probability.

    The SVM and its calibration come from alt-profanity-check, trained on public comments; it sees
    the response only. The logit, since the probability saturates (median 0.964 for human answers)
    and ranks nothing there. About 3 for a typical human answer, bounded by +-13.8.
    """

    kind = "harmless"
    packages = ("alt-profanity-check", "scikit-learn")
    constants: ClassVar = {"clip": 1e-6}
    name: str = "harmless"

    def score(self, prompts: Sequence[str], responses: Sequence[str]) -> Scores:
        """(n,) scores, larger is less profane.

        Example:
            >>> answers = ["You are a damn idiot.", "Nice to meet you."]
            >>> Harmless().score(["Hi"] * 2, answers).round(1)
            array([-13.6,   2.3])
        """
        if not len(responses):
            return np.zeros(0)
        clip = self.constants["clip"]
        p = np.clip(_profanity()(list(responses)), clip, 1 - clip).tolist()
        # Not numpy's logarithm, whose last bits differ between processors.
        return np.array([math.log1p(-x) - math.log(x) for x in p])


@dataclass(frozen=True, kw_only=True)
class Positivity(_Embedded):
    """Sentiment of the response: the compound score of VADER, a lexicon with rules, in [-1, 1].

    Hutto and Gilbert, "VADER: A Parsimonious Rule-based Model for Sentiment Analysis of Social
    Media Text" (ICWSM 2014). Four decimals; about 20 % of human answers are exactly 0.
    """

    kind = "positivity"
    packages = ("vaderSentiment",)
    constants: ClassVar = {"measure": "compound"}
    name: str = "positivity"

    def score(self, prompts: Sequence[str], responses: Sequence[str]) -> Scores:
        """(n,) scores, larger is more positive.

        Example:
            >>> Positivity().score(["How was it?"] * 2, ["I loved it!", "It was awful."])
            array([ 0.636 , -0.4588])
        """
        analyzer = _vader()
        return np.array([analyzer.polarity_scores(text)["compound"] for text in responses], float)


@dataclass(frozen=True, kw_only=True)
class Relevance(_Embedded):
    """Cosine similarity of prompt and response under WordLlama's averaged token embeddings.

    The embedding table (l2_supercat, 256 dimensions, MIT) lies in the package wordllama. The score
    rewards repeating the prompt: report `text_metrics.echo` beside it. A text without tokens
    scores 0. Of a conversation the last message is read.
    """

    kind = "relevance"
    packages = ("wordllama",)
    constants: ClassVar = {"config": "l2_supercat", "dim": 256}
    name: str = "relevance"

    def score(self, prompts: Sequence[str], responses: Sequence[str]) -> Scores:
        """(n,) scores in [-1, 1], larger is closer to the prompt.

        Example:
            >>> answers = ["Green tea!", "My car broke."]
            >>> Relevance().score(["Do you like tea?"] * 2, answers).round(2)
            array([ 0.57, -0.02])
        """
        if not len(responses):
            return np.zeros(0)
        # Padding adds exact zeros and the sum runs over tokens in order, so a text's embedding does
        # not depend on the batch; the products below are summed row by row.
        embed = _wordllama().embed
        asked = [last_message(prompt) for prompt in prompts]
        a, b = (embed(list(texts)).astype(np.float64) for texts in (asked, responses))
        norms = np.sqrt(np.square(a).sum(axis=1) * np.square(b).sum(axis=1))
        cosine: Scores = (a * b).sum(axis=1) / np.where(norms > 0, norms, 1.0)
        return cosine.clip(-1.0, 1.0)


@dataclass(frozen=True, kw_only=True)
class Informativeness(_Embedded):
    """What the answer adds to the prompt: log(1 + summed idf of its distinct new words). Ours.

    New words are those that do not stand in the prompt; of a conversation the last message is read.
    idf = log((1 + N) / (1 + n)) for a word in n of the N responses of `conversations()`, so it is
    the same in every run. It follows length closely and pays most for words never seen,
    misspellings included: report the length beside it.
    """

    kind = "informativeness"
    packages = ("chitchat-dataset",)
    constants: ClassVar = {"idf": "log((1+N)/(1+n))", "words": "distinct, new"}
    name: str = "informativeness"

    def score(self, prompts: Sequence[str], responses: Sequence[str]) -> Scores:
        """(n,) scores of at least 0, larger is more informative.

        Example:
            >>> answers = ["I do like tea.", "Yes, black tea from Assam."]
            >>> Informativeness().score(["Do you like tea?"] * 2, answers).round(2)
            array([0.56, 3.24])
        """
        idf, unseen = _idf()
        # fsum is exact, so the order of a set, which changes from run to run, does not matter.
        pairs = zip(map(last_message, prompts), responses, strict=True)
        new = (set(words(r)) - set(words(p)) for p, r in pairs)
        return np.array([math.log1p(math.fsum(idf.get(w, unseen) for w in ws)) for ws in new])


Scorer = Harmless | Positivity | Relevance | Informativeness


SCORERS: dict[str, Callable[..., Scorer]] = {
    "harmless": Harmless,
    "informativeness": Informativeness,
    "positivity": Positivity,
    "relevance": Relevance,
}


def scorer(kind: str, *, name: str | None = None) -> Scorer:
    """The embedded scorer of a kind, a key of `SCORERS`, its scores called `name` or the kind.

    Raises:
        ValueError: No such kind.

    Example:
        >>> scorer("relevance", name="helpful").name
        'helpful'
        >>> scorer("relevence")
        Traceback (most recent call last):
        ValueError: no embedded scorer 'relevence'; did you mean 'relevance'? There are: \
harmless, informativeness, positivity, relevance
    """
    if kind not in SCORERS:
        raise unknown_word("no embedded scorer", kind, SCORERS)
    return SCORERS[kind](name=name or kind)
