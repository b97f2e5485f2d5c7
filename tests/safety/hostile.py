"""Configurations that somebody might send, each with what is said of it: add a line for another.

Each is a YAML text that is whole but for the one thing, or changes to a plain configuration. They
are read in a folder that has the files of `FILES`, beside a folder `outside` that has them too.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from helpers.small_configs import ONE, minimal

HF = "hf_" + "QkzRwYtPbNmLcXvHsJdGfAuEoIiTrWnKpB"
OPENAI = "sk-proj-" + "a1B2c3D4e5F6g7H8i9J0"
GITHUB = "ghp_" + "16C7e42F292c6912E7710c838347Ae178B4a"
AWS = "AKIA" + "IOSFODNN7EXAMPLE"
PEM = "-----BEGIN RSA PRIVATE KEY-----\nb3BlbnNzaC1rZXktdjEA\n-----END RSA PRIVATE KEY-----"
JWT = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N"
PASSWORD = "correcthorse9"
SIGNED = "https://bucket.example/rows.csv?X-Amz-Signature=fe5f80f77d5fa3beca038a248ff027d0445342"

SECRETS = (HF, OPENAI, GITHUB, AWS, PEM, JWT, PASSWORD, SIGNED)
"""None of these may ever be shown."""

MARK = "zebra-crossing"
"""Stands in every file that is not for the template's reader."""

ENVIRONMENT = "put it into the environment"


@dataclass(frozen=True)
class Hostile:
    """A configuration and the refusal that it ends in."""

    refusal: str
    """A regular expression that the message matches."""
    text: str | bytes


def _plain(**changes: Any) -> str:
    return json.dumps(minimal(**changes))


def changed(refusal: str, **changes: Any) -> Hostile:
    """A plain configuration with some sections in place of its own."""
    return Hostile(refusal, _plain(**changes))


def yaml(refusal: str, line: str | bytes) -> Hostile:
    """A plain configuration with some lines more."""
    head = f"run: out\ndata: {{source: x.csv}}\nobjectives: {json.dumps(minimal()['objectives'])}\n"
    return Hostile(refusal, head.encode() + line if isinstance(line, bytes) else head + line)


def secret(**changes: Any) -> Hostile:
    """A configuration with a secret in it."""
    return changed(ENVIRONMENT, **changes)


def template(refusal: str, name: str) -> Hostile:
    """A configuration with a chat template of this name."""
    return changed(refusal, model={"chat_template": name})


def named(name: str, refusal: str = "not seen or acts on a terminal") -> Hostile:
    """A configuration with an objective of this name."""
    return changed(refusal, objectives=[ONE, {"name": name, "scorer": "embedded:harmless"}])


