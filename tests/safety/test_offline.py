"""PARETOHQD_OFFLINE=1: every call that would leave the machine is an error that says so.

The guard stays until a process ends, so each attempt is made in one of its own, which no network is
needed for: whatever gets through would reach a listener of this test, or fail otherwise.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from helpers.offline_python import in_python
from paretohqd.frames import offline
from paretohqd.frames.sources import Source

SAYS = "PARETOHQD_OFFLINE is set"


CALLS = {
    "connect": "socket.socket().connect(('10.0.0.1', 80))",
    "connect_ex": "socket.socket().connect_ex(('10.0.0.1', 80))",
    "connect, version 6": "socket.socket(socket.AF_INET6).connect(('2001:db8::1', 80))",
    "create_connection": "socket.create_connection(('example.org', 80))",
    "sendto": "socket.socket(type=socket.SOCK_DGRAM).sendto(b'x', ('10.0.0.1', 53))",
    "sendmsg": "socket.socket(type=socket.SOCK_DGRAM).sendmsg([b'x'], [], 0, ('10.0.0.1', 53))",
    "broadcast": "socket.socket(type=socket.SOCK_DGRAM).sendto(b'x', ('<broadcast>', 53))",
    "the network's own class": "__import__('_socket').socket().connect(('10.0.0.1', 80))",
    "mapped": "socket.socket(socket.AF_INET6).connect(('::ffff:10.0.0.1', 80))",
    "getaddrinfo": "socket.getaddrinfo('example.org', 80)",
    "getaddrinfo, bytes": "socket.getaddrinfo(b'example.org', 80)",
    "gethostbyname": "socket.gethostbyname('example.org')",
    "gethostbyname_ex": "socket.gethostbyname_ex('example.org')",
    "gethostbyaddr": "socket.gethostbyaddr('10.0.0.1')",
    "a name that begins like ours": "socket.getaddrinfo('localhost.example.org', 80)",
    "urllib": "urllib.request.urlopen('https://example.org', timeout=5)",
    "urllib without proxies": (
        "urllib.request.build_opener(urllib.request.ProxyHandler({})).open('http://example.org')"
    ),
    "http.client": "http.client.HTTPSConnection('example.org').request('GET', '/')",
    "ftplib": "ftplib.FTP('example.org')",
    "smtplib": "smtplib.SMTP('example.org')",
    "asyncio": "asyncio.run(asyncio.open_connection('10.0.0.1', 80))",
    "in a thread": (
        "concurrent.futures.ThreadPoolExecutor().submit(socket.create_connection, "
        "('10.0.0.1', 80)).result()"
    ),
    "a path of ours": "pq.front('https://example.org/rows.parquet', ['a', 'b'])",
    "a bucket": "pq.select('s3://bucket/*.parquet', ['a', 'b'])",
    "a set of the hub": "pq.layers('hf://datasets/someone/rows/*.parquet', ['a', 'b'], upto=1)",
    "a bucket among files": "pq.front(['gs://bucket/a.parquet'], ['a', 'b'])",
}

ATTEMPTS = """
import json, sys
import asyncio, concurrent.futures, ftplib, http.client, smtplib, socket, urllib.request
import paretohqd as pq
said = {}
for name, code in json.loads(sys.stdin.read()).items():
    try:
        said[name] = f"went through: {eval(code)!r}"
    except BaseException as error:
        said[name] = f"{type(error).__name__}: {error}"
print(json.dumps(said))
"""


@pytest.fixture(scope="module")
def said() -> dict[str, str]:
    """What each call ends with."""
    done = subprocess.run(
        [sys.executable, "-c", ATTEMPTS],
        input=json.dumps(CALLS),
        capture_output=True,
        text=True,
        timeout=300,
        env={**os.environ, "PARETOHQD_OFFLINE": "1"},
    )
    assert done.returncode == 0, done.stderr
    answers: dict[str, str] = json.loads(done.stdout)
    return answers


@pytest.mark.parametrize("name", CALLS)
def test_no_call_leaves_the_machine(name: str, said: dict[str, str]) -> None:
    assert SAYS in said[name]


def test_this_machine_is_still_reached() -> None:
    done = in_python(
        """
import os, socket, tempfile, threading
import paretohqd
server = socket.create_server(("127.0.0.1", 0))
for host in ("127.0.0.1", "localhost"):
    socket.create_connection((host, server.getsockname()[1])).close()
left, right = socket.socketpair()
left.send(b"x"); assert right.recv(1) == b"x"
with tempfile.TemporaryDirectory() as folder:
    unix = socket.socket(socket.AF_UNIX); unix.bind(folder + "/s"); unix.listen()
    socket.socket(socket.AF_UNIX).connect(folder + "/s")
datagrams = socket.socket(type=socket.SOCK_DGRAM); datagrams.bind(("127.0.0.1", 0))
socket.socket(type=socket.SOCK_DGRAM).sendto(b"x", datagrams.getsockname())
socket.getaddrinfo(socket.gethostname(), 80)
print("all")
"""
    )
    assert done.stdout == "all\n", done.stderr


@pytest.mark.parametrize("value", ["", "0", "false", "No"])
def test_without_the_variable_nothing_is_done(value: str) -> None:
    done = in_python(
        """
