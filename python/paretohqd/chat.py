"""Conversations as token ids: what a chat template writes, where an answer starts and how it ends.

Training, sampling, likelihoods, pairs and reward models all read a conversation here, so that what
is trained is what is sampled:

    prompt  the template up to where a model goes on, as when it is sampled from
    answer  the row's own text, whatever the template would do to it, and what the template ends it
            with

The template writes control tokens; texts never do. `<|im_end|>` in a prompt or an answer is read
as the characters that it consists of, so a text can neither open a turn nor end one.
"""

from __future__ import annotations

import datetime
import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import polars as pl

BEFORE = "before"
"""Column of system messages, where rows have them."""

QUESTION, ANSWER, SYSTEM = "qwertz17question", "asdfgh29answer", "yxcvbn43system"
"""Contents to try a template with: words that no template writes itself."""

NO_CLOCK = datetime.date(2024, 7, 26)
"""The day for reward models whose template asks for one, so that a text gets one score on every
day: what Llama 3's template writes where it has no clock."""

CUT = "\U0010fffe\U0010ffff"
"""Where `as_text` cuts: two code points that no text is made of, for they are no characters."""

Row = tuple[list[int], list[int]]
"""Ids of a prompt, and of its answer with all that the template writes behind it."""


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

    def said(self, text: str) -> str:
        """A sampled answer without the gap that the model wrote, and without white space around.

        >>> Form(gap="<think>\\n\\n</think>\\n\\n").said("<think>\\n\\n</think>\\n\\nYes.\\n")
        'Yes.'
        """
        return text.strip().removeprefix(self.gap.strip()).strip()

    def ending(self, response: str) -> str:
        """What follows the prompt in a training text, up to the answer's last character.

        An answer with a thought of its own needs neither an empty one nor a second tag.

        >>> Form(gap="<think>\\n\\n</think>\\n\\n").ending("<think>\\nHm.\\n</think>\\n\\nYes.")
        '<think>\\nHm.\\n</think>\\n\\nYes.'
        >>> Form(opening="<think>\\n").ending("<think>\\nHm.\\n</think>\\n\\nYes.")
        'Hm.\\n</think>\\n\\nYes.'
        """
        if not self._opens_again(response):
            return self.gap + response
        if self.gap:
            return response
        return response.lstrip().removeprefix(self._tag()).removeprefix("\n")

    def closed(self, response: str) -> bool:
        """Whether an answer opens with a thought though the prompt has closed the thought.

        >>> form = Form(opening="<think>\\n\\n</think>\\n\\n")
        >>> form.closed("<think>Hm.</think> Yes."), form.closed("Yes.")
        (True, False)
        """
        open_yet = self.gap or self.opening.strip() == self._tag()
        return not open_yet and self._opens_again(response)

    def _tag(self) -> str:
        found = re.match(r"\s*(<[^<>\s]+>)", self.opening or self.gap)
        return found[1] if found else ""

    def _opens_again(self, response: str) -> bool:
        return bool(self._tag()) and response.lstrip().startswith(self._tag())


def find_form(tokenizer: Any) -> Form:
    """Try a tokenizer's chat template out.

    Raises:
        ValueError: a template that fails, or leaves the user's text out.
    """
    found = _tried(tokenizer, "")
    try:
        told = _tried(tokenizer, SYSTEM)
    except ValueError:
        told = None
    # A template that ends answers otherwise after a system message is as good as one without.
    return found if told == found else replace(found, system=False)


def _tried(tokenizer: Any, system: str) -> Form:
    ask = asked(QUESTION, system)
    prompt = _rendered(tokenizer, ask, add_generation_prompt=True)
    bare = _rendered(tokenizer, ask)
    talk = _rendered(tokenizer, [*ask, {"role": "assistant", "content": ANSWER}])
    for text in (prompt, talk):
        if QUESTION not in text or system not in text:
            what = "the user's" if QUESTION not in text else "a system message's"
            raise ValueError(f"the chat template leaves {what} text out: it writes {text!r}")
    head, _, tail = talk.rpartition(ANSWER)
    if talk.count(ANSWER) != 1:
        return Form(fault=f"the chat template writes an answer {talk.count(ANSWER)} times")
    if head.startswith(prompt):
        gap = head[len(prompt) :]
        start = ""
        # Without a prompt of its own for answers, or with one that ends among control tokens whose
        # words would be taken for the answer's, the conversation shows what comes before one.
        if gap.strip() and (bare == prompt or any(t in gap for t in _special(tokenizer))):
            start = gap.rstrip(" ")
        return Form(start=start, gap=gap[len(start) :], tail=tail)
    if prompt.startswith(head):
        return Form(opening=prompt[len(head) :], tail=tail)
    return Form(
        fault="the chat template's generation prompt is no beginning of its conversation: a prompt "
        f"is {prompt!r}, a conversation {talk!r}"
    )