YAML = {
    "python: a call": yaml("not valid YAML: .*tag", "seed: !!python/object/apply:os.system [id]\n"),
    "python: a class": yaml("not valid YAML: .*tag", "seed: !!python/name:os.system\n"),
    "python: a module": yaml("not valid YAML: .*tag", "seed: !!python/module:os\n"),
    "python: a state": yaml("not valid YAML: .*tag", "x: !!python/object/new:type [a, [], {}]\n"),
    "a tag of one's own": yaml("not valid YAML: .*tag", "seed: !run 1\n"),
    "a tag that is declared": Hostile(
        "not valid YAML: .*tag", "%TAG ! tag:yaml.org,2002:python/\n---\nrun: !name:os.system x\n"
    ),
    "binary": yaml("!!binary: write plain values", "lora: {r: !!binary aGY=}\n"),
    "a set": yaml("!!set: write plain values", "lora: !!set {r}\n"),
    "pairs": yaml("!!pairs: write plain values", "lora: !!pairs [r: 1, r: 2]\n"),
    "an alias": yaml("line 5: .*alias", "train: &a {max_steps: 1}\nlora: *a\n"),
    "a billion laughs": yaml(
        "alias",
        "a: &a [x, x, x, x, x, x, x, x, x]\n"
        + "".join(
            f"{name}: &{name} [{', '.join([f'*{before}'] * 9)}]\n"
            for before, name in zip("abcdefgh", "bcdefghi", strict=True)
        ),
    ),
    "an alias of itself": yaml("alias", "lora: &a {r: *a}\n"),
    "a merge key": yaml("merge key", "<<: {seed: 1}\n"),
    "a merge of an alias": yaml("alias|merge key", "train: &a {b: 1}\nlora: {<<: *a}\n"),
    "a key twice": yaml("seed is given a second time in line 5", "seed: 1\nseed: 2\n"),
    "a key twice, quoted": yaml("given a second time", "seed: 1\n'seed': 2\n"),
    "a key twice, inside": yaml("given a second time", "lora: {r: 1, r: 64}\n"),
    "a key of several": yaml("not valid YAML: .*unhashable", "? [a, b]\n: 1\n"),
    "a tower of lists": yaml("more than 32 levels", f"x: {'[' * 5000}\n"),
    "a tower of sections": yaml("more than 32 levels", f"x: {'{a: ' * 2000}\n"),
    "a tower of dashes": yaml("more than 32 levels", f"x:\n{'- ' * 2000}1\n"),
    "a number of 20,000 digits": yaml("a number of 20,000 characters", f"seed: {'9' * 20_000}\n"),
    "a number in sixties": yaml("a number of 20,001 char", f"seed: {'1:' * 10_000}1\n"),
    "a hexadecimal number": yaml("a number of 9,002 characters", f"seed: 0x{'f' * 9000}\n"),
    "an exponent of 9s": yaml("a number of", f"seed: 1e{'9' * 5000}\n"),
    "digits with an end": yaml("expected a whole number", f"seed: {'9' * 20_000}x\n"),
    "an infinite number": yaml("seed: expected a whole number, got inf", "seed: .inf\n"),
    "no number": yaml("top_p: must be", "generation: {top_p: .nan}\n"),
    "a day that no calendar has": yaml("line 4: month must be", "seed: 2024-99-99\n"),
    "more than 1 MB": yaml("more than 1 MB", f"# {'x' * 1_000_000}\n"),
    "NUL": yaml("not valid YAML: .*x0000", b"seed: \0\n"),
    "NUL, escaped": yaml(r"run.: .*U\+0000|a second time|U\+0000", 'device: "a\\0b"\n'),
    "no UTF-8": yaml("codec can't decode", b"seed: \xff\xfe\n"),
    "half a character": yaml(r"U\+D800", 'device: "\\ud800"\n'),
    "two documents": yaml("not valid YAML: .*single document", "---\nrun: x\n"),
    "a list": Hostile("expected a mapping of settings, got list", "- run: x\n"),
    "nothing": Hostile("expected a mapping of settings, got NoneType", "\ufeff# nothing\n"),
    "a byte order mark within": yaml(r"U\+FEFF|not valid YAML", "train: {a\ufeff: 1}\n"),
    "a tab for an indent": yaml("not valid YAML", "train:\n\tseed: 1\n"),
}

TERMINAL = {
    "a name that clears the screen": named("\x1b[2Jharmless"),
    "a name that sets the title": named("\x1b]0;done\x07"),
    "a name in one byte": named("\x9b2J"),
    "a name that overwrites its line": named("harm\rless"),
    "a name that is read backwards": named("\u202eharmless"),
    "a name in isolates": named("harm\u2066less\u2069"),
    "a name with nothing in it": named("harm\u200bless"),
    "a name of invisible letters": named("harm\U000e0041less"),
    "a key that clears the screen": changed(r"a key of train: .*U\+001B", train={"\x1b[2J": 1}),
    "a key that is read backwards": changed(r"a key of lora: .*U\+202E", lora={"\u202er": 1}),
    "a template that rings": changed(r"model.chat_template: .*0007", model={"chat_template": "\a"}),
    "a source that clears": changed(r"data.source: .*U\+001B", data={"source": "\x1b[2J.csv"}),
    "a preference that clears": changed(r"U\+001B", preferences={"\x1b[2J": [1, 0], "b": [0, 1]}),
}

