"""Functions as rewards, called as TRL's trainers call reward functions.

A function takes keywords, of these the ones that its signature names, or all if it has `**kwargs`:

    prompts, completions  n texts each, or n lists of messages (see `CallableReward.messages`)
    completion_ids        the completions' tokens, where there is a tokenizer
    log_extra, log_metric functions as a trainer gives; what they are told is kept nowhere
    any other name        the column of that name, n values

and returns n numbers. `async` functions are awaited, all in one event loop. Nothing heavy is
imported here.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from paretohqd.exceptions import first_line
from paretohqd.frames.conversations.prompts import read_prompt
from paretohqd.rewards.awaiting import awaited
from paretohqd.rewards.signatures import (
    LOGS,
    TEXTS,
    TRAINER,
    called,
    listed,
    module_of,
    parameters,
)

Scores = NDArray[np.float64]
Columns = Mapping[str, Sequence[Any]]
"""Values of further columns by name, one for each row."""
Progress = Callable[[int], None]
"""Called with the number of rows that are newly done."""

ROWS = 1024
"""Rows that a function is given at a time."""


@dataclass(kw_only=True)
class CallableReward:
    """A function as a reward.

    Attributes:
        name: Column of the scores.
        function: Called as TRL's trainers call reward functions, see above. A row's score must not
            depend on the other rows.
        columns: Names of the columns that it is given besides; None: all of the frame's.
        messages: Give prompts and completions as messages, as TRL does for conversations, or
            (False) as texts. None: messages where any prompt of a call is a conversation, and for
            functions of `trl.rewards`, which take nothing else; else texts. A conversation given as
            a text is the JSON of its messages.
        tokenize: Makes token ids of completions, for functions that take `completion_ids`.
        batch_size: Rows that it is given at a time.
        source: What the manifest says of it.

    Raises:
        ValueError: The function takes nothing that rows have, a name that only a trainer has, or
            `completion_ids` where nothing makes them.

    Example:
        >>> def brief(completions, limit, **more):
        ...     return [float(len(text) <= most) for text, most in zip(completions, limit)]
        >>> reward = CallableReward(name="brief", function=brief)
        >>> reward.score_rows(["Tea?"] * 2, ["Yes.", "Well, yes."], {"limit": [5, 5]})
        array([1., 0.])
    """

    name: str
    function: Callable[..., Any]
    columns: Sequence[str] | None = None
    messages: bool | None = None
    tokenize: Callable[[list[str]], list[list[int]]] | None = None
    batch_size: int = ROWS
    source: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Refuse a function that could not be called."""
        if self.batch_size < 1:
            raise ValueError(f"reward {self.name!r}: batch_size must be at least 1")
        if self.messages is None and module_of(self.function).startswith("trl.rewards"):
            self.messages = True
        taken = parameters(self.function)
        if not taken.all and not set(taken.names) & set(TEXTS):
            raise ValueError(
                f"reward {self.name!r}: {called(self.function)} takes {listed(taken.names)}, and "
                "none of prompts, completions and completion_ids, which a reward function is given "
                "by these names"
            )
        for name in taken.needed:
            if name in TRAINER:
                raise ValueError(
                    f"reward {self.name!r}: {called(self.function)} needs {name}, which only a "
                    "trainer has"
                )
        if self.columns is not None:
            self.check_columns(self.columns)

    def check_tokens(self) -> None:
        """Refuse a function that needs token ids where nothing makes them.

        Raises:
            ValueError: Such a function.
        """
        if self.tokenize is None and "completion_ids" in parameters(self.function).needed:
            raise ValueError(
                f"reward {self.name!r}: {called(self.function)} needs completion_ids: pass "
                "CallableReward(tokenize=...), which makes token ids of texts; a run takes its "
                "model's tokenizer"
            )

    def takes_tokens(self) -> bool:
        """Whether the function names token ids among what it takes."""
        return "completion_ids" in parameters(self.function).names

    def check_columns(self, given: Sequence[str]) -> None:
        """Refuse columns that do not suffice, or that the function could not be given.

        Raises:
            ValueError: A name that the function needs and does not get, or gets twice.
        """
        taken = parameters(self.function)
        names = {*TEXTS, *LOGS, *given}
        missing = [name for name in taken.needed if name not in names]
        if missing:
            raise ValueError(
                f"reward {self.name!r}: {called(self.function)} needs {listed(missing)}: columns "
                f"of the data are given to it by their names; it is given "
                f"{listed(given) if given else 'none'} (in a configuration: columns: "
                f"[{', '.join([*given, *missing])}])"
            )
        if self.columns is None:
            return
        for name in self.columns:
            if name in (*TEXTS, *LOGS, *TRAINER):
                raise ValueError(
                    f"reward {self.name!r}: columns: {name!r} is what a function is given anyway: "
                    "rename the column"
                )
            if not taken.all and name not in taken.names:
                raise ValueError(
                    f"reward {self.name!r}: columns: {called(self.function)} does not take "
                    f"{name!r}: it takes {listed(taken.names)}"
                )

    def reads(self, available: Sequence[str]) -> list[str]:
        """Names of the columns that it is given."""
        if self.columns is not None:
            return list(self.columns)
        taken = parameters(self.function)
        own = (*TEXTS, *LOGS, *TRAINER)
        return [n for n in available if n not in own and (taken.all or n in taken.names)]

    def score(self, prompts: Sequence[str], responses: Sequence[str]) -> Scores:
        """(n,) scores of n pairs, without further columns."""
        return self.score_rows(prompts, responses, {})

    def score_rows(
        self,
        prompts: Sequence[str],
        responses: Sequence[str],
        columns: Columns,
        progress: Progress | None = None,
    ) -> Scores:
        """(n,) scores of n pairs with their further columns.

        Raises:
            ValueError: A missing column; the function raised an error, or returned anything but one
                finite number for each row. The message names the row.
        """
        self.check_columns(list(columns))
        self.check_tokens()
        messages = self.messages
        if messages is None:
            messages = any(map(is_conversation, prompts))
        texts: dict[str, Sequence[Any]] = {"prompts": prompts, "completions": responses}
        if messages:
            texts["prompts"] = [read_prompt(text) for text in prompts]
            texts["completions"] = [[{"role": "assistant", "content": one}] for one in responses]
        scores = np.zeros(len(responses))
        for start in range(0, len(responses), self.batch_size):
            part = slice(start, start + self.batch_size)
            given = {name: list(values[part]) for name, values in ({**columns, **texts}).items()}
            if self.tokenize is not None and self.takes_tokens():
                given["completion_ids"] = self.tokenize(list(responses[part]))
            scores[part] = self._call(given, start, len(responses[part]))
            if progress is not None:
                progress(len(responses[part]))
        return scores

    def _call(self, given: dict[str, Any], start: int, count: int) -> list[float]:
        """The checked scores of some rows, the first of which has the number `start`."""
        taken = parameters(self.function)
        offered = {**dict.fromkeys(LOGS, _told), **given}
        known = {name: each for name, each in offered.items() if taken.all or name in taken.names}
        try:
            returned = self.function(**known)
            if inspect.isawaitable(returned):
                returned = awaited(returned)
        except Exception as error:
            raise ValueError(
                f"reward {self.name!r}: {called(self.function)} failed on the {count} rows from "
                f"row {start} on: {type(error).__name__}: {first_line(error)}"
            ) from error
        what = f"reward {self.name!r}: {called(self.function)}"
        values = _plain(returned)
        if values is None:
            raise ValueError(
                f"{what} returned {type(returned).__name__}, not a list of numbers, for the "
                f"{count} rows from row {start} on"
            )
        if len(values) != count:
            raise ValueError(
                f"{what} returned {len(values)} scores for the {count} rows from row {start} on: "
                "it must return one number per row, in their order"
            )
        return [_number(value, what, start + i) for i, value in enumerate(values)]

    def manifest(self) -> dict[str, Any]:
        """Kind, function and what is known of its source."""
        given: dict[str, Any] = {"name": self.name, "kind": "callable", "packages": {}}
        given["function"] = f"{module_of(self.function)}:{called(self.function)}"
        if self.columns is not None:
            given["columns"] = list(self.columns)
        return given | {"messages": self.messages} | dict(self.source)


