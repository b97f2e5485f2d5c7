"""PARETOHQD_OFFLINE=1: nothing leaves this machine, and whatever tries is an error that says so.

`obey` is called when the package is imported, which every command, and every process that Ray or
accelerate starts, does. Three things then hold until the process ends:

- Hugging Face's libraries are told to be offline: they look into their caches and nowhere else.
- Python's sockets reach this machine alone. An audit hook sees every call that connects, sends or
  looks up a name, whichever library makes it, and cannot be taken off again.
- Libraries that open sockets of their own (Polars, in Rust) are sent to a proxy that is not there,
  if they read the usual variables, as Polars does. Paths on other machines that are given to us are
  refused before that, by `refuse`.

What this cannot stop: a program that is started and heeds none of these variables, a library of
native code that heeds no proxy (Ray's and torch's own connections are refused by us, see
`distributed.cluster` and `runs.context`), and the look-up of a name that is given to a bare
`socket.connect`, which Python makes before it tells anybody.
"""

from __future__ import annotations

import os
import socket
import sys
from typing import Any

VARIABLE = "PARETOHQD_OFFLINE"

SILENT = {
    "HF_HUB_OFFLINE": "1",
    "TRANSFORMERS_OFFLINE": "1",
    "HF_DATASETS_OFFLINE": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "RAY_USAGE_STATS_ENABLED": "0",
}
"""What libraries read when they are loaded."""

NOBODY = ("127.0.0.1", 9)
"""Where the proxy would be. The port belongs to a service that throws all away, where it runs."""

HERE = "localhost,127.0.0.1,::1"

LOOKED_UP = ("getaddrinfo", "gethostbyname", "gethostbyaddr")
REACHED = ("connect", "sendto", "sendmsg")

_obeyed = False


class OfflineError(ConnectionError):
    """A connection that PARETOHQD_OFFLINE forbids; libraries take it for a missing network."""


def is_offline() -> bool:
    """Whether the environment says so."""
    return os.environ.get(VARIABLE, "").strip().lower() not in ("", "0", "false", "no")


def refuse(what: str) -> None:
    """Raise a ValueError for what lies on another machine, if nothing may leave this one."""
    if is_offline():
        raise ValueError(f"{what}: on another machine, which is not reached: {VARIABLE} is set")


def obey() -> None:
    """Keep this process from reaching other machines, if the environment says so."""
    global _obeyed
    if _obeyed or not is_offline():
        return
    _obeyed = True
    os.environ.update(SILENT)
    proxy = "http://{}:{}".format(*NOBODY)
    for name in ("http_proxy", "https_proxy", "all_proxy"):
        os.environ[name] = os.environ[name.upper()] = proxy
    os.environ["no_proxy"] = os.environ["NO_PROXY"] = HERE
    _tell_loaded()
    sys.addaudithook(_hook)


def _tell_loaded() -> None:
    """Tell libraries that have read the variables before."""
    for module, names in {
        "huggingface_hub.constants": ["HF_HUB_OFFLINE"],
        "datasets.config": ["HF_HUB_OFFLINE", "HF_DATASETS_OFFLINE"],
    }.items():
        for name in names:
            if hasattr(sys.modules.get(module), name):
                setattr(sys.modules[module], name, True)


def _hook(event: str, arguments: tuple[Any, ...]) -> None:
    """Raise an OfflineError when Python is about to reach another machine."""
    if not event.startswith("socket."):
        return
    call = event.removeprefix("socket.")
    if call in REACHED:
        own, address = arguments
        if own.family in (socket.AF_INET, socket.AF_INET6):
            # None: where it is connected to, which was looked at.
            if address is not None and (address[:2] == NOBODY or not is_here(address[0])):
                raise _error(address[0] if address[:2] != NOBODY else "another machine")
        elif own.family != getattr(socket, "AF_UNIX", None):
            raise _error(f"an address of kind {own.family!r}")
    elif call in LOOKED_UP and not is_here(arguments[0]):
        raise _error(arguments[0])


def is_here(host: object) -> bool:
    """Whether a host is this machine, by the addresses that never leave it or by its own name.

    Example:
        >>> [is_here(host) for host in ("localhost", "127.0.0.1", "::1", None)]
        [True, True, True, True]
        >>> [is_here(host) for host in ("example.org", "8.8.8.8", "10.0.0.1", "<broadcast>")]
        [False, False, False, False]
    """
    from ipaddress import IPv6Address, ip_address

    text = host.decode(errors="replace") if isinstance(host, bytes) else host
    if text is None or text == "":
        return True
    if not isinstance(text, str):
        return False
    try:
        address = ip_address(text)
    except ValueError:
        own = socket.gethostname().lower()
        return text.lower().rstrip(".") in ("localhost", own)
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    address = mapped or address
    return address.is_loopback or address.is_unspecified


def _error(host: object) -> OfflineError:
    text = host.decode(errors="replace") if isinstance(host, bytes) else host
    return OfflineError(f"no connection to {text}: {VARIABLE} is set")