SECRET = {
    "a token by its key": secret(train={"hub_token": PASSWORD}),
    "a token by its key, upper case": secret(train={"HUB_TOKEN": PASSWORD}),
    "a token by its key, in one word": secret(train={"hubToken": PASSWORD}),
    "a token by its key, hyphens": secret(train={"hub-token": PASSWORD}),
    "a token by its key, percent": secret(train={"hub%5Ftoken": PASSWORD}),
    "a token by its key, full width": secret(train={"\uff54\uff4f\uff4b\uff45\uff4e": PASSWORD}),
    "a number by its key": secret(train={"password": 20241105}),
    "a list by its key": secret(lora={"api_keys": [PASSWORD]}),
    "a section by its key": secret(lora={"credentials": {"user": "me", "word": PASSWORD}}),
    "passwd": secret(train={"db_passwd": PASSWORD}),
    "apikey": secret(train={"apikey": PASSWORD}),
    "an access key": secret(train={"access_key": PASSWORD}),
    "a key of the whole": secret(secret=PASSWORD),
    "a text of preferences": secret(preferences={"token": PASSWORD}),
    "a value of the hub": secret(train={"run_name": HF}),
    "a value of the hub, upper case": secret(train={"run_name": HF.upper()}),
    "a value within a text": secret(train={"run_name": f"with {OPENAI}, please"}),
    "a value in a list": secret(lora={"target_modules": ["q_proj", GITHUB]}),
    "a value deep inside": secret(lora={"a": [{"b": [{"c": AWS}]}]}),
    "a value of a key": secret(lora={HF: 1}),
    "a value as the run": secret(run=f"runs/{HF}"),
    "a value as a name": secret(objectives=[ONE, {"name": HF, "scorer": "x"}]),
    "a value as a template": secret(
        objectives=[ONE, {"name": "two", "scorer": "x", "template": JWT}]
    ),
    "a value in percents": secret(train={"run_name": HF.replace("_", "%5F")}),
    "a value in percents, twice": secret(train={"run_name": HF.replace("_", "%255F")}),
    "a value, full width": secret(train={"run_name": HF.replace("hf", "\uff48\uff46")}),
    "a private key": secret(train={"run_name": PEM}),
    "a bearer": secret(train={"run_name": f"Authorization: Bearer {PASSWORD * 3}"}),
    "a URL with a password": secret(data={"source": f"s3://me:{PASSWORD}@bucket/rows.csv"}),
    "a URL with a slash in it": secret(data={"source": f"s3://me:{PASSWORD}/x@bucket/rows.csv"}),
    "a URL with a user": secret(data={"source": f"https://{PASSWORD}@host/rows.csv"}),
    "a URL that is signed": secret(data={"source": SIGNED}),
    "a URL that is signed, otherwise": secret(
        data={"source": f"https://h/x.csv?sv=1&sig={PASSWORD}"}
    ),
    "a URL in percents": secret(data={"source": f"https%3A%2F%2Fme%3A{PASSWORD}%40host%2Fx.csv"}),
    "a URL with a fragment": secret(data={"source": f"https://h/x#access_token={PASSWORD}"}),
    "a secret beside an error": changed(ENVIRONMENT, stages=7, train={"hub_token": PASSWORD}),
    "a secret in no YAML": yaml("not valid YAML: .* line 4", f"password: {PASSWORD}: x\n"),
    "a secret given twice": yaml("given a second time", f"lora: {{{HF}: 1, {HF}: 2}}\n"),
    "a secret as a tag": yaml("not valid YAML", f"seed: !{HF} x\n"),
    "a secret as a number": yaml("line 4: ", f"seed: !!int {HF}\n"),
}

TEMPLATES = {
    "a key of the user's": template("below the configuration's folder", "~/.ssh/id_ed25519"),
    "an absolute path": template("below the configuration's folder", "/etc/passwd"),
    "the folder above": template("below the configuration's folder", "../outside/notes.txt"),
    "the folder above, later": template("below the", "sub/../../outside/notes.txt"),
    "a link to a file outside": template("a link leads out", "link.jinja"),
    "a file below a linked folder": template("a link leads out", "linked/notes.txt"),
    "a link in a circle": template("neither the text", "circle.jinja"),
    "another ending": template("expected a name that ends in", "id_ed25519"),
    "a hidden ending": template("expected a name that ends in", "notes.txt.key"),
    "a link to another ending": template("expected a name that ends in", "key.jinja"),
    "a folder": template("not a file|Is a directory", "folder.jinja"),
    "a pipe": template("not a file|cannot be read", "pipe.jinja"),
    "more than 64 kB": template("more than 64 kB", "large.jinja"),
    "no text": template("no text in UTF-8", "bytes.jinja"),
    "a file that is not there": template("neither the text", "none.jinja"),
    "more than 64 kB, written out": template("more than 64 kB", "{{ x }}" * 10_000),
    "a name with NUL": template(r"U\+0000", "notes.txt\0.jinja"),
}

ALL = {
    f"{kind}: {name}": hostile
    for kind, table in {
        "YAML": YAML,
        "terminal": TERMINAL,
        "secret": SECRET,
        "template": TEMPLATES,
    }.items()
    for name, hostile in table.items()
}


def lay_out(folder: Path) -> Path:
    """Make the files that the table names; returns the folder that configurations lie in."""
    home, outside = folder / "home", folder / "outside"
    for each in (home / "sub", outside):
        each.mkdir(parents=True)
    (outside / "notes.txt").write_text(MARK)
    (home / "id_ed25519").write_text(MARK)
    (home / "notes.txt.key").write_text(MARK)
    (home / "link.jinja").symlink_to(outside / "notes.txt")
    (home / "linked").symlink_to(outside)
    (home / "circle.jinja").symlink_to("circle.jinja")
    (home / "key.jinja").symlink_to("id_ed25519")
    (home / "folder.jinja").mkdir()
    (home / "large.jinja").write_text("x" * 65_537)
    (home / "bytes.jinja").write_bytes(b"\xff\xfe{{ x }}")
    _pipe(home / "pipe.jinja")
    return home


def _pipe(path: Path) -> None:
    import os

    make: Callable[[Path], None] | None = getattr(os, "mkfifo", None)
    if make is None:  # not on Windows: a folder is as little a file
        path.mkdir()
    else:
        make(path)