def check_template(tokenizer: Any) -> Form:
    """Refuse a template that no work could be done with.

    Raises:
        ValueError: as `find_form`, or a template that writes something else every time.
    """
    try:
        found = find_form(tokenizer)
    except ValueError as error:
        raise ValueError(f"{error}: set model.chat_template") from error
    if re.search(r"\|\s*random\b|\blipsum\s*\(", tokenizer.chat_template):
        raise ValueError(
            "the chat template draws at random, so no text would be read twice alike: set "
            "model.chat_template"
        )
    return found


def check_trainable(tokenizer: Any, stop: Collection[int]) -> None:
    """Refuse a template that no training text can be made with.

    A model that is never shown how an answer ends never stops.

    Raises:
        ValueError: a prompt that is no beginning of the conversation, or no end token behind an
            answer.
    """
    found = find_form(tokenizer)
    if found.fault:
        raise ValueError(f"{found.fault}: set model.chat_template")
    if not set(_encoded(tokenizer, [found.tail])[0]) & set(stop):
        names = " or ".join(tokenizer.convert_ids_to_tokens(sorted(stop)))
        raise ValueError(
            f"the chat template ends an answer without {names}, so a model trained with it would "
            "never stop: add the token to model.chat_template"
        )


def check_answers(form: Form, responses: Sequence[str]) -> None:
    """Refuse answers that no place in the template is left for.

    Raises:
        ValueError: answers that open with a thought where the prompt ends with a closed one.
    """
    bad = [place for place, response in enumerate(responses) if form.closed(response)]
    if bad:
        raise ValueError(
            f"{len(bad)} of {len(responses)} answers open with a thought (first: row {bad[0]}), and"
            f" the chat template's prompt has closed it already, with {form.opening!r}: take the "
            "thoughts out of the answers or set model.chat_template"
        )


def asked(prompt: str, before: str = "") -> list[dict[str, str]]:
    """A question as messages.

    >>> asked("Tea?", "Be brief.")
    [{'role': 'system', 'content': 'Be brief.'}, {'role': 'user', 'content': 'Tea?'}]
    """
    system = [{"role": "system", "content": before}] if before else []
    return [*system, {"role": "user", "content": prompt}]


def encode_prompts(
    tokenizer: Any, prompts: Sequence[str], before: Sequence[str] | None = None
) -> list[list[int]]:
    """Token ids of each user message in the chat template, up to where the answer starts.

    `before` holds a system message for each; an empty one is none.
    """
    return _encode_pieces(tokenizer, _prompts(tokenizer, find_form(tokenizer), prompts, before))


def encode_rows(
    tokenizer: Any,
    prompts: Sequence[str],
    responses: Sequence[str],
    before: Sequence[str] | None = None,
    *,
    stop: Collection[int] = (),
) -> list[Row]:
    """Token ids of each prompt, as `encode_prompts` has them, and of what follows it.

    Args:
        tokenizer: with a chat template.
        prompts: n user messages.
        responses: n answers.
        before: a system message for each; an empty one is none.
        stop: ids of which one ends each answer, and none stands in it: the tokenizer's end token
            where the template writes none of them.

    Raises:
        ValueError: a template that no training text can be made with, or as `check_answers`.
    """
    form = find_form(tokenizer)
    if form.fault:
        raise ValueError(f"{form.fault}: set model.chat_template")
    check_answers(form, responses)
    ended = not stop or set(_encoded(tokenizer, [form.tail])[0]) & set(stop)
    tail = form.tail if ended else tokenizer.eos_token
    control = _pattern(tokenizer, form, answers=True, stop=stop)
    starts = _prompts(tokenizer, form, prompts, before)
    ends = []
    for response in responses:
        *pieces, last = _cut(control, form.ending(response))
        ends.append([*pieces, last + tail])
    asked_ids = _encode_pieces(tokenizer, starts)
    texts = ["".join(start + end) for start, end in zip(starts, ends, strict=True)]
    rows = []
    for start, end, ids, whole in zip(
        starts, ends, asked_ids, _encoded(tokenizer, texts), strict=True
    ):
        # Read as one text, unless a token would lie across the places where texts are cut.
        if len(start) == len(end) == 1 and whole[: len(ids)] == ids:
            rows.append((ids, whole[len(ids) :]))
        else:
            rows.append((ids, [i for piece in end for i in _continued(tokenizer, piece)]))
    return rows


def until_end(ids: list[int], stop: Collection[int]) -> list[int]:
    """Leave out what a template writes behind an answer's end token: no sampled answer has it.

    Example:
        >>> until_end([7, 9, 5, 9], {9}), until_end([7, 5], {9})
        ([7, 9], [7, 5])
    """
    last = next((place for place, token in enumerate(ids) if token in stop), len(ids))
    return ids[: last + 1]


