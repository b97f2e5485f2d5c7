"""What a chat template writes, found by trying it out, and whether it can be worked with.

Models come with templates that open an answer (`<think>`), that lack a system role or a prompt for
answers, that trim texts or write today's date. What that means for a training text is decided
here once, for all who encode conversations.
"""

from __future__ import annotations

import datetime
import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from paretohqd.frames.conversations.prompts import read_prompt
from paretohqd.models.chat._control_tokens import special_tokens

QUESTION, ANSWER, SYSTEM = "qwertz17question", "asdfgh29answer", "yxcvbn43system"
"""Contents to try a template with: words that no template writes itself."""

MOST_ADDED = 65_536
"""Characters that a template may write besides the messages; those of models write up to 5,000."""

SHOWN = 500
"""Characters of a template's text in a message."""

NO_CLOCK = datetime.date(2024, 7, 26)
"""The day for reward models whose template asks for one, so that a text gets one score on every
day: what Llama 3's template writes where it has no clock."""


@dataclass(frozen=True, kw_only=True)
class Form:
    """What a chat template writes around an answer."""

    start: str = ""
    """Stands before an answer and is no part of the template's prompt: read as its end."""
    opening: str = ""
    """The prompt's end that conversations lack, such as `<think>`: answers go on from there."""
    gap: str = ""
    """Stands between prompt and answer and is the model's to write: a space, an empty thought."""
    tail: str = ""
    """Behind the answer: the end token, and perhaps a line's end."""
    system: bool = True
    """The template writes system messages; where it does not, they stand before the user's text."""
    fault: str = field(default="", compare=False)
    """Why no training text can be made; empty where one can."""

    def clean(self, text: str) -> str:
        """A sampled answer without the gap that the model wrote, and without white space around.

        Example:
            >>> Form(gap="<think>\\n\\n</think>\\n\\n").clean("<think>\\n\\n</think>\\n\\nYes.\\n")
            'Yes.'
        """
        return text.strip().removeprefix(self.gap.strip()).strip()

    def continuation(self, response: str) -> str:
        """What follows the prompt in a training text, up to the answer's last character.

        An answer with a thought of its own needs neither an empty one nor a second tag.

        Example:
            >>> answer = "<think>\\nHm.\\n</think>\\n\\nYes."
            >>> Form(gap="<think>\\n\\n</think>\\n\\n").continuation(answer)
            '<think>\\nHm.\\n</think>\\n\\nYes.'
            >>> Form(opening="<think>\\n").continuation(answer)
            'Hm.\\n</think>\\n\\nYes.'
        """
        if not self._opens_again(response) or self.reopens_thought(response):
            return self.gap + response
        if self.gap:
            return response
        return response.lstrip().removeprefix(self._tag()).removeprefix("\n")

    def reopens_thought(self, response: str) -> bool:
        """Whether an answer opens with a thought though the prompt has closed the thought.

        Example:
            >>> form = Form(opening="<think>\\n\\n</think>\\n\\n")
            >>> form.reopens_thought("<think>Hm.</think> Yes."), form.reopens_thought("Yes.")
            (True, False)
        """
        open_yet = self.gap or self.opening.strip() == self._tag()
        return not open_yet and self._opens_again(response)

    def _tag(self) -> str:
        tag = re.match(r"\s*(<[^<>\s]+>)", self.opening or self.gap)
        return tag[1] if tag else ""

    def _opens_again(self, response: str) -> bool:
        return bool(self._tag()) and response.lstrip().startswith(self._tag())


def find_form(tokenizer: Any) -> Form:
    """Try a tokenizer's chat template out.

    Raises:
        ValueError: A template that fails, or leaves the user's text out.
    """
    form = _tried(tokenizer, "")
    try:
        with_system = _tried(tokenizer, SYSTEM)
    except ValueError:
        with_system = None
    # A template that ends answers otherwise after a system message is as good as one without.
    return form if with_system == form else replace(form, system=False)


def _tried(tokenizer: Any, system: str) -> Form:
    question = messages(QUESTION, system_prompt=system)
    prompt = render(tokenizer, question, add_generation_prompt=True)
    bare = render(tokenizer, question)
    talk = render(tokenizer, messages(QUESTION, ANSWER, system_prompt=system))
    for text in (prompt, talk):
        if QUESTION not in text or system not in text:
            what = "the user's" if QUESTION not in text else "a system message's"
            raise ValueError(
                f"the chat template leaves {what} text out: it writes {short(repr(text))}"
            )
    head, _, tail = talk.rpartition(ANSWER)
    if talk.count(ANSWER) != 1:
        return Form(fault=f"the chat template writes an answer {talk.count(ANSWER)} times")
    if head.startswith(prompt):
        gap = head[len(prompt) :]
        start = ""
        # Without a prompt of its own for answers, or with one that ends among control tokens whose
        # words would be taken for the answer's, the conversation shows what comes before one.
        if gap.strip() and (bare == prompt or any(t in gap for t in special_tokens(tokenizer))):
            start = gap.rstrip(" ")
        return Form(start=start, gap=gap[len(start) :], tail=tail)
    if prompt.startswith(head):
        return Form(opening=prompt[len(head) :], tail=tail)
    return Form(
        fault="the chat template's generation prompt is no beginning of its conversation: a prompt "
        f"is {short(repr(prompt))}, a conversation {short(repr(talk))}"
    )


def check_template(tokenizer: Any) -> Form:
    """Refuse a template that no work could be done with.

    Raises:
        ValueError: As `find_form`, or a template that writes something else every time.
    """
    try:
        form = find_form(tokenizer)
    except ValueError as error:
        raise ValueError(f"{error}: set model.chat_template") from error
    if re.search(r"\|\s*random\b|\blipsum\s*\(", tokenizer.chat_template):
        raise ValueError(
            "the chat template draws at random, so no text would be read twice alike: set "
            "model.chat_template"
        )
    return form


