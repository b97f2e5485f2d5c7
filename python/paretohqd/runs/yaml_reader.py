"""YAML as configurations are written in: plain values, each where it stands.

Whoever sends a configuration can put anything into it. What could mean one thing to its reader and
another to the program (keys given twice, merge keys, aliases) is refused, and so is what only costs
time and memory. PyYAML is imported when a text is read.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from paretohqd.safety.printing import first_acting
from paretohqd.safety.secrets import redacted

MOST_BYTES = 1_000_000
"""A configuration is a page or two; examples have 3 kB."""

MOST_LEVELS = 32
"""Sections and lists within each other."""

MOST_DIGITS = 100
"""Characters of a number; a double has 17 digits."""

# Each text matches in one way only, so that a long one takes no longer than its length.
EXPONENT = re.compile(r"[-+]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)[eE][-+]?[0-9]+\Z")

MERGE = "tag:yaml.org,2002:merge"
ODD = tuple(f"tag:yaml.org,2002:{name}" for name in ("binary", "omap", "pairs", "set"))
NUMBERS = ("tag:yaml.org,2002:int", "tag:yaml.org,2002:float")


def read_yaml_file(path: Path) -> Any:
    """Read a configuration's file; see `read_yaml`.

    Raises:
        ValueError: More than 1 MB, no text in UTF-8, or what `read_yaml` refuses.
        OSError: No such file.
    """
    with path.open("rb") as file:
        content = file.read(MOST_BYTES + 1)  # a device or a pipe might have no end
    if len(content) > MOST_BYTES:
        raise ValueError("more than 1 MB, which is no configuration")
    return read_yaml(content.decode("utf-8"))


def read_yaml(text: str) -> Any:
    """Read YAML; unlike in PyYAML, 1e-5 is a number and a key that is given twice an error.

    PyYAML takes 1e-5 for text (YAML 1.1 wants 1.0e-5) and the last of two equal keys.

    Raises:
        ValueError: Not YAML, a key given twice, an alias or a merge key, more than 1 MB, 32 levels
            or 100 digits, or a character that acts on a terminal.

    Example:
        >>> read_yaml("{a: 1e-5, b: [no, 2]}")
        {'a': 1e-05, 'b': [False, 2]}
    """
    import yaml

    class Loader(yaml.SafeLoader):
        level = 0

        def compose_node(self, parent: Any, index: Any) -> Any:
            if self.check_event(yaml.AliasEvent):
                raise _error(self.current_event, "an alias: write the values out again")
            if self.level >= MOST_LEVELS:
                raise _error(self.current_event, f"more than {MOST_LEVELS} levels of sections")
            self.level += 1
            node = super().compose_node(parent, index)
            self.level -= 1
            return node

        def construct_mapping(self, node: Any, deep: bool = False) -> dict[Any, Any]:
            seen = set()
            for key, _ in node.value:
                if key.tag == MERGE:
                    raise _error(key, "a merge key: write the keys out")
                if isinstance(key, yaml.ScalarNode):
                    if key.value in seen:
                        line = key.start_mark.line + 1
                        name = redacted(key.value)
                        raise ValueError(f"{name} is given a second time in line {line}")
                    seen.add(key.value)
            return super().construct_mapping(node, deep=deep)

        def construct_object(self, node: Any, deep: bool = False) -> Any:
            if node.tag in NUMBERS and len(node.value) > MOST_DIGITS:
                raise _error(node, f"a number of {len(node.value):,} characters")
            if node.tag in ODD:
                raise _error(node, f"!!{node.tag.rpartition(':')[2]}: write plain values")
            try:
                return super().construct_object(node, deep=deep)
            except ValueError as error:
                if isinstance(node, yaml.ScalarNode):  # a day that no calendar has, say
                    raise _error(node, redacted(str(error))) from None
                raise

    if len(text) > MOST_BYTES:
        raise ValueError("more than 1 MB, which is no configuration")
    Loader.add_implicit_resolver("tag:yaml.org,2002:float", EXPONENT, list("-+.0123456789"))
    try:
        value = yaml.load(text, Loader)
    except yaml.MarkedYAMLError as error:
        # Not PyYAML's own text: that shows the line, in which there may be a secret.
        raise ValueError(f"not valid YAML: {_described(error)}") from None
    except yaml.YAMLError as error:
        raise ValueError(f"not valid YAML: {' '.join(str(error).split())}") from None
    _refuse_acting(value)
    return value


def _described(error: Any) -> str:
    """What is wrong, and where, without the text that stands there."""
    mark = error.problem_mark or error.context_mark
    # No colon: behind "the next token" it would make a secret of what follows.
    what = ", ".join(part for part in (error.context, error.problem) if part)
    where = f" in line {mark.line + 1}, column {mark.column + 1}" if mark else ""
    return f"{redacted(what)}{where}"


def _error(place: Any, what: str) -> ValueError:
    return ValueError(f"line {place.start_mark.line + 1}: {what}")


def _refuse_acting(value: Any, where: str = "") -> None:
    """Refuse texts that would act on a terminal or be read in another order than they are in."""
    if isinstance(value, Mapping):
        for key, each in value.items():
            _refuse_acting(key, f"a key of {where}" if where else "a key")
            _refuse_acting(each, f"{where}.{key}" if where else str(key))
    elif isinstance(value, list):
        for at, each in enumerate(value):
            _refuse_acting(each, f"{where}[{at}]")
    elif isinstance(value, str):
        found = first_acting(value.replace("\r\n", "\n"))
        if found is not None:
            raise ValueError(
                f"{where or 'the text'}: holds the character {found}, which is not seen or acts on "
                "a terminal: take it out"
            )
