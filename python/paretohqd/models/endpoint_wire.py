"""The wire to a server with OpenAI's interface: connecting, reading, and what failures mean.

What a server says is not believed: it is read as JSON of the form that is documented, shown in
messages without secrets, and never followed to another place.
"""

from __future__ import annotations

import email.utils
import json
import math
import os
import random
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from paretohqd.models.embedded import embedded_package
from paretohqd.models.replies import Reply
from paretohqd.models.spec import Endpoint, stays_here
from paretohqd.safety.secrets import REDACTED, without_secrets

INSTALL = "pip install 'paretohqd[judge]'"

NO_KEY = "none"
"""Sent in place of a key where there is none: the package wants something."""

FIRST_WAIT, LONGEST_WAIT, FACTOR = 0.5, 30.0, 2.0
"""Seconds before the first request is sent again, at most, and how they grow."""

LONGEST_ASKED = 600.0
"""Seconds that a server may ask us to wait."""

SHOWN = 300
"""Characters of a server's message that are shown."""

LONGEST_REPLY = 1_000_000
"""Characters of a reply's text; a longer one is cut there."""

PASSING = (408, 409, 425, 429)
"""What may go well later, besides what is the server's own fault (500 and above)."""

REFUSED = (400, 413, 422)
"""What a server says to a request that it does not take: too long, filtered, or malformed."""


class PassingError(ValueError):
    """A failure after which asking again may help."""

    def __init__(self, text: str, after: float | None = None) -> None:
        """Take the message, and the seconds after which the server wants to be asked again."""
        super().__init__(text)
        self.after = after


class RefusedError(ValueError):
    """A request that a server does not take as it is; others it may answer."""


def connect(spec: Endpoint) -> Any:
    """OpenAI's client for a server: with the settings' key, and nothing from other variables.

    Raises:
        ValueError: The variable of the key is not set.
        MissingPackageError: The package is not installed.
    """
    embedded_package("openai", f"the client of server {spec.place}", INSTALL)
    import openai

    http = openai.DefaultHttpxClient(
        follow_redirects=False,
        timeout=spec.timeout,
        # A proxy of the environment would take what goes to this machine to another one.
        trust_env=not stays_here(spec.host),
    )
    client = openai.OpenAI(
        api_key=_key(spec) or NO_KEY,
        base_url=spec.url,
        max_retries=0,
        timeout=spec.timeout,
        http_client=http,
        organization="",
        project="",
    )
    # What variables say was meant for another place: these two, and OPENAI_CUSTOM_HEADERS.
    client.organization = client.project = None
    client._custom_headers = {}
    return client


def parse(text: str, spec: Endpoint) -> Reply:
    """A server's answer to a request for a chat completion.

    One without text is an answer too: the model declined, a filter took the text out, or the limit
    came while it thought. Asked again it would say the same.

    Raises:
        PassingError: It is none: no JSON, no choice, or something else in place of a text.
    """
    try:
        answer = json.loads(text)
        choice = answer["choices"][0]
        content, finish = choice["message"].get("content"), choice.get("finish_reason")
    except (ValueError, TypeError, KeyError, IndexError, AttributeError, RecursionError):
        start = _shown(text, spec) or "nothing"
        raise PassingError(f"server {spec.place}: no chat completion, but {start}") from None
    content = "" if content is None else content
    if not isinstance(content, str):
        raise PassingError(f"server {spec.place}: no text, but {_shown(repr(content), spec)}")
    if len(content) > LONGEST_REPLY:
        content, finish = content[:LONGEST_REPLY], "length"
    usage, model = answer.get("usage"), answer.get("model")
    usage = usage if isinstance(usage, dict) else {}
    return Reply(
        # A half of a character, which JSON can hold and no file can.
        text=content.encode(errors="replace").decode(),
        finish=finish if isinstance(finish, str) else None,
        read=_count(usage.get("prompt_tokens")),
        written=_count(usage.get("completion_tokens")),
        model=model if isinstance(model, str) else None,
    )


def served_names(client: Any, spec: Endpoint) -> list[str] | None:
    """The models that a server lists; None where it lists none.

    Raises:
        ValueError: It cannot be reached, or refuses the key.
    """
    import openai

    try:
        raw = client.models.with_raw_response.list()
        return [str(model["id"]) for model in json.loads(raw.text)["data"]]
    except (ValueError, TypeError, KeyError, RecursionError):
        return None
    except openai.APIStatusError as error:
        if error.status_code in (401, 403):
            raise refusal(error, spec) from error
        return None
    except openai.OpenAIError as error:
        raise refusal(error, spec) from error


def serves(client: Any, spec: Endpoint) -> bool:
    """Whether the model is there, asked for one token: some servers have more than they list."""
    import openai

    body: dict[str, Any] = {"messages": [{"role": "user", "content": "?"}], "max_tokens": 1}
    try:
        client.chat.completions.with_raw_response.create(model=spec.model, **body)
    except openai.NotFoundError:
        return False
    except openai.OpenAIError:
        pass  # what else there is to say is said when there is something to ask
    return True


def post(client: Any, path: str, body: Mapping[str, Any]) -> str:
    """Send JSON to a route that is none of OpenAI's; what is said to it.

    Raises:
        openai.OpenAIError: It failed.
    """
    said = client.post(path, body=dict(body), cast_to=str)
    return str(said)


