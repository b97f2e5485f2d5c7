"""Conversations and their answers, read from the rows of a data set.

A row that cannot be read is refused, with its column, its number and how many there are. Which
columns hold what, `paretohqd.frames.conversations.layouts` finds out.
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
from paretohqd.frames.objectives import column

PAIR = ("chosen", "rejected")
"""Columns of which the texts, too, may be whole dialogues."""


@dataclass(frozen=True, kw_only=True)
class Conversation:
    """What was asked, and what was answered.

    Attributes:
        turns: Messages, a system's perhaps first, of which the last is a user's or a tool's.
        answer: An assistant's message.
        tools: Tools that could be called, as the row has them: JSON text or a list; or None.
    """

    turns: list[Message]
    answer: Message
    tools: Any = None


@dataclass(frozen=True, kw_only=True)
class Layout:
    """The columns of a frame that hold its conversations.

    Attributes:
        prompt: The prompts; None where the answers' column holds whole dialogues.
        answer: The answers, or dialogues that end with them; None where there are prompts alone.
        parts: Texts that belong to the prompt.
        history: Lists of [prompt, answer] that came before.
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
            allow_empty: An answer may be blank or null, or missing at a dialogue's end.

        Raises:
            ValueError: A row that cannot be read.

        Example:
            >>> frame = pl.DataFrame({"ask": ["Tea?"], "say": ["Yes."]})
            >>> Layout(prompt="ask", answer="say").read(frame)[0].answer
            {'role': 'assistant', 'content': 'Yes.'}
        """
        wanted = {
            "answer": self.answer,
            "history": self.history,
            "system": self.system,
            "tools": self.tools,
        }
        table = frame.select(
            self.prompts().alias("prompt"),
            *(_column(name).alias(key) for key, name in wanted.items()),
        )
        found = []
        bad: dict[tuple[str, str], list[int]] = {}
        for number, values in enumerate(table.iter_rows()):
            row = _Row(self, allow_empty)
            try:
                found.append(row.read(*values))
            except Unreadable as error:
                bad.setdefault((row.column or "", str(error)), []).append(number)
        for (name, what), rows in bad.items():
            count = f" ({len(rows)} of {len(frame)} rows)" if len(rows) > 1 else ""
            raise ValueError(f"{name}: row {rows[0]} {what}{count}: mend such rows or drop them")
        return found

    def prompts(self) -> pl.Expr:
        """The prompts' column, with the texts that belong to it after an empty line."""
        whole = _column(self.prompt)
        for name in self.parts:
            part = column(name)
            whole = (
                pl.when(whole.is_null() | _blank(part))
                .then(whole)
                .when(_blank(whole))
                .then(part.cast(pl.String))
                .otherwise(whole.cast(pl.String) + "\n\n" + part.cast(pl.String))
            )
        return whole


@dataclass
class _Row:
    """Reads one row, and knows which column it is at."""

    layout: Layout
    allow_empty: bool
    column: str | None = None

    def read(self, asked: Any, said: Any, past: Any, told: Any, tools: Any) -> Conversation:
        layout = self.layout
        turns: list[Message] = []
        if layout.prompt is not None:
            self.column = layout.prompt
            turns = _prompt(asked)
        if past is not None:
            self.column = layout.history
            turns = _history(past) + turns
        answer: Message = {"role": "assistant", "content": ""}
        if layout.answer is not None:
            self.column = layout.answer
            turns, answer = self._answered(turns, said)
        if not turns or turns[-1]["role"] not in ("user", "tool"):
            raise Unreadable("has no message of a user, or of a tool, right before an answer")
        if isinstance(told, str) and told.strip():
            self.column = layout.system
            turns = _told(turns, told)
        self.column = layout.tools
        return Conversation(turns=turns, answer=answer, tools=read_tools(tools))

    def _answered(self, turns: list[Message], said: Any) -> tuple[list[Message], Message]:
        """All turns before the answer, and the answer."""
        *before, answer = talk = self._talk(said)
        if answer["role"] != "assistant":
            if not self.allow_empty:
                raise Unreadable("does not end with an assistant's message after another one")
            before, answer = talk, {"role": "assistant", "content": ""}
        if not (self.allow_empty or answer["content"].strip() or "tool_calls" in answer):
            raise Unreadable("has an empty answer")
        if before and before[0]["role"] in ("user", "system"):
            if turns and not _agree(turns, before):
                raise Unreadable(f"has another prompt than column {self.layout.prompt!r}")
            own = [turn for turn in turns if turn["role"] == "system"]
            return (before if before[0] in own else own + before), answer
        return turns + before, answer

    def _talk(self, said: Any) -> list[Message]:
        """The answer as messages, or the whole dialogue that it ends."""
        if said is None and self.allow_empty:
            said = ""
        talk = read_messages(said)
        if talk is None and (self.layout.prompt is None or self.layout.answer in PAIR):
            talk = read_dialogue(said)
        if talk is None and self.layout.prompt is None:
            raise Unreadable(
                "holds no messages and no dialogue with 'Human:' and 'Assistant:' turns"
            )
        return talk or [{"role": "assistant", "content": said}]


def _prompt(asked: Any) -> list[Message]:
    """A prompt's messages; of a text in the form of hh-rlhf its turns."""
    turns = read_messages(asked)
    if turns is None:
        *turns, last = read_dialogue(asked) or [{}, {}]
        # Only a text that ends where its answer would begin is a dialogue.
        if last != {"role": "assistant", "content": ""}:
            turns = [{"role": "user", "content": asked}]
    if not turns or turns[-1]["role"] not in ("user", "tool"):
        raise Unreadable("does not end with a message of a user or a tool")
    return turns


def _history(past: Any) -> list[Message]:
    """Lists of [prompt, answer] as messages."""
    pairs = past if isinstance(past, list) else [past]
    if not all(isinstance(p, list) and [type(x) for x in p] == [str, str] for p in pairs):
        raise Unreadable("holds no list of pairs of a prompt and an answer")
    roles = ("user", "assistant")
    return [
        {"role": role, "content": text}
        for pair in pairs
        for role, text in zip(roles, pair, strict=True)
    ]


def _told(turns: list[Message], told: str) -> list[Message]:
    """The turns with a system message before them."""
    own = [_bare(turn["content"]) for turn in turns if turn["role"] == "system"]
    if own and own != [_bare(told)]:
        raise Unreadable("has another system message than the conversation")
    return turns if own else [{"role": "system", "content": told}, *turns]


def _agree(asked: list[Message], talk: list[Message]) -> bool:
    """Whether a dialogue begins with what the column of prompts has.

    A prompt of one message may also be only the first or the last of a longer dialogue's.
    """
    systems, others = [], []
    for turns in (asked, talk):
        systems.append([_bare(t["content"]) for t in turns if t["role"] == "system"])
        others.append([(t["role"], _bare(t["content"])) for t in turns if t["role"] != "system"])
    if all(systems) and systems[0] != systems[1]:
        return False
    users = [turn for turn in others[1] if turn[0] == "user"]
    return others[0] == others[1] or (
        len(others[0]) == 1 and others[0][0] in users[:1] + users[-1:]
    )


def _bare(text: str) -> str:
    """A text as it compares: in one Unicode form, without the space around it."""
    return unicodedata.normalize("NFC", text).strip()


def _column(name: str | None) -> pl.Expr:
    return pl.lit(None) if name is None else column(name)


def _blank(texts: pl.Expr) -> pl.Expr:
    return texts.is_null() | (texts.cast(pl.String).str.strip_chars() == "")
