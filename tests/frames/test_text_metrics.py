# ruff: noqa: RUF001
import doctest
import math
import re
import unicodedata

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from paretohqd.frames import text_metrics
from paretohqd.kernels import statistics
from paretohqd.selection import overlap


def test_examples_in_docstrings():
    assert doctest.testmod(text_metrics).failed == 0


FORMS = ("NFC", "NFD", "NFKC", "NFKD")


def plain_words(text):
    """The definition for ASCII, written out: what lies between other characters than these."""
    chunks = re.split(r"[^a-z0-9']+|''+", text.lower())
    return [chunk.strip("'") for chunk in chunks if chunk.strip("'")]


@given(st.text(st.characters(max_codepoint=127)))
def test_words_of_ascii(text):
    assert text_metrics.words(text) == plain_words(text)
    # Nor do other scripts beside them make a difference.
    assert text_metrics.words(f"{text} é 好") == [*plain_words(text), "é", "好"]


@given(st.text(), st.sampled_from(FORMS))
def test_words_are_the_same_in_every_unicode_form(text, form):
    assert text_metrics.words(unicodedata.normalize(form, text)) == text_metrics.words(text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        # combining marks belong to their letters, and begin no word
        ("धन्यवाद, தமிழ்!", ["धन्यवाद", "தமிழ்"]),
        ("مُحَمَّد", ["مُحَمَّد"]),
        ("\u2764\ufe0f ok", ["ok"]),
        # what is not seen tells no words apart: a soft hyphen, a joiner, a variant
        ("co\u00adop coop", ["coop", "coop"]),
        ("می\u200cخواهم", ["میخواهم"]),
        ("葛\U000e0100 葛", ["葛", "葛"]),
        # but an invisible space does
        ("ไทย\u200bดี", ["ไทย", "ดี"]),
        ("don't don\u2019t don\u2018t don\u02bct", ["don't"] * 4),
        ("\u2018so\u2019 l\u2019Été", ["so", "l'été"]),
        ("ﬁne Ｆｉｎｅ STRASSE straße", ["fine", "fine", "strasse", "strasse"]),
        ("iPhone手机，很好", ["iphone", "手", "机", "很", "好"]),
        ("図書館に行きました。コーヒー", [*"図書館", "に", "行", "きました", "コーヒー"]),
        ("\uff8a\uff9f\uff9d パン", ["パン", "パン"]),
        ("한국어 \u1112\u1161\u11ab", ["한국어", "한"]),
        ("👨‍👩‍👧 🇫🇷 family", ["family"]),
        ("foo_bar 3.14", ["foo", "bar", "3", "14"]),
    ],
)
def test_words_of_other_scripts(text, expected):
    assert text_metrics.words(text) == expected


def test_measures_of_other_scripts():
    assert text_metrics.collapse(["धन्यवाद", "我昨天去了图书馆。"]).short.tolist() == [True, False]
    assert text_metrics.collapse(["好好好好", "很好很好很好很好"]).repetitive.all()
    hindi = "मुझे अच्छी किताबें पढ़ना पसंद है", "विज्ञान कथाएँ रोचक होती हैं"
    assert text_metrics.word_overlap(*([text] for text in hindi)) == [0]
    question = "Où est le café près d'ici, s'il vous plaît, monsieur l'élève?"
    for form in FORMS:
        assert text_metrics.word_overlap([question], [unicodedata.normalize(form, question)]) == [1]


@pytest.mark.parametrize(
    ("text", "short", "repetitive"),
    [
        ("", True, False),
        ("... !!! ?", True, False),
        ("Fine, thanks.", True, False),
        ("Fine, thank you.", False, False),
        ("no no no", False, False),
        ("no no no no", False, True),
        ("No, no. NO! no?", False, True),
        ("well, ha ha ha ha yes", False, True),
        ("I am I am I am here", False, False),
        ("I am I am I am I am here", False, True),
        # a loop of four words, three and four times; the run may start and end mid-sentence
        ("so a b c d a b c d a b c d e f g h i j", False, False),
        ("so a b c d a b c d a b c d a b c d e", False, True),
        # five words are beyond max_ngram; the share of distinct 4-grams catches it at 5/17 only
        (" ".join(["a", "b", "c", "d", "e"] * 3), False, False),
        (" ".join(["a", "b", "c", "d", "e"] * 4), False, True),
    ],
)
def test_collapse_by_hand(text, short, repetitive):
    result = text_metrics.collapse([text])
    assert (result.short.tolist(), result.repetitive.tolist()) == ([short], [repetitive])
    assert result.collapsed.tolist() == [short or repetitive]


