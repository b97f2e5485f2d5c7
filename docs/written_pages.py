"""Pages that are written when the site is built: every setting, every command, texts of the top.

A setting is a field of a dataclass with a text below it, so what the page says is what the reader
of configurations enforces. A field without a text is an error.
"""

from __future__ import annotations

import argparse
import ast
import dataclasses
import inspect
import os
import textwrap
import types
import typing
from collections.abc import Collection
from pathlib import Path

from paretohqd.cli.main import command_line
from paretohqd.compare.config import Comparison, Entry
from paretohqd.compare.method import Range
from paretohqd.compare.methods import METHODS
from paretohqd.compare.methods._selection import UNSET, Unset
from paretohqd.models.spec import Model, SamplingServer
from paretohqd.rewards.rubric import Judge
from paretohqd.runs import sections
from paretohqd.runs.config import Config

PLAIN = {int: "whole number", float: "number", str: "text", bool: "true or false"}

TOP = ("DESIGN.md", "CONTRIBUTING.md", "SECURITY.md", "CHANGELOG.md", "RELEASE.md")
"""Texts of the repository's top that are pages too."""

SECTIONS = {
    "Top level": Config,
    "`data`": sections.Data,
    "`objectives`: a list of": sections.Objective,
    "`judge` of an objective": Judge,
    "`model`": Model,
    "`selection`": sections.Selection,
    "`generation`": sections.Generation,
    "`endpoint` of `generation`": SamplingServer,
    "`evaluation`": sections.Evaluation,
    "Of a comparison, besides all of the above": Comparison,
    "`methods`: a list of names, or of sections": Entry,
}


def write(folder: Path) -> None:
    """Write the pages into a folder, each only where its text is another one."""
    folder.mkdir(exist_ok=True)
    pages = {"configuration.md": configuration(), "commands.md": commands()}
    for name in TOP:
        text = (folder.parents[1] / name).read_text("utf-8")
        pages[name.lower()] = relinked(text.replace("](docs/", "](../"), "", "")
    for name, text in pages.items():
        path = folder / name
        if not path.exists() or path.read_text("utf-8") != text:
            path.write_text(text, "utf-8")


def relinked(text: str, before: str, after: str) -> str:
    """A text whose links to texts of the repository's top lead to their pages."""
    for name in TOP:
        text = text.replace(f"]({before}{name}", f"]({after}{name.lower()}")
    return text


def configuration() -> str:
    """The page of settings."""
    text = """# Every setting of a configuration

A configuration is a YAML file that is read strictly: an unknown key, a missing one or a value of
another kind is refused, with the key's name, before any work. `train`, `train_stage2`, `lora`,
`pairs` and `reinforcement` hold settings of TRL's and PEFT's own classes:
[these keys](../settings.md). On the command line `--set KEY=VALUE` replaces one, such as
`--set selection.k=50`. This page is written from the classes that read the file.
"""
    above = {field.name for field in dataclasses.fields(Config)}
    for title, kind in SECTIONS.items():
        text += f"\n## {title}\n\n"
        text += _list(kind, without=above if kind is Comparison else {"options"})
    text += "\n## Options of each method\n\nThey stand beside `method`.\n"
    for name, method in METHODS.items():
        text += f"\n### `{name}`\n\n{method.about}\n\n{_list(method.options)}"
    return text


def _list(kind: type, *, without: Collection[str] = ()) -> str:
    """A class's settings, as a list of definitions."""
    return "".join(
        f"`{field.name}` · {_kind(kind, field)}\n: {meaning}\n\n"
        for field, meaning in documented(kind)
        if field.name not in without
    )


def documented(kind: type) -> list[tuple[dataclasses.Field, str]]:
    """A dataclass's fields, with the text below each, those of its parents first.

    Raises:
        ValueError: A field has no text.
    """
    texts: dict[str, str] = {}
    for each in reversed(kind.__mro__):
        if dataclasses.is_dataclass(each):
            texts |= _texts(each)
    fields = dataclasses.fields(kind)
    if missing := [field.name for field in fields if field.name not in texts]:
        raise ValueError(f"{kind.__name__}: no text below {', '.join(missing)}")
    return [(field, texts[field.name]) for field in fields]


def _texts(kind: type) -> dict[str, str]:
    """The text below each field in the class's own source."""
    body = ast.parse(textwrap.dedent(inspect.getsource(kind))).body[0]
    assert isinstance(body, ast.ClassDef)
    return {
        field.target.id: inspect.cleandoc(text.value.value)
        for field, text in zip(body.body, body.body[1:], strict=False)
        if isinstance(field, ast.AnnAssign)
        and isinstance(field.target, ast.Name)
        and isinstance(text, ast.Expr)
        and isinstance(text.value, ast.Constant)
        and isinstance(text.value.value, str)
    }


def _kind(kind: type, field: dataclasses.Field) -> str:
    """What a setting may be, and what it is where it is not given."""
    words = _words(typing.get_type_hints(kind, include_extras=True)[field.name])
    if field.default is UNSET:
        return f"{words}, the run's by default"
    if field.default is not dataclasses.MISSING:
        return f"{words}, `{_yaml(field.default)}` by default"
    if field.default_factory is not dataclasses.MISSING:
        return f"{words}, may be left out"
    return f"{words}, **needed**"


def _words(hint: object) -> str:
    """A type in words."""
    origin, args = typing.get_origin(hint), typing.get_args(hint)
    if origin is typing.Annotated:
        ranges = [str(mark) for mark in args[1:] if isinstance(mark, Range)]
        return " ".join([_words(args[0]), *ranges])
    if origin is typing.Literal:
        return " or ".join(f"`{_yaml(arg)}`" for arg in args)
    if origin in (typing.Union, types.UnionType):
        kinds = dict.fromkeys(_words(arg) for arg in args if arg not in (type(None), Unset))
        return ", or ".join(kinds)
    if origin is tuple:
        inner = _words(args[0])
        if inner in ("section", *PLAIN.values()):
            return f"list of {inner}s"
        return f"list of ({inner})"
    if isinstance(hint, type) and hint in PLAIN:
        return PLAIN[hint]
    return "section"


def _yaml(value: object) -> str:
    """A value as YAML has it."""
    words = {None: "null", True: "true", False: "false"}
    if value is None or isinstance(value, bool):
        return words[value]
    return f"[{', '.join(map(_yaml, value))}]" if isinstance(value, tuple) else str(value)


def commands() -> str:
    """The page of commands: what `--help` says of each."""
    os.environ["COLUMNS"] = "90"  # argparse fits its texts to the terminal
    parser = command_line()
    text = f"# Commands\n\n```text\n{parser.format_help()}```\n"
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for name, command in action.choices.items():
                text += f"\n## {name}\n\n```text\n{command.format_help()}```\n"
    return text
