"""Rewards of functions that a configuration names by module or file."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Mapping, Sequence
from typing import Any

from paretohqd.exceptions import first_line
from paretohqd.rewards import code
from paretohqd.rewards.callables import ROWS, CallableReward
from paretohqd.rewards.signatures import LOGS, TEXTS, TRAINER, called, listed, parameters


def named_callable(
    *,
    name: str,
    scorer: str,
    columns: Sequence[str] | None = None,
    messages: bool | None = None,
    options: Mapping[str, Any] | None = None,
    batch_size: int = ROWS,
) -> CallableReward:
    """The reward of a function that a configuration names, if it may run.

    With `options` a function that scores is given them too, at each call. One that takes none of
    prompts, completions and completion_ids makes a function that scores, as `trl.rewards.get_...`
    do: it is called once, with the options.

    Raises:
        ValueError: What `code.load` or `CallableReward` refuses, or options that do not fit.
    """
    try:
        loaded = code.load(scorer)
    except ValueError as error:
        raise ValueError(f"reward {name!r}: {error}") from error
    given, function = dict(options or {}), loaded.function
    taken = parameters(function)
    makes = inspect.isclass(function) or not (taken.all or set(taken.names) & set(TEXTS))
    unknown = [key for key in given if not taken.all and key not in taken.names]
    if unknown:
        raise ValueError(
            f"reward {name!r}: options: {called(function)} does not take {listed(unknown)}: it "
            f"takes {listed(taken.names)}"
        )
    if makes:
        missing = [key for key in taken.needed if key not in given]
        if missing:
            raise ValueError(
                f"reward {name!r}: {called(function)} makes a function and needs options: "
                f"{listed(missing)} (a function that scores takes completions)"
            )
        try:
            function = function(**given)
        except Exception as error:
            raise ValueError(
                f"reward {name!r}: {called(function)} made no function of its options: "
                f"{type(error).__name__}: {first_line(error)}"
            ) from error
        if not callable(function):
            raise ValueError(
                f"reward {name!r}: {loaded.written} made {type(function).__name__}, which cannot "
                "be called"
            )
    elif given:
        if twice := [key for key in given if key in (*TEXTS, *LOGS, *TRAINER, *(columns or ()))]:
            raise ValueError(f"reward {name!r}: options: {listed(twice)} is given to it anyway")
        function = functools.partial(function, **given)
    source = {"function": loaded.written, "sha256": loaded.sha256, "packages": loaded.packages}
    return CallableReward(
        name=name,
        function=function,
        columns=None if columns is None else tuple(columns),
        messages=messages,
        batch_size=batch_size,
        source=source | ({"options": given} if given else {}),
    )