def test_collapse_rates_are_apart_and_thresholds_are_parameters():
    texts = ["Hi.", "go go go go", "ha ha ha ha ha", "I walked home in the rain."]
    assert text_metrics.collapse(texts).rates() == {"short": 0.25, "repetitive": 0.5, "any": 0.75}
    loose = text_metrics.collapse(texts, min_words=1, repeats=5).rates()
    assert loose == {"short": 0.0, "repetitive": 0.25, "any": 0.25}
    assert (
        text_metrics.collapse(["a b a b a b a b"], max_ngram=1, distinct=0.0).rates()["any"] == 0.0
    )
    with pytest.raises(ValueError, match="at least one response"):
        text_metrics.collapse([])
    with pytest.raises(ValueError, match="repeats"):
        text_metrics.collapse(["a"], repeats=1)


def loops(tokens, n, repeats):
    """The definition, written out: n words, `repeats` times, next to each other."""
    spans = range(len(tokens) - n * repeats + 1)
    return any(tokens[i : i + n] * repeats == tokens[i : i + n * repeats] for i in spans)


@given(st.lists(st.sampled_from("ab"), max_size=24), st.integers(2, 5), st.integers(1, 4))
def test_loops_agree_with_the_definition(tokens, repeats, max_ngram):
    result = text_metrics.collapse(
        [" ".join(tokens)], repeats=repeats, max_ngram=max_ngram, distinct=0
    )
    expected = any(loops(tokens, n, repeats) for n in range(1, max_ngram + 1))
    assert result.repetitive.tolist() == [expected]


def test_word_overlap_counts_distinct_words_without_case_or_punctuation():
    overlap = text_metrics.word_overlap(
        ["Don\u2019t you LIKE tea?", "Hello there", "x", ""],
        ["don't -- like, like, like cake", "", "!!", "anything"],
    )
    np.testing.assert_allclose(overlap, [2 / 3, 0, 0, 0])
    with pytest.raises(ValueError, match="2 prompts but 1 responses"):
        text_metrics.word_overlap(["a", "b"], ["a"])


def test_echo_is_more_than_the_threshold():
    prompts, answers = ["one two"] * 2, ["one three", "one two three"]
    assert text_metrics.echo(prompts, answers).tolist() == [False, True]
    assert text_metrics.echo(prompts, answers, threshold=0.4).tolist() == [True, True]


def test_selection_overlap_is_jaccard_in_order_of_preference():
    frame = pl.DataFrame({"preference": [2, 2, 0, 0, 0, 1], "row": [1, 2, 2, 3, 3, 9]})
    expected = [[1, 0, 1 / 3], [0, 1, 0], [1 / 3, 0, 1]]
    np.testing.assert_allclose(overlap.selection_overlap(frame), expected)
    assert overlap.selection_overlap(frame.clear()).shape == (0, 0)
    with pytest.raises(ValueError, match="row"):
        overlap.selection_overlap(frame.drop("row"))


def test_rank_correlation_against_a_worked_example_with_ties():
    # ranks 1, 2.5, 2.5, 4 and 2, 1, 3, 4: products 3, squares 4.5 and 5
    assert statistics.rank_correlation([1, 2, 2, 3], [20, 10, 30, 40]) == pytest.approx(
        3 / math.sqrt(4.5 * 5)
    )
    assert statistics.rank_correlation([1, 2, 3], [9, 4, 1]) == -1
    assert statistics.rank_correlation([0, 1, np.inf], [1, 2, 3]) == 1
    assert math.isnan(statistics.rank_correlation([1], [2]))
    assert math.isnan(statistics.rank_correlation([1, 2, 3], [5, 5, 5]))


@given(st.lists(st.tuples(st.integers(-5, 5), st.integers(-5, 5)), min_size=2, max_size=30))
def test_rank_correlation_sees_only_the_order(pairs):
    a, b = np.array(pairs, dtype=float).T
    value = statistics.rank_correlation(a, b)
    np.testing.assert_equal(statistics.rank_correlation(np.exp(a), b), value)
    np.testing.assert_allclose(statistics.rank_correlation(b, -a), -value, atol=1e-12)


def test_rank_correlation_refuses_what_it_cannot_rank():
    with pytest.raises(ValueError, match="b has 1 NaN, the first at 1"):
        statistics.rank_correlation([1, 2], [1, np.nan])
    with pytest.raises(ValueError, match="one length"):
        statistics.rank_correlation([1, 2], [1, 2, 3])


def test_sparsity_sums_squared_gaps_over_objectives():
    # objective 1: gaps 1, 2; objective 2: gaps 3, 1; whatever the order of the points
    front = [[3.0, 0.0], [0.0, 4.0], [1.0, 3.0]]
    assert statistics.sparsity(front) == pytest.approx((1 + 4 + 9 + 1) / 2)
    assert statistics.sparsity([[1.0, 2.0]]) == 0
    for wrong in ([], [1.0, 2.0], [[1.0, np.nan]]):
        with pytest.raises(ValueError, match="finite"):
            statistics.sparsity(wrong)
