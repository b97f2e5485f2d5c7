"""Conversations and their answers, read from the rows of a data set.

Rows that cannot be read are refused: the message names the column, the first row and the count.
`paretohqd.frames.conversations.layouts` finds out which columns hold what.
"""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from typing import Any

import polars as pl

from paretohqd.frames.conversations.messages import (
    Message,
    Unreadable,
    read_dialogue,
    read_messages,
    read_tools,
)
from paretohqd.frames.conversations.refused import Refused
from paretohqd.frames.objectives import column

PAIR = ("chosen", "rejected")
"""Columns whose texts may be whole dialogues too."""


@dataclass(frozen=True, kw_only=True)
class Conversation:
    """A prompt of one or more messages, and its answer.

    Attributes:
        turns: The prompt's messages, perhaps with a system message first; the last is a user's or
            a tool's.
        answer: The assistant's message.
        tools: The tools that could be called, as in the row: JSON text, a list, or None.
    """

    turns: list[Message]
    answer: Message
    tools: Any = None


@dataclass(frozen=True, kw_only=True)
class Layout:
    """The columns of a frame that hold its conversations.

    Attributes:
        prompt: The prompts; None if the answers' column holds whole dialogues.
        answer: The answers, or dialogues that end with them; None if there are prompts only.
        parts: Texts that belong to the prompt.
        history: Lists of earlier [prompt, answer] pairs.
        system: System messages.
        tools: Tools.
    """

    prompt: str | None
    answer: str | None
    parts: tuple[str, ...] = ()
    history: str | None = None
    system: str | None = None
    tools: str | None = None

    def read(self, frame: pl.DataFrame, *, allow_empty: bool = False) -> list[Conversation]:
        """The conversations of a frame, one per row.

        Args:
            frame: Rows with these columns.
            allow_empty: Whether an answer may be blank or null, or missing at a dialogue's end.

        Raises:
            ValueError: A row cannot be read.

        Example:
            >>> frame = pl.DataFrame({"ask": ["Tea?"], "say": ["Yes."]})
            >>> Layout(prompt="ask", answer="say").read(frame)[0].answer
            {'role': 'assistant', 'content': 'Yes.'}
        """
        conversations, refused = self.read_each(frame, allow_empty=allow_empty)
        refused.check(len(frame))
        return [each for each in conversations if each is not None]

    def read_each(
        self, frame: pl.DataFrame, *, allow_empty: bool
    ) -> tuple[list[Conversation | None], Refused]:
        """The conversations, None where a row cannot be read, and what is wrong with such rows."""
        columns = {
            "answer": self.answer,
            "history": self.history,
            "system": self.system,
            "tools": self.tools,
        }
        table = frame.select(
            self.prompts().alias("prompt"),
            *(_column(name).alias(key) for key, name in columns.items()),
        )
        conversations: list[Conversation | None] = []
        refused = Refused()
        for number, values in enumerate(table.iter_rows(named=True)):
            reader = _RowReader(self, allow_empty)
            try:
                conversations.append(reader.read(**values))
            except Unreadable as error:
                conversations.append(None)
                refused.add(reader.column or "", str(error), number)
        return conversations, refused

    def prompts(self) -> pl.Expr:
        """The prompts' column; the texts that belong to a prompt follow it after an empty line."""
        prompt = _column(self.prompt)
        for name in self.parts:
            part = column(name)
            prompt = (
                pl.when(prompt.is_null() | _blank(part))
                .then(prompt)
                .when(_blank(prompt))
                .then(part.cast(pl.String))
                .otherwise(prompt.cast(pl.String) + "\n\n" + part.cast(pl.String))
            )
        return prompt


