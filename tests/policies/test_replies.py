"""Several requests at once, each with its own end."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from helpers.tiny import load_tiny
from paretohqd.models.chat import Form
from paretohqd.policies.replies import Request, _Talker, reply

pytestmark = pytest.mark.slow

GAP = "<think>\n\n</think>\n\n"
"""What Qwen3's template writes between prompt and answer."""


def test_each_request_gets_what_it_would_get_alone(causal: Path) -> None:
    model, tokenizer = load_tiny(causal)
    prompts = ["Hi.", "What do you like, my friend?", "Tell me about the old house today."]
    ids = [tokenizer.encode(prompt) for prompt in prompts]
    longest = [20, 5, 12]
    alone = []
    for own, most, seed in zip(ids, longest, (3, 4, 5), strict=True):
        request = Request(ids=own, max_tokens=most, seed=seed)
        alone += reply(model, tokenizer, [request], temperature=0.8, top_p=0.9)
    heard: list[list[str]] = [[], [], []]
    requests = [
        Request(ids=own, max_tokens=most, seed=seed, said=heard[i].append)
        for i, (own, most, seed) in enumerate(zip(ids, longest, (3, 4, 5), strict=True))
    ]
    together = reply(model, tokenizer, requests, temperature=0.8, top_p=0.9)
    assert together == alone
    assert ["".join(pieces) for pieces in heard] == [one.text for one in together]
    assert [one.tokens for one in together] == [
        most if one.end == "length" else one.tokens
        for most, one in zip(longest, together, strict=True)
    ]


def test_texts_at_which_an_answer_ends(causal: Path) -> None:
    model, tokenizer = load_tiny(causal)
    ids = tokenizer.encode("What do you like, my friend?")
    whole = reply(
        model, tokenizer, [Request(ids=ids, max_tokens=20, seed=1)], temperature=1, top_p=1
    )[0]
    stop = whole.text[6:9]
    heard: list[str] = []
    request = Request(ids=ids, max_tokens=20, seed=1, stop=(stop, "never"), said=heard.append)
    cut = reply(model, tokenizer, [request], temperature=1, top_p=1)[0]
    assert cut.text == whole.text[: whole.text.index(stop)]
    assert (cut.end, "".join(heard)) == ("stop", cut.text)
    gone = Request(ids=ids, max_tokens=20, cancelled=lambda: True)
    assert reply(model, tokenizer, [gone], temperature=1, top_p=1)[0].end == "cancelled"


def said_of(pieces: list[str], stop: tuple[str, ...] = (), gap: str = "") -> tuple[str, str]:
    """What is passed on of an answer in pieces, and the whole answer."""
    heard: list[str] = []

    class Words:
        """A tokenizer whose tokens are the pieces."""

        def decode(self, ids: list[int], **more: Any) -> str:
            return "".join(pieces[i] for i in ids)

    request = Request(ids=[0], max_tokens=len(pieces), stop=stop, said=heard.append)
    talker = _Talker.__new__(_Talker)
    talker.request, talker.tokenizer, talker.ends = request, Words(), set()
    talker.form, talker.tokens, talker.text, talker.told = Form(gap=gap), [], "", 0
    talker.end = "length"
    for token in range(len(pieces)):
        if not talker.hear(token):
            break
    return "".join(heard), talker.reply().text


@pytest.mark.parametrize(
    ("pieces", "stop", "gap", "whole"),
    [
        (["Us", "e", "r", ":"], ("User:",), "", ""),
        (["He", "llo", " Us", "er:", " x"], ("User:",), "", "Hello "),
        (["a", "b"], ("a stop that is long",), "", "ab"),
        (["<think>", "\n\n", "</think>", "\n\n", "Yes", ", gladly"], (), GAP, "Yes, gladly"),
        (["<b>", "Yes"], (), GAP, "<b>Yes"),
        (["<think>", "Hm.", "</think>"], (), GAP, "<think>Hm.</think>"),
        (["\ufffd", "\ufffd", "."], (), "", "\ufffd\ufffd."),
    ],
)
def test_a_stream_is_the_answer(
    pieces: list[str], stop: tuple[str, ...], gap: str, whole: str
) -> None:
    assert said_of(pieces, stop, gap) == (whole, whole)
