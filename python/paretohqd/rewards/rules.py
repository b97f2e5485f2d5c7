"""Rules: scores that a text's own properties decide, or a column beside it.

Each gives 1 where the rule is kept and 0 where it is not, `Length` also what lies between. They are
deterministic, load nothing, and take time in proportion to the texts whatever their options say:
patterns run in Polars' engine, which never goes back. In a configuration:

    {name: brief, scorer: "rule:length", options: {most: 40}}
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import fields
from typing import Any

from paretohqd.exceptions import check_keys, unknown_word
from paretohqd.rewards.answer_rules import Exact, Number
from paretohqd.rewards.json_rule import Json
from paretohqd.rewards.text_rules import Finished, Length, Regex

__all__ = ["RULES", "Exact", "Finished", "Json", "Length", "Number", "Regex", "rule"]

AnyRule = Length | Finished | Regex | Json | Exact | Number

RULES: dict[str, Callable[..., AnyRule]] = {
    "length": Length,
    "finished": Finished,
    "regex": Regex,
    "json": Json,
    "exact": Exact,
    "number": Number,
}


def rule(kind: str, *, name: str, options: Mapping[str, Any]) -> AnyRule:
    """The rule of a kind, a key of `RULES`, with the options of its class.

    Raises:
        ValueError: No such kind, an unknown option, or what the class refuses; the message names
            the reward.

    Example:
        >>> rule("length", name="brief", options={"most": 40})
        Length(name='brief', least=0, most=40, unit='words', fall=None)
        >>> rule("length", name="brief", options={"mots": 40})
        Traceback (most recent call last):
        ValueError: reward 'brief': unknown key options.mots: did you mean most?
    """
    if kind not in RULES:
        raise unknown_word(f"reward {name!r}: no rule", kind, RULES)
    made = RULES[kind]
    known = [field.name for field in fields(made) if field.name != "name"]  # type: ignore[arg-type]
    try:
        check_keys(options, known, "options")
        return made(name=name, **options)
    except ValueError as error:
        raise ValueError(f"reward {name!r}: {error}") from error