def check_trainable(tokenizer: Any, stop: Collection[int]) -> None:
    """Refuse a template that no training text can be made with.

    A model that is never shown how an answer ends never stops.

    Raises:
        ValueError: A prompt that is no beginning of the conversation, or no end token behind an
            answer.
    """
    form = find_form(tokenizer)
    if form.fault:
        raise ValueError(f"{form.fault}: set model.chat_template")
    if not set(token_ids(tokenizer, [form.tail])[0]) & set(stop):
        names = " or ".join(tokenizer.convert_ids_to_tokens(sorted(stop)))
        raise ValueError(
            f"the chat template ends an answer without {names}, so a model trained with it would "
            "never stop: add the token to model.chat_template"
        )


def check_answers(form: Form, responses: Sequence[str]) -> None:
    """Refuse answers that no place in the template is left for.

    Raises:
        ValueError: Answers that open with a thought where the prompt ends with a closed one.
    """
    bad = [row for row, response in enumerate(responses) if form.reopens_thought(response)]
    if bad:
        raise ValueError(
            f"{len(bad)} of {len(responses)} answers open with a thought (first: row {bad[0]}), and"
            f" the chat template's prompt has closed it already, with {form.opening!r}: take the "
            "thoughts out of the answers or set model.chat_template"
        )


def check_added(tokenizer: Any, template: str) -> None:
    """Refuse a reward model's template that writes what its tokenizer adds at the ends by itself.

    Raises:
        ValueError: Such a token; it would stand there twice.
    """
    text = template.format(prompt="a", response="b")
    bare, full = (tokenizer(text, add_special_tokens=more)["input_ids"] for more in (False, True))
    start = next((i for i in range(len(full)) if full[i : i + len(bare)] == bare), 0)
    first, last = full[:start], full[start + len(bare) :]
    twice = first if bare[: len(first)] == first else []
    twice += last if bare[len(bare) - len(last) :] == last else []
    if twice:
        raise ValueError(
            f"template writes {' '.join(tokenizer.convert_ids_to_tokens(twice))}, which the "
            "tokenizer adds itself: leave it out"
        )


def messages(
    prompt: str, response: str | None = None, *, system_prompt: str = ""
) -> list[dict[str, str]]:
    """A prompt's text as messages, with its answer if there is one.

    A further system message stands before the conversation's own, in one message with it.

    Example:
        >>> messages("Tea?", system_prompt="Be brief.")
        [{'role': 'system', 'content': 'Be brief.'}, {'role': 'user', 'content': 'Tea?'}]
    """
    turns = read_prompt(prompt)
    if system_prompt:
        own = turns.pop(0)["content"] if turns[0]["role"] == "system" else ""
        content = f"{system_prompt}\n\n{own}" if own else system_prompt
        turns.insert(0, {"role": "system", "content": content})
    answer = [{"role": "assistant", "content": response}] if response is not None else []
    return [*turns, *answer]


def named_template(template: str | dict[str, str]) -> str:
    """The template that conversations without tools are written with.

    Raises:
        ValueError: Several of which none is the default.
    """
    if isinstance(template, str):
        return template
    if "default" not in template:
        raise ValueError(
            f"its tokenizer has several chat templates ({', '.join(sorted(template))}) and none "
            "called default: set model.chat_template"
        )
    return template["default"]


def needs_date(template: str) -> bool:
    """Whether a template writes the day that it is used on."""
    return "strftime_now(" in template.replace(" ", "")


def with_date(template: str, day: datetime.date) -> str:
    """Write a day into a template that asks for today's, so that it is the same on every day.

    Raises:
        ValueError: A format that is not written out in the template.

    Example:
        >>> with_date("{{ strftime_now('%d %b %Y') }}", datetime.date(2024, 7, 26))
        "{{ '26 Jul 2024' }}"
    """
    call = r"strftime_now\s*\(\s*(['\"])([^'\"]*)\1\s*\)"
    moment = datetime.datetime.combine(day, datetime.time())
    dated = re.sub(call, lambda m: repr(moment.strftime(m[2])), template)
    if needs_date(dated):
        raise ValueError(
            "the chat template asks for the time in a form that cannot be fixed, so no text would "
            "be read twice alike: set model.chat_template"
        )
    return dated


def render(tokenizer: Any, chat: list[dict[str, str]], **more: Any) -> str:
    """Messages in the tokenizer's template.

    Raises:
        ValueError: The template fails, or writes more than 64 kB besides each turn's texts.
    """
    try:
        text = str(tokenizer.apply_chat_template(chat, tokenize=False, **more))
    except Exception as error:  # jinja's own, or whatever the template raises
        raise ValueError(f"the chat template fails: {short(str(error))}") from error
    added = len(text) - sum(len(message["content"]) for message in chat)
    if added > MOST_ADDED * max(1, len(chat) - 1):
        raise ValueError(
            f"the chat template writes {added:,} characters around a conversation, and at most "
            f"{MOST_ADDED:,} make sense: set model.chat_template"
        )
    return text


def short(text: str) -> str:
    """The beginning of a text for a message; a template may write anything, and much of it."""
    return text if len(text) <= SHOWN else f"{text[:SHOWN]}..."


def token_ids(tokenizer: Any, texts: Sequence[str]) -> list[list[int]]:
    """Ids of texts that a template has written."""
    # The template writes the special tokens itself; a second beginning-of-text token would hurt.
    ids: list[list[int]] = (
        tokenizer(list(texts), add_special_tokens=False)["input_ids"] if texts else []
    )
    return ids
