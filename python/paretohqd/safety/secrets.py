"""What a secret looks like, and texts and settings without any.

Nothing can tell every password from a word. What is looked for are keys that say that they hold
one, the forms that the tokens of well-known services have, private keys, and URLs that carry their
own permission.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from typing import Any
from urllib.parse import unquote

from paretohqd.safety.places import FoundPath, without_own_folders

REDACTED = "<redacted>"
"""Stands in place of a secret."""

_WHOLE = {"apikey", "auth", "authorization", "credential", "credentials", "passphrase", "passwd"}
_ENDS = ("apikey", "passwd", "password", "passwords", "secret", "secrets", "token")
_OF_KEY = {"access", "api", "auth", "private", "secret"}
# fmt: off
_BEFORE_TOKEN = {
    "bos", "cls", "control", "end", "eos", "image", "mask", "max", "mean", "min", "num", "pad",
    "padding", "per", "sep", "special", "start", "stop", "unk",
}
_AFTER_TOKEN = {
    "accuracy", "budget", "count", "counts", "embeddings", "id", "ids", "index", "indices",
    "length", "level", "limit", "rate", "ratio", "type", "types", "weight", "weights",
}
# fmt: on
_TOKENS = re.compile(
    r"""(?<![a-z0-9])(?:
      hf_[a-z0-9]{16,} | api_org_[a-z0-9]{16,}
    | sk-(?=[a-z_-]{0,64}[0-9])[a-z0-9_-]{16,}
    | (?:gh[opsur]_|github_pat_|glpat-|npm_|pypi-|r8_|dop_v1_)[a-z0-9_-]{16,}
    | (?:akia|asia)[0-9a-z]{12,}
    | xox[a-z]-[a-z0-9-]{10,} | aiza[a-z0-9_-]{30,} | ya29\.[a-z0-9_-]{20,}
    | eyj[a-z0-9_-]{8,}\.eyj[a-z0-9_-]{8,}\.[a-z0-9_-]*
    | bearer\s{1,4}[a-z0-9._~+/-]{16,}=*
    )""",
    re.IGNORECASE | re.VERBOSE,
)
_PRIVATE_KEY = re.compile(
    r"-----BEGIN [^-]{0,40}PRIVATE KEY.*?(?:-----END [^-]{0,40}-----|\Z)", re.DOTALL | re.IGNORECASE
)
_URL = re.compile(r"(?<![a-z0-9])([a-z][a-z0-9+.-]{0,20}://)([^\s\"'<>]+)", re.IGNORECASE)
_ASSIGNED = re.compile(
    r"(?<![\w-])([\w-]{1,64})(['\"]?\s{0,4}[=:]\s{0,4})(['\"]?)([^\s,;&'\"<>{}\[\]()]+)"
)


def is_secret_name(key: object) -> bool:
    """Whether a key says that it holds a secret.

    Example:
        >>> [is_secret_name(key) for key in ("hub_token", "HF_TOKEN", "apiKey", "db.password")]
        [True, True, True, True]
        >>> [is_secret_name(key) for key in ("max_new_tokens", "pad_token", "api_key_env", "key")]
        [False, False, False, False]
    """
    words = _words(key)
    if words[-1:] == ["env"]:  # the name of a variable that holds it
        return False
    for at, word in enumerate(words):
        before, after = (words[at - 1] if at else ""), (words[at + 1 : at + 2] or [""])[0]
        if word == "token" and (before in _BEFORE_TOKEN or after in _AFTER_TOKEN):
            continue
        if word in _WHOLE or word.endswith(_ENDS):
            return True
        if word in ("key", "keys") and before in _OF_KEY:
            return True
    return False


def secret_in(text: str) -> str | None:
    """What kind of secret a text holds, in words, or None.

    Example:
        >>> secret_in("s3://me:word@bucket/rows.parquet"), secret_in("s3://bucket/rows.parquet")
        ('a URL with a user or a password', None)
    """
    for form in _forms(text):
        if _PRIVATE_KEY.search(form):
            return "a private key"
        if _TOKENS.search(form):
            return "an access token"
        for url in _URL.finditer(form):
            user, _, _, query = _parts(url[2])
            if user:
                return "a URL with a user or a password"
            if any(_permits(pair.partition("=")[0]) for pair in re.split("[&;]", query)):
                return "a URL that is signed"
    return None


def refuse_secrets(value: Any, where: str = "") -> None:
    """Refuse settings that hold a secret, without showing it.

    Args:
        value: Plain values, as YAML has them.
        where: The dotted key under which they stand.

    Raises:
        ValueError: A key that says that it holds a secret, or a text that looks like one. Numbers
            under `preferences` have names for keys, which may be any.
    """
    if isinstance(value, Mapping):
        for key, each in value.items():
            place = _place(where, key)
            given = each is not None and each != "" and not isinstance(each, bool)
            # Names there are the user's own, of numbers.
            weights = where.split(".")[0] == "preferences" and not isinstance(each, str)
            if given and not weights and is_secret_name(key):
                raise _refusal(place, "a secret, by its name")
            if isinstance(key, str) and (kind := secret_in(key)):
                raise _refusal(f"a key of {where}" if where else "a key", kind)
            refuse_secrets(each, place)
    elif isinstance(value, list | tuple):
        for at, each in enumerate(value):
            refuse_secrets(each, f"{where}[{at}]")
    elif isinstance(value, str) and (kind := secret_in(value)):
        raise _refusal(where or "configuration", kind)


def redacted(value: Any) -> Any:
    """Settings, notes or a text as others may see them.

    Args:
        value: Plain values, as JSON has them, of any depth; others are left as they are.

    Returns:
        The same, where secrets are replaced, URLs have lost their user and their query, and files
        are named relative to the configuration's folder, this folder (`.`) or home (`~`).

    Example:
        >>> redacted({"hub_token": "abc", "source": "s3://me:word@bucket/x.csv?sig=1", "k": 3})
        {'hub_token': '<redacted>', 'source': 's3://bucket/x.csv', 'k': 3}
        >>> redacted("paretohqd run a.yaml --set train.hub_token=abc")
        'paretohqd run a.yaml --set train.hub_token=<redacted>'
    """
    return _redacted(value, named=False)


def without_secrets(text: str) -> str:
    """A text for whoever runs the program: secrets replaced, its own folders named as they are.

    Example:
        >>> without_secrets("/data/x.csv and s3://me:word@bucket/x.csv: cannot be read")
        '/data/x.csv and s3://bucket/x.csv: cannot be read'
    """
    plain = _plainly(text)
    # What is left is a secret in another writing, such as percent signs.
    return REDACTED if secret_in(plain) else plain


def _redacted(value: Any, *, named: bool) -> Any:
    if isinstance(value, Mapping):
        return {
            _text(key) if isinstance(key, str) else key: _redacted(
                each, named=named or is_secret_name(key)
            )
            for key, each in value.items()
        }
    if isinstance(value, list | tuple):
        return [_redacted(each, named=named) for each in value]
    if isinstance(value, FoundPath):
        value = value.shown
    if not isinstance(value, str):
        return value
    return REDACTED if named and value else _text(value)


def _text(text: str) -> str:
    return without_own_folders(without_secrets(text))


def _plainly(text: str) -> str:
    text = _PRIVATE_KEY.sub(REDACTED, text)
    text = _URL.sub(_bare, text)
    text = _TOKENS.sub(REDACTED, text)
    return _ASSIGNED.sub(
        lambda found: (
            f"{found[1]}{found[2]}{found[3]}{REDACTED}" if is_secret_name(found[1]) else found[0]
        ),
        text,
    )


def _bare(url: re.Match[str]) -> str:
    """A URL without user, query and fragment; what ends the sentence stays."""
    rest = url[2].rstrip(":,.;)")
    user, host, path, query = _parts(rest)
    return url[1] + host + path + url[2][len(rest) :] if user or query else url[0]


def _parts(rest: str) -> tuple[str, str, str, str]:
    """User, host, path and query of what follows `://`."""
    place, mark, query = rest.partition("?")
    if "=" not in query:  # a pattern's question mark
        place, mark, query = rest, "", ""
    if not mark and "#" in place and "=" in place.partition("#")[2]:
        place, _, query = place.partition("#")
    first, slash, path = place.partition("/")
    user, at, host = first.rpartition("@")
    if not at and "@" in path and ":" in first and not first.rpartition(":")[2].isdecimal():
        # A password with a slash, as those of object stores have.
        user, _, after = place.rpartition("@")
        host, slash, path = after.partition("/")
    return user, host, slash + path, query


def _permits(name: str) -> bool:
    """Whether a URL's parameter is a permission."""
    return is_secret_name(name) or bool({"signature", "sig", "key"} & set(_words(name)))


def _words(key: object) -> list[str]:
    """The words of a key, however it is written."""
    text = unicodedata.normalize("NFKC", unquote(str(key)))
    text = "".join(c for c in text if unicodedata.category(c) != "Cf")
    text = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", " ", text)
    return re.findall(r"[^\W_]+", text.lower())


def _forms(text: str) -> list[str]:
    """A text as it is written, and as it is read where that differs."""
    forms = [text]
    plain = "".join(c for c in unicodedata.normalize("NFKC", text) if _is_seen(c))
    for _ in range(3):
        if plain not in forms:
            forms.append(plain)
        plain = unquote(plain)
    return forms


def _is_seen(character: str) -> bool:
    return character.isascii() or unicodedata.category(character) != "Cf"


def _place(where: str, key: object) -> str:
    shown = REDACTED if isinstance(key, str) and secret_in(key) else str(key)
    return f"{where}.{shown}" if where else shown


def _refusal(where: str, kind: str) -> ValueError:
    return ValueError(
        f"{where} holds {kind}, and settings are kept and shown: put it into the environment, "
        "where libraries look for it (HF_TOKEN, AWS_SECRET_ACCESS_KEY)"
    )