def stop_tokens(model: Any, tokenizer: Any) -> list[int]:
    """Ids that end an answer: the tokenizer's end token and those the model declares."""
    return stop_ids(tokenizer, model.generation_config.eos_token_id)


def stop_ids(tokenizer: Any, declared: int | list[int] | None) -> list[int]:
    """Ids that end an answer: the tokenizer's end token and those that are declared."""
    listed = declared if isinstance(declared, list) else [declared]
    return sorted({t for t in [tokenizer.eos_token_id, *listed] if t is not None})


def answer_text(tokenizer: Any, ids: Sequence[int]) -> str:
    """The text of a sampled answer: without control tokens and white space around it."""
    return find_form(tokenizer).said(tokenizer.decode(ids, skip_special_tokens=True))


def prompt_lengths(tokenizer: Any, frame: pl.DataFrame) -> pl.Series:
    """Tokens of each row's prompt in the chat template, up to where its answer starts."""
    keys = ["prompt", BEFORE] if BEFORE in frame.columns else ["prompt"]
    unique = frame.select(keys).unique(maintain_order=True)
    ids = encode_prompts(tokenizer, *(unique[key].to_list() for key in keys))
    table = unique.with_columns(length=pl.Series([len(row) for row in ids], dtype=pl.Int64))
    return frame.select(keys).join(table, on=keys, how="left", maintain_order="left")["length"]


def frame_rows(
    tokenizer: Any,
    rows: pl.DataFrame,
    response: str = "response",
    *,
    stop: Collection[int] = (),
) -> list[Row]:
    """`encode_rows` of a frame's columns prompt, `response` and perhaps before."""
    before = rows[BEFORE].to_list() if BEFORE in rows.columns else None
    prompts, responses = rows["prompt"].to_list(), rows[response].to_list()
    return encode_rows(tokenizer, prompts, responses, before, stop=stop)


def row_lengths(tokenizer: Any, rows: pl.DataFrame, max_length: int | None) -> list[int]:
    """Tokens of each row as it is trained on: prompt, answer and what the template adds."""
    found = [len(prompt) + len(answer) for prompt, answer in frame_rows(tokenizer, rows)]
    return [min(length, max_length or length) for length in found]


def holds_control(tokenizer: Any, texts: Sequence[str]) -> list[bool]:
    """Which texts have the characters of control tokens in them; they are read as characters."""
    control = _pattern(tokenizer, find_form(tokenizer), answers=False)
    return [control.search(text) is not None for text in texts]


def control_pattern(tokenizer: Any) -> re.Pattern[str]:
    """Finds special tokens in texts."""
    return _any_of(_special(tokenizer))


def as_text(control: re.Pattern[str], text: str) -> str:
    """A text for `encode_cut`, which will read control tokens in it as characters.

    Args:
        control: as `control_pattern` makes it for the tokenizer.
        text: a prompt or an answer, before a template is filled in with it.
    """
    return CUT.join(_cut(control, text))


def encode_cut(tokenizer: Any, *columns: Sequence[str], **more: Any) -> dict[str, list[Any]]:
    """What a tokenizer makes of texts, or of pairs of texts, of which `as_text` made some parts.

    Args:
        tokenizer: any, with or without a chat template.
        columns: n texts, or n first and n second ones.
        more: what the tokenizer takes besides.
    """
    cut = [row for row, texts in enumerate(zip(*columns, strict=True)) if CUT in "".join(texts)]
    whole = [[text.replace(CUT, "") for text in column] for column in columns]
    found = dict(tokenizer(*whole, **more))
    if cut:
        # Words of such a list are read apart, and no word holds a control token.
        words = [[column[row].split(CUT) for row in cut] for column in columns]
        apart = tokenizer(*words, is_split_into_words=True, **more)
        for key, rows in found.items():
            for row, value in zip(cut, apart[key], strict=True):
                rows[row] = value
    return found


def check_added(tokenizer: Any, template: str) -> None:
    """Refuse a reward model's template that writes what its tokenizer adds at the ends by itself.

    Raises:
        ValueError: such a token; it would stand there twice.
    """
    text = template.format(prompt="a", response="b")
    bare, full = (tokenizer(text, add_special_tokens=more)["input_ids"] for more in (False, True))
    place = next((i for i in range(len(full)) if full[i : i + len(bare)] == bare), 0)
    first, last = full[:place], full[place + len(bare) :]
    twice = first if bare[: len(first)] == first else []
    twice += last if bare[len(bare) - len(last) :] == last else []
    if twice:
        raise ValueError(
            f"template writes {' '.join(tokenizer.convert_ids_to_tokens(twice))}, which the "
            "tokenizer adds itself: leave it out"
        )