def next_form(sent: Mapping[str, Any], error: Exception, optional: Sequence[str]) -> str | None:
    """What may be changed of a request that was refused, so that a server takes it."""
    if getattr(error, "status_code", None) not in (400, 422):
        return None
    if "max_tokens" in sent and "max_completion_tokens" in str(error):
        return "max_tokens"
    return next((name for name in optional if name in sent), None)


def changed(sent: Mapping[str, Any], change: str) -> dict[str, Any]:
    """A request without a parameter; the limit of tokens gets its newer name.

    Example:
        >>> changed({"seed": 1, "max_tokens": 5}, "max_tokens")
        {'seed': 1, 'max_completion_tokens': 5}
    """
    left = {name: value for name, value in sent.items() if name != change}
    if change == "max_tokens" and change in sent:
        left["max_completion_tokens"] = sent[change]
    return left


def refusal(
    error: Exception,
    spec: Endpoint,
    model: str | None = None,
    names: Callable[[], list[str] | None] = lambda: None,
) -> ValueError:
    """A failed request in words.

    A `PassingError` if asking again may help, a `RefusedError` if it may lie in this request alone.

    Args:
        error: What the package openai raised.
        spec: The server.
        model: The model that was asked for.
        names: Asks for the models that there are.
    """
    import openai

    where = f"server {spec.place}"
    if isinstance(error, openai.APITimeoutError):
        return PassingError(f"{where}: no answer within {spec.timeout:g} s (timeout)")
    if isinstance(error, openai.APIConnectionError):
        cause = error.__cause__ or error
        reason = _shown(str(cause), spec) or type(cause).__name__
        return PassingError(f"{where}: cannot be reached: {reason}")
    if not isinstance(error, openai.APIStatusError):
        return PassingError(f"{where}: {_shown(str(error), spec)}")
    status, said = error.status_code, _shown(error.response.text, spec)
    what = f"{where}: HTTP {status}"
    if status in (401, 403):
        if spec.api_key_env is None:
            return ValueError(
                f"{what}: it wants a key: name its variable with api_key_env ({said})"
            )
        return ValueError(
            f"{what}: the key in the variable {spec.api_key_env} is not accepted ({said})"
        )
    if 300 <= status < 400:
        return ValueError(
            f"{what}: a redirect, and none is followed, for it would carry the key to another "
            "place: write the URL that is meant"
        )
    if status == 404 and model is not None:
        listed = names()
        known = f"; it lists {', '.join(listed[:20])}" if listed else ""
        return ValueError(f"{what}: no model {model!r}, or the URL is wrong ({said}){known}")
    if status == 429 and "insufficient_quota" in error.response.text:
        return ValueError(f"{what}: nothing is left to spend there ({said})")
    if status in PASSING or status >= 500:
        after = _asked_wait(error.response.headers)
        if after is not None and after > LONGEST_ASKED:
            return ValueError(f"{what}: it wants to be asked again in {after:.0f} s ({said})")
        return PassingError(f"{what}: {said}", after)
    return (RefusedError if status in REFUSED else ValueError)(f"{what}: {said}")


def waiting(attempt: int, asked: float | None) -> float:
    """Seconds to wait before a request is sent again: ever longer, and as long as was asked for.

    Drawn from the upper half, so that requests that failed together do not come together again. A
    server that asks for no wait at all would be asked in vain as often as is allowed at once.

    Example:
        >>> waiting(0, 2.0), 0.25 <= waiting(0, 0.0) <= 0.5, 15 <= waiting(99, None) <= 30
        (2.0, True, True)
    """
    longest = min(FIRST_WAIT * FACTOR ** min(attempt, 20), LONGEST_WAIT)
    return max(longest * (0.5 + random.random() / 2), asked or 0.0)


def _asked_wait(headers: Mapping[str, str]) -> float | None:
    """Seconds after which a server wants to be asked again: a number, or a date.

    None where it does not say, or says what is neither.
    """
    given = headers.get("retry-after", "")
    try:
        seconds = float(given)
    except ValueError:
        try:
            parts = email.utils.parsedate_tz(given)
            seconds = email.utils.mktime_tz(parts) - time.time() if parts else math.nan
        except (ValueError, OverflowError):  # in a year that no calendar has
            return None
    return max(seconds, 0.0) if math.isfinite(seconds) else None


def _key(spec: Endpoint) -> str | None:
    if spec.api_key_env is None:
        return None
    key = os.environ.get(spec.api_key_env, "").strip()
    if not key:
        raise ValueError(
            f"server {spec.place}: the environment variable {spec.api_key_env}, which api_key_env "
            "names, is not set"
        )
    return key


def _count(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None


def _shown(text: str, spec: Endpoint) -> str:
    """The beginning of what a server said, without secrets; some repeat the key."""
    key = os.environ.get(spec.api_key_env, "").strip() if spec.api_key_env else ""
    if key:
        text = text.replace(key, REDACTED)
    text = " ".join(without_secrets(text[: 4 * SHOWN]).split())
    return text if len(text) <= SHOWN else f"{text[:SHOWN]}..."
