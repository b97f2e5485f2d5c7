"""What the self-contained pages share: layout, numbers, sample answers, and JSON for scripts."""

from __future__ import annotations

import base64
import json
import random
from collections.abc import Mapping, Sequence
from hashlib import sha256
from importlib.resources import files
from math import isfinite
from pathlib import Path
from typing import Any, TypedDict

from jinja2 import Environment, FunctionLoader, StrictUndefined
from markupsafe import Markup

from paretohqd.frames.new_files import refuse_link, refuse_way_out
from paretohqd.frames.writing import write_text
from paretohqd.plots.progress import duration
from paretohqd.selection.preferences import format_weights

MINUS, DASH = "\N{MINUS SIGN}", "\N{EN DASH}"
FLAGS = ("short", "repetitive", "echo")
"""Columns of answers that say what is wrong with one."""


class AnswerCard(TypedDict):
    """What a page shows of one answer."""

    text: str
    scores: list[tuple[str, float]]
    """Objective and value."""
    flags: list[str]


def template(name: str) -> Any:
    """The page of this name beside this file; Jinja escapes every value that it puts into it."""
    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, loader=FunctionLoader(source)
    )
    environment.filters |= {
        "number": number,
        "label": format_weights,
        "duration": duration,
        "percent": percent,
        "count": count,
        "script": script,
        "hashes": hashes,
    }
    environment.globals["behaviour"] = Markup(source("charts.js"))
    return environment.get_template(name)


def write(page: str, out: Path, *, folder: Path) -> Path:
    """Write a page whole or not at all; its folder is made if need be.

    A new page in the folder that it tells of is the user's alone, as is what else lies there.
    """
    out.parent.mkdir(parents=True, exist_ok=True)
    write_text(out, page, mode=0o600 if out.parent == folder else 0o666)
    return out


def file_of(folder: Path, name: str, *, kind: str, command: str) -> Path:
    """A file that every finished folder of this kind has.

    Args:
        folder: Where a command wrote its results.
        name: The file, relative to the folder.
        kind: What the folder holds, "run" or "comparison".
        command: What finishes it.

    Raises:
        ValueError: There is no such file; or the name leads out of the folder, or a part of the way
            is a link: that may be to what is not meant to be on a page.
    """
    path = folder / name
    refuse_link(folder)
    refuse_way_out(folder, path)
    if not path.is_file():
        raise ValueError(
            f"{folder} is not a finished {kind}: {name} is missing; finish it with "
            f"`paretohqd {command}`"
        )
    return path


def sample_prompts(total: int, size: int, seed: int) -> list[int]:
    """Numbers of a few prompts, drawn with a seed, in order."""
    return sorted(random.Random(seed).sample(range(total), min(size, total)))


def answer_card(reply: Mapping[str, Any], objectives: Sequence[str]) -> AnswerCard:
    """What a page shows of one answer.

    Args:
        reply: `response`, `finished`, a column per flag and one per objective.
        objectives: Their names, in order.

    Example:
        >>> reply = {"response": "Yes.", "a": 0.5, "short": True, "repetitive": False}
        >>> answer_card(reply | {"echo": False, "finished": False}, ["a"])
        {'text': 'Yes.', 'scores': [('a', 0.5)], 'flags': ['short', 'cut off']}
    """
    flags = [flag for flag in FLAGS if reply[flag]]
    return {
        "text": reply["response"],
        "scores": [(name, reply[name]) for name in objectives],
        "flags": flags if reply["finished"] else [*flags, "cut off"],
    }


def number(value: float | None, sign: str = "-") -> str:
    """Three decimals (one from 100 on) and a real minus sign; a dash for what is not known.

    Example:
        >>> number(0.12345, "+"), number(None)
        ('+0.123', '–')
    """
    if value is None or not isfinite(value):
        return DASH
    # Adding zero turns the -0.0 that rounding may leave into a plain zero.
    text = f"{round(value, 3) + 0.0:{sign}.3f}" if abs(value) < 100 else f"{value:{sign},.1f}"
    return text.replace("-", MINUS)


def percent(share: float | None) -> str:
    """A share as a percentage; a dash for what is not known.

    Example:
        >>> percent(0.0417), percent(None)
        ('4.2 %', '–')
    """
    return DASH if share is None else f"{100 * share:.1f} %"


def count(value: float | None) -> str:
    """A whole number with separated thousands; a dash for what is not known.

    Example:
        >>> count(46719.6), count(None)
        ('46,720', '–')
    """
    return DASH if value is None else f"{value:,.0f}"


def script(value: object) -> Markup:
    """JSON inside a script element: without `<` it cannot close that element or open a comment."""
    text = json.dumps(value, allow_nan=False, separators=(",", ":"))
    return Markup(text.replace("<", "\\u003c"))


def hashes(texts: Sequence[str]) -> Markup:
    """Sources of a content security policy: scripts or styles with these texts, and no others.

    Example:
        >>> hashes(["let x = 1;"])
        Markup("'sha256-qtc3jf64UXA5J6U02kfQ0Cvn9Uz4wXUaN3NNUVgR2v4='")
    """
    digests = (base64.b64encode(sha256(text.encode()).digest()).decode() for text in texts)
    return Markup(" ".join(f"'sha256-{digest}'" for digest in digests))


def source(name: str) -> str:
    """The text of a file beside the templates."""
    return files("paretohqd.plots").joinpath("templates", name).read_text("utf-8")