def named_template(template: str | dict[str, str]) -> str:
    """The template that conversations without tools are written with.

    Raises:
        ValueError: several of which none is the default.
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
        ValueError: a format that is not written out in the template.

    Example:
        >>> with_date("{{ strftime_now('%d %b %Y') }}", datetime.date(2024, 7, 26))
        "{{ '26 Jul 2024' }}"
    """
    call = r"strftime_now\s*\(\s*(['\"])([^'\"]*)\1\s*\)"
    moment = datetime.datetime.combine(day, datetime.time())
    found = re.sub(call, lambda m: repr(moment.strftime(m[2])), template)
    if needs_date(found):
        raise ValueError(
            "the chat template asks for the time in a form that cannot be fixed, so no text would "
            "be read twice alike: set model.chat_template"
        )
    return found


def _rendered(tokenizer: Any, messages: list[dict[str, str]], **more: Any) -> str:
    try:
        return str(tokenizer.apply_chat_template(messages, tokenize=False, **more))
    except Exception as error:  # jinja's own, or whatever the template raises
        raise ValueError(f"the chat template fails: {error}") from error


def _prompts(
    tokenizer: Any, form: Form, prompts: Sequence[str], before: Sequence[str] | None
) -> list[list[str]]:
    """Each prompt in its template, in pieces that are encoded apart: mostly one."""
    control = _pattern(tokenizer, form, answers=False)
    found = []
    for prompt, first in zip(prompts, before or [""] * len(prompts), strict=True):
        if first and not form.system:
            prompt, first = f"{first}\n\n{prompt}", ""
        texts = [_cut(control, text) for text in (prompt, first)]
        # Stands for the cuts while the template is filled in, and in no text.
        taken = (prompt, first, tokenizer.chat_template)
        mark = next(c for c in map(chr, range(0xE000, 0xF900)) if not any(c in t for t in taken))
        chat = asked(*(mark.join(pieces) for pieces in texts))
        text = _rendered(tokenizer, chat, add_generation_prompt=True) + form.start
        found.append(text.split(mark))
    return found


def _special(tokenizer: Any) -> set[str]:
    added = tokenizer.added_tokens_decoder.values()
    return {*tokenizer.all_special_tokens, *(token.content for token in added if token.special)}


def _pattern(
    tokenizer: Any, form: Form, *, answers: bool, stop: Collection[int] = ()
) -> re.Pattern[str]:
    """Finds control tokens in texts: special ones, those that end texts, and the template's others.

    Of the others an answer may hold those of thoughts and tools: only what every conversation is
    made of is the template's alone.
    """
    known = tokenizer.added_tokens_decoder
    added = {token.content for token in known.values() if token.content.strip()}
    ends = {known[token].content for token in stop if token in known}
    written = _rendered(tokenizer, [*asked(QUESTION), {"role": "assistant", "content": ANSWER}])
    if not answers:
        written += tokenizer.chat_template
    own = form.opening + form.gap if answers else ""
    others = {token for token in added if token in written and token not in own}
    return _any_of(_special(tokenizer) | ends | others)


def _any_of(tokens: Collection[str]) -> re.Pattern[str]:
    """Of a single character, a token cannot be told from it."""
    tokens = [token for token in tokens if len(token) > 1]
    longest_first = sorted(tokens, key=lambda token: (-len(token), token))
    return re.compile("|".join(map(re.escape, longest_first)) or "(?!)")


def _cut(control: re.Pattern[str], text: str) -> list[str]:
    """Cut a text within each control token, so that no piece holds one.

    >>> _cut(re.compile("<s>"), "a<s><s>b")
    ['a<', 's><', 's>b']
    """
    pieces, last = [], 0
    while found := control.search(text, last):
        pieces.append(text[last : found.start() + 1])
        last = found.start() + 1
    return [*pieces, text[last:]]


def _encoded(tokenizer: Any, texts: Sequence[str]) -> list[list[int]]:
    # The template writes the special tokens itself; a second beginning-of-text token would hurt.
    ids: list[list[int]] = (
        tokenizer(list(texts), add_special_tokens=False)["input_ids"] if texts else []
    )
    return ids


def _encode_pieces(tokenizer: Any, texts: Sequence[list[str]]) -> list[list[int]]:
    found = _encoded(tokenizer, [pieces[0] for pieces in texts])
    for ids, (_, *more) in zip(found, texts, strict=True):
        for piece in more:
            ids += _continued(tokenizer, piece)
    return found


def _continued(tokenizer: Any, piece: str) -> list[int]:
    """Ids of a text that goes on from another.

    Some tokenizers put a space before whatever they are given; behind a line's end they do not.
    """
    if not piece:
        return []
    line, ids = _encoded(tokenizer, ["\n", "\n" + piece])
    return ids[len(line) :] if ids[: len(line)] == line else _encoded(tokenizer, [piece])[0]
