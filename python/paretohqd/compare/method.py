"""What a method of a comparison is: a function, its options, and what the page says of it.

A new method is a file in `compare/methods/` that ends in `METHOD = Method(...)`, and a line in
`methods/__init__.py`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Annotated, Any, Generic, Literal, TypeVar, get_args, get_origin, get_type_hints

from paretohqd.compare.policy import Policy
from paretohqd.compare.workbench import Workbench
from paretohqd.exceptions import check_keys
from paretohqd.runs.config_reader import from_mapping


@dataclass(frozen=True)
class Range:
    """The numbers that an option may be, beside its type: `Annotated[int, Range(1)]`."""

    least: float
    most: float = math.inf
    above: bool = False
    """Whether `least` itself is too little."""

    def holds(self, value: float) -> bool:
        """Whether a number lies within; infinities and NaN never do."""
        low = self.least < value if self.above else self.least <= value
        return low and value <= self.most and math.isfinite(value)

    def __str__(self) -> str:
        """The range in words: "from 0 to 6", "from 1 on", "above 0"."""
        if self.above:
            return f"above {self.least}"
        return f"from {self.least} " + ("on" if self.most == math.inf else f"to {self.most}")


@dataclass(frozen=True)
class SetsLength:
    """Marks an option that says how long a method trains, which a matched budget says as well."""


Family = Literal["sft", "pairs", "rl", "joint", "conditioned", "in-context", "values"]
"""What methods have in common that train alike: fine-tuning on rows, DPO on pairs, reinforcement
learning, several adapters together, several with coefficients that a network writes, fine-tuning
with scores in the context, and value models."""
Count = Annotated[int, Range(1)]
Steps = Annotated[int, Range(1), SetsLength()]
Positive = Annotated[float, Range(0, above=True)]
Amount = Annotated[float, Range(0)]
Share = Annotated[float, Range(0, 1)]


@dataclass(frozen=True, kw_only=True)
class MethodOptions:
    """The options of a method, checked when they are made; a method without any has this."""

    def __post_init__(self) -> None:
        """Refuse numbers out of range.

        Raises:
            ValueError: It begins with the option's name.
        """
        for name, annotation in _annotations(type(self)).items():
            if problem := annotation.problem(getattr(self, name)):
                raise ValueError(f"{name}: {problem}")


Options = TypeVar("Options", bound=MethodOptions)


@dataclass(frozen=True, kw_only=True)
class Method(Generic[Options]):
    """One method: what it does, its options, and where it comes from."""

    run: Callable[[Workbench, Options], list[Policy]]
    """Trains what it needs; returns one policy per preference, or some that take none."""
    options: type[Options]
    about: str
    """What it does, in a sentence."""
    source: str = ""
    """The paper that it follows."""
    exact: str = ""
    """What is as in the source."""
    ours: str = ""
    """What was decided here."""
    family: Family | Callable[[Options], Family] | None = None
    """Those whose seeds spread as its own do; a function where an option decides it. None: not
    known, and for the base, which is not trained."""
    reconstructed: bool = False
    """Whether it was rebuilt without its authors' code, from the source's abstract or notes on its
    text; marked in tables."""

    @property
    def words(self) -> dict[str, str]:
        """What it says of itself: `about`, and whichever of the other three it has."""
        words = {name: getattr(self, name) for name in ("about", "source", "exact", "ours")}
        return {name: text for name, text in words.items() if text}

    def family_of(self, options: Options) -> Family | None:
        """The family of its trainings with some options.

        Example:
            >>> from paretohqd.compare.methods import METHODS
            >>> soups = METHODS["soups"]
            >>> soups.family_of(soups.read({"corners": "rl"}, "methods[0]", name="soups"))
            'rl'
        """
        return self.family(options) if callable(self.family) else self.family

    def read(
        self, given: Mapping[str, Any], where: str, *, name: str, budgets: Sequence[str] = ()
    ) -> Options:
        """The options as a configuration gives them, checked before anything is trained.

        Args:
            given: Names and plain values.
            where: The key that they stand under, for messages.
            name: What the method is called, for the message of an unknown option.
            budgets: Those that the method is to run under.

        Raises:
            ValueError: An unknown option (with the nearest known one), a value of the wrong kind,
                out of range or none of those that there are, two options that exclude each other,
                or a number of steps under a matched budget.

        Example:
            >>> from paretohqd.compare.methods import METHODS
            >>> METHODS["soups"].read({"corners": "RL"}, "methods[0]", name="soups")
            Traceback (most recent call last):
            ...
            ValueError: methods[0].corners: expected one of sft, dpo, rl, got 'RL'
        """
        names = [field.name for field in fields(self.options)]
        check_keys(given, names, f"{where} ({name})")
        annotations = _annotations(self.options)
        for key, value in given.items():
            if problem := annotations[key].problem(value):
                raise ValueError(f"{where}.{key}: {problem}")
            if annotations[key].sets_length and (limited := set(budgets) - {"own"}):
                which = "a matched budget" if "matched" in limited else "a budget of cost"
                raise ValueError(
                    f"{where}.{key}: under {which} the tokens say how long a method "
                    "trains: set budgets: [own]"
                )
        try:
            return from_mapping(self.options, given)
        except ValueError as error:
            key = str(error).partition(":")[0]
            raise ValueError(f"{where}{'.' if key in names else ': '}{error}") from None


@dataclass(frozen=True)
class _Annotation:
    """What the type of an option says of its values."""

    kind: type
    """The type of the number that is marked."""
    marks: tuple[object, ...]
    others: tuple[type, ...]
    """What the option may be besides: None, or a word for what is not given."""

    @property
    def sets_length(self) -> bool:
        """Whether it says how long a method trains."""
        return any(isinstance(mark, SetsLength) for mark in self.marks)

    def problem(self, value: object) -> str | None:
        """What is wrong with a value; None: nothing that a range could say."""
        ranges = [mark for mark in self.marks if isinstance(mark, Range)]
        if isinstance(value, self.others) or not ranges:
            return None
        whole = self.kind is int
        if isinstance(value, int | float) and not isinstance(value, bool):
            right = isinstance(value, int) or not whole
            if right and all(each.holds(value) for each in ranges):
                return None
        return f"expected {'a whole number' if whole else 'a number'} {ranges[0]}, got {value!r}"


def _annotations(options: type[MethodOptions]) -> dict[str, _Annotation]:
    """The types of all options, taken apart."""
    annotations = {}
    for name, hint in get_type_hints(options, include_extras=True).items():
        # In `Count | None` the mark is on the first part.
        parts = [hint] if get_origin(hint) is Annotated else get_args(hint)
        marked = [part for part in parts if get_origin(part) is Annotated]
        kind, *marks = get_args(marked[0]) if marked else (object,)
        others = tuple(part for part in parts if isinstance(part, type))
        annotations[name] = _Annotation(kind, tuple(marks), others)
    return annotations