@dataclass
class _RowReader:
    """Reads one row, and knows which column it is reading: a message names it."""

    layout: Layout
    allow_empty: bool
    column: str | None = None

    def read(self, prompt: Any, answer: Any, history: Any, system: Any, tools: Any) -> Conversation:
        layout = self.layout
        turns: list[Message] = []
        if layout.prompt is not None:
            self.column = layout.prompt
            turns = _prompt_messages(prompt)
        if history is not None:
            self.column = layout.history
            turns = _history_messages(history) + turns
        answer_message: Message = {"role": "assistant", "content": ""}
        if layout.answer is not None:
            self.column = layout.answer
            turns, answer_message = self._turns_and_answer(turns, answer)
        if not turns or turns[-1]["role"] not in ("user", "tool"):
            raise Unreadable("has no message of a user, or of a tool, right before an answer")
        if isinstance(system, str) and system.strip():
            self.column = layout.system
            turns = _with_system(turns, system)
        self.column = layout.tools
        return Conversation(turns=turns, answer=answer_message, tools=read_tools(tools))

    def _turns_and_answer(self, turns: list[Message], value: Any) -> tuple[list[Message], Message]:
        """All turns before the answer, and the answer.

        Args:
            turns: The turns of the other columns.
            value: The value in the answers' column.
        """
        *earlier, answer = dialogue = self._dialogue(value)
        if answer["role"] != "assistant":
            if not self.allow_empty:
                raise Unreadable("does not end with an assistant's message after another one")
            earlier, answer = dialogue, {"role": "assistant", "content": ""}
        if not (self.allow_empty or answer["content"].strip() or "tool_calls" in answer):
            raise Unreadable("has an empty answer")
        if earlier and earlier[0]["role"] in ("user", "system"):
            # The answers' column holds whole dialogues.
            if turns and not _agree(turns, earlier):
                raise Unreadable(f"has another prompt than column {self.layout.prompt!r}")
            systems = [turn for turn in turns if turn["role"] == "system"]
            return (earlier if earlier[0] in systems else systems + earlier), answer
        return turns + earlier, answer

    def _dialogue(self, value: Any) -> list[Message]:
        """The answer as messages, or the whole dialogue that it ends."""
        if value is None and self.allow_empty:
            value = ""
        messages = read_messages(value)
        if messages is None and (self.layout.prompt is None or self.layout.answer in PAIR):
            messages = read_dialogue(value)
        if messages is None and self.layout.prompt is None:
            raise Unreadable(
                "holds no messages and no dialogue with 'Human:' and 'Assistant:' turns"
            )
        return messages or [{"role": "assistant", "content": value}]


def _prompt_messages(value: Any) -> list[Message]:
    """A prompt's messages; the turns of a text in the form of hh-rlhf."""
    turns = read_messages(value)
    if turns is None:
        *turns, last = read_dialogue(value) or [{}, {}]
        # Only a text that ends where its answer would begin is a dialogue.
        if last != {"role": "assistant", "content": ""}:
            turns = [{"role": "user", "content": value}]
    if not turns or turns[-1]["role"] not in ("user", "tool"):
        raise Unreadable("does not end with a message of a user or a tool")
    return turns


def _history_messages(value: Any) -> list[Message]:
    """A list of [prompt, answer] pairs as messages."""
    pairs = value if isinstance(value, list) else [value]
    if not all(isinstance(p, list) and [type(x) for x in p] == [str, str] for p in pairs):
        raise Unreadable("holds no list of pairs of a prompt and an answer")
    roles = ("user", "assistant")
    return [
        {"role": role, "content": text}
        for pair in pairs
        for role, text in zip(roles, pair, strict=True)
    ]


def _with_system(turns: list[Message], system: str) -> list[Message]:
    """The turns with a system message in front, which they may already have."""
    systems = [_normalised(turn["content"]) for turn in turns if turn["role"] == "system"]
    if systems and systems != [_normalised(system)]:
        raise Unreadable("has another system message than the conversation")
    return turns if systems else [{"role": "system", "content": system}, *turns]


def _agree(prompt: list[Message], dialogue: list[Message]) -> bool:
    """Whether the turns of a dialogue before its answer are those in the prompts' column.

    A prompt of one message may also be only the first or the last user's message of the dialogue.
    """
    prompt_system, prompt_turns = _compared(prompt)
    system, turns = _compared(dialogue)
    if prompt_system and system and prompt_system != system:
        return False
    users = [turn for turn in turns if turn[0] == "user"]
    return prompt_turns == turns or (
        len(prompt_turns) == 1 and prompt_turns[0] in users[:1] + users[-1:]
    )


def _compared(messages: list[Message]) -> tuple[list[str], list[tuple[str, str]]]:
    """Messages in the form in which they are compared: the system's texts, and the other turns."""
    turns = [(message["role"], _normalised(message["content"])) for message in messages]
    system = [text for role, text in turns if role == "system"]
    return system, [turn for turn in turns if turn[0] != "system"]


def _normalised(text: str) -> str:
    """A text in the form in which it is compared: one Unicode form, no space around it."""
    return unicodedata.normalize("NFC", text).strip()


def _column(name: str | None) -> pl.Expr:
    return pl.lit(None) if name is None else column(name)


def _blank(texts: pl.Expr) -> pl.Expr:
    return texts.is_null() | (texts.cast(pl.String).str.strip_chars() == "")