import os, sys
hooks = []
sys.addaudithook(lambda event, arguments: hooks.append(event) if "addaudithook" in event else None)
import paretohqd
from paretohqd.frames.offline import SILENT
assert not {*SILENT, "https_proxy", "NO_PROXY"} & {*os.environ}, os.environ
assert hooks == []
print("nothing")
""",
        PARETOHQD_OFFLINE=value,
    )
    assert done.stdout == "nothing\n", done.stderr


def test_libraries_are_told_before_and_after_they_are_loaded() -> None:
    code = """
import os
{first}
import huggingface_hub.constants, datasets.config
{last}
print(huggingface_hub.constants.HF_HUB_OFFLINE, datasets.config.HF_HUB_OFFLINE,
      huggingface_hub.is_offline_mode(), os.environ["TRANSFORMERS_OFFLINE"],
      os.environ["HF_DATASETS_OFFLINE"])
"""
    for given in (
        {"first": "import paretohqd", "last": ""},
        {"first": "", "last": "import paretohqd"},
    ):
        done = in_python(code.format(**given))
        assert done.stdout == "True True True 1 1\n", done.stderr


HUB = {
    "a model": "base.load_tokenizer(Model(name='someone/model-that-is-in-no-cache'))",
    "a reward": "make_reward(name='x', model='someone/model-that-is-in-no-cache').load()",
    "rows": "data.load_source(sections.Data(source='hub:someone/rows'), 'hub:someone/rows')",
}


def test_the_hub_is_not_asked() -> None:
    code = """
import json, sys
from paretohqd.models import base
from paretohqd.models.spec import Model
from paretohqd.rewards.scoring import make_reward
from paretohqd.runs import config, data, sections
for code in json.loads(sys.argv[1]):
    try:
        print("went through", eval(code))
    except Exception as error:
        print(type(error).__name__, " ".join(str(error).split()))
"""
    done = subprocess.run(
        [sys.executable, "-c", code, json.dumps(list(HUB.values()))],
        capture_output=True,
        text=True,
        timeout=300,
        env={**os.environ, "PARETOHQD_OFFLINE": "1"},
    )
    lines = done.stdout.splitlines()
    assert len(lines) == len(HUB), done.stderr
    for name, line in zip(HUB, lines, strict=True):
        assert any(word in line.lower() for word in ("offline", "cache")), f"{name}: {line}"
        assert "went through" not in line


def test_a_command_says_so(tmp_path: Path) -> None:
    words = ["select", "s3://bucket/rows.parquet", "--objectives", "a,b", "-o", "out.parquet"]
    done = subprocess.run(
        [sys.executable, "-m", "paretohqd", *words],
        capture_output=True,
        text=True,
        timeout=300,
        cwd=tmp_path,
        env={**os.environ, "PARETOHQD_OFFLINE": "1"},
    )
    assert done.returncode == 1
    assert done.stderr.startswith("paretohqd: error: s3://bucket/rows.parquet: on another machine")
    assert SAYS in done.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.fixture
def proxy() -> Iterator[tuple[int, list[bytes]]]:
    """A port of this machine, and what is asked there first by each caller."""
    asked: list[bytes] = []
    with socket.create_server(("127.0.0.1", 0)) as server:

        def listen() -> None:
            while True:
                try:
                    caller, _ = server.accept()
                except OSError:
                    return
                with caller:
                    asked.append(caller.recv(200))

        threading.Thread(target=listen, daemon=True).start()
        yield server.getsockname()[1], asked


@pytest.mark.parametrize(
    "address", ["https://example.org/a.parquet", "hf://datasets/a/b/c.parquet"]
)
def test_polars_goes_to_the_proxy_that_is_not_there(
    address: str, proxy: tuple[int, list[bytes]]
) -> None:
    """In place of the port where nobody listens, one that does: nothing else is asked for."""
    port, asked = proxy
    done = in_python(
        f"""
import os
import polars as pl
from paretohqd.frames import offline
offline.NOBODY = ("127.0.0.1", {port})
os.environ["PARETOHQD_OFFLINE"] = "1"
offline.obey()
try:
    pl.scan_parquet({address!r}).collect()
except Exception as error:
    print("failed")
""",
        PARETOHQD_OFFLINE="",
    )
    assert done.stdout == "failed\n", done.stderr
    assert asked
    assert all(request.startswith(b"CONNECT ") for request in asked)


def test_a_remote_path_is_left_to_polars_otherwise(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PARETOHQD_OFFLINE", raising=False)
    offline.refuse("s3://bucket/rows.parquet")
    monkeypatch.setenv("PARETOHQD_OFFLINE", "1")
    with pytest.raises(ValueError, match=rf"s3://bucket/rows\.parquet: on another.*{SAYS}"):
        Source.of("s3://bucket/rows.parquet")
