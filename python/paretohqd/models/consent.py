"""What whoever starts a run allows besides: on the command line or in Python, never in a file.

A configuration may come from anyone. What would send data out, or run code that lies beside a
model's weights or that a scorer names, therefore takes a word of the person who starts the run.
Nothing heavy is imported here.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field

from paretohqd.models.names import absolute, check_hub_name, is_local
from paretohqd.models.spec import stays_here

COMMIT = re.compile(r"[0-9a-f]{40}")
"""A full commit hash: what no one can move."""

_HOST = re.compile(
    r"[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?|[0-9A-Fa-f:]+:[0-9A-Fa-f:.]*", re.ASCII
)
"""A name or an address."""

LISTED = {"allow_code": "scorers", "send_to": "hosts"}

ALLOWS_SETTINGS = "--unsafe-settings on the command line lets it pass"
ALLOWS_CODE = "--trust-remote-code MODEL@COMMIT on the command line (of a folder: its path) lets it"


@dataclass(frozen=True, kw_only=True)
class Consent:
    """What is allowed besides."""

    unsafe_settings: bool = False
    """Keys of trainers that nobody has judged, or that send data out, pass."""
    remote_code: dict[str, str | None] = field(default_factory=dict)
    """Models whose own code may run: of a hub name the commit, of a folder None."""
    scorers: tuple[str, ...] = ()
    """Scorers that are code and may run, as a configuration writes them."""
    send_to: frozenset[str] = frozenset()
    """Hosts of servers that prompts and answers may be sent to."""
    settings: list[str] = field(default_factory=list, init=False, compare=False)
    """The keys that passed so far."""

    def lets_pass(self, key: str) -> bool:
        """Whether a setting that is not judged safe passes; it is noted if it does."""
        if self.unsafe_settings and key not in self.settings:
            self.settings.append(key)
        return self.unsafe_settings

    def names(self, model: str) -> bool:
        """Whether it is a model whose own code may run, at some commit."""
        return _written_out(model) in self.remote_code

    def trusts(self, name: str, commit: str | None) -> bool:
        """Whether the code of a model may run.

        Args:
            name: A name on the hub, or a path.
            commit: What is loaded of a hub name.

        Raises:
            ValueError: Another commit of this model is trusted.
        """
        if not self.names(name):
            return False
        trusted = self.remote_code[_written_out(name)]
        if trusted != commit:
            raise ValueError(
                f"model {name}: its code is trusted at {trusted}, and {commit} would be loaded: "
                f"set its revision to {trusted}"
            )
        return True

    def lets_run(self, scorer: str) -> bool:
        """Whether a scorer that is code may run."""
        return scorer in self.scorers

    def check_scorers(self, scorers: Iterable[str]) -> None:
        """Refuse leave for a scorer that none of these is: it is misspelt, or another is meant.

        Raises:
            ValueError: Such a scorer.
        """
        known = set(scorers)
        for scorer in self.scorers:
            if scorer not in known:
                raise ValueError(
                    f"--allow-code {scorer}: no scorer of this run is written so: it has "
                    f"{', '.join(sorted(known)) or 'none that is code'}"
                )

    def check_models(self, names: Iterable[str]) -> None:
        """Refuse trust in a model that none of these is: it is misspelt, or another is meant.

        Raises:
            ValueError: Such a name.
        """
        known = set(map(_written_out, names))
        for name in self.remote_code:
            if name not in known:
                raise ValueError(f"--trust-remote-code {name}: no model of this run has that name")

    def check_sending(self, host: str, what: str) -> None:
        """Refuse to send anything to a server on another machine that is not allowed.

        Args:
            host: The server's host, without the port.
            what: Who would send what, for the message.

        Raises:
            ValueError: It is not among the hosts that may be sent to.
        """
        if not stays_here(host) and host.lower() not in self.send_to:
            raise ValueError(
                f"{what}, and data leave this machine only if whoever starts the run says so: "
                f"--send-to {host} on the command line (send_to=[{host!r}] in Python) lets it"
            )

    def check_hosts(self, hosts: Iterable[str]) -> None:
        """Refuse a host that no server of the run has: it is misspelt, or another is meant.

        Raises:
            ValueError: Such a host.
        """
        known = {host.lower() for host in hosts}
        for host in sorted(self.send_to):
            if host not in known:
                raise ValueError(f"--send-to {host}: no server of this run has that host")


_given: ContextVar[Consent] = ContextVar("consent")


def current() -> Consent:
    """What is allowed now: nothing, outside of `consenting`."""
    return _given.get(Consent())


@contextmanager
def consenting(
    *,
    unsafe_settings: bool = False,
    trust_remote_code: Iterable[str] = (),
    allow_code: Iterable[str] = (),
    send_to: Iterable[str] = (),
) -> Iterator[Consent]:
    """Allow more while the block runs.

    Args:
        unsafe_settings: Let keys pass that nobody has judged, or that send data out.
        trust_remote_code: Models whose own code may run: "NAME@COMMIT" of the hub, with the whole
            commit, or the path of a folder.
        allow_code: Scorers that are code and may run, as the configuration writes them.
        send_to: Hosts of servers on other machines that prompts and answers may be sent to.

    Raises:
        ValueError: No name of a model, or one of the hub without a whole commit; no host; a text in
            place of a list.

    Example:
        >>> with consenting(unsafe_settings=True) as allowed:
        ...     passed = allowed.lets_pass("train.push_to_hub")
        >>> passed, allowed.settings, current().unsafe_settings
        (True, ['train.push_to_hub'], False)
    """
    trusted = dict(map(_trusted, trust_remote_code))
    for name, given in (("allow_code", allow_code), ("send_to", send_to)):
        if isinstance(given, str):
            raise ValueError(f"{name}: expected a list of {LISTED[name]}, got {given!r}")
    token = _given.set(
        Consent(
            unsafe_settings=unsafe_settings,
            remote_code=trusted,
            scorers=tuple(allow_code),
            send_to=frozenset(map(_host, send_to)),
        )
    )
    try:
        yield current()
    finally:
        _given.reset(token)


def _written_out(name: str) -> str:
    return absolute(name) if is_local(name) else name


def _host(text: str) -> str:
    if not _HOST.fullmatch(text):
        raise ValueError(
            f"--send-to {text}: expected a host, as in https://HOST/v1, without port and path"
        )
    return text.lower()


def _trusted(text: str) -> tuple[str, str | None]:
    where = f"--trust-remote-code {text}"
    if is_local(text):
        return absolute(text), None
    name, _, commit = text.rpartition("@")
    if not COMMIT.fullmatch(commit):
        raise ValueError(
            f"{where}: expected MODEL@COMMIT with all 40 digits of the commit, for a branch may "
            "move (a folder: its path, which begins with ./, ../, ~/ or /)"
        )
    check_hub_name(name, where)
    return name, commit