def is_conversation(prompt: str) -> bool:
    """Whether a prompt is more than one plain message of a user.

    Raises:
        ValueError: As `read_prompt`.

    Example:
        >>> is_conversation("Tea?"), is_conversation('[{"role": "user", "content": "Tea?"}]')
        (False, True)
    """
    return read_prompt(prompt) != [{"role": "user", "content": prompt}]


def _plain(returned: Any) -> list[Any] | None:
    """The values of a list, an array, a tensor or a column; None for anything else."""
    for way in ("tolist", "to_list"):
        if hasattr(returned, way):
            try:
                returned = getattr(returned, way)()
            except (TypeError, ValueError, RuntimeError):  # a sparse tensor's, say
                return None
            break
    return list(returned) if isinstance(returned, list | tuple) else None


def _number(value: Any, what: str, row: int) -> float:
    if value is None:
        raise ValueError(
            f"{what} returned None for row {row}: TRL would leave such a row out of this reward, "
            "but here each row needs a number in each objective: return one, or leave the row out "
            "of the data"
        )
    if hasattr(value, "item") and not isinstance(value, str | bytes):
        with suppress(TypeError, ValueError, RuntimeError):  # several numbers are shown as they are
            value = value.item()
    if isinstance(value, bool) or not isinstance(value, int | float):
        shown = " ".join(repr(value).split())[:60]
        advice = ": use float(...)" if isinstance(value, bool) else ""
        raise ValueError(
            f"{what} returned {shown} ({type(value).__name__}) for row {row}, not a number{advice}"
        )
    try:
        number = float(value)
    except OverflowError:
        number = math.inf
    if not math.isfinite(number):
        raise ValueError(f"{what} returned {number} for row {row}: scores must be finite numbers")
    return number


def _told(*given: Any, **more: Any) -> None:
    """Takes what a function logs; there is no table of completions here."""
