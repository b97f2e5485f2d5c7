"""The server: the openai client against it, many at once, and what it refuses."""

from __future__ import annotations

import http.client
import json
import logging
import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import openai
import pytest
import uvicorn

import paretohqd as pq
from paretohqd.cli.main import main
from paretohqd.policies import batching
from paretohqd.policies.cells import Parts
from paretohqd.policies.loaded import Run
from paretohqd.policies.server import access_for, application, serve
from paretohqd.policies.wire import Refused, read_request
from paretohqd.runs.sections import Generation

pytestmark = pytest.mark.slow


@contextmanager
def served(run: Run, **more: Any) -> Iterator[int]:
    """The server in a thread; its port."""
    listening = socket.socket()
    listening.bind(("127.0.0.1", 0))
    access = more.pop("access", None) or access_for("127.0.0.1")
    config = uvicorn.Config(application(run, access, **more), log_level="warning", access_log=False)
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.02)
    try:
        yield listening.getsockname()[1]
    finally:
        server.should_exit = True
        thread.join(timeout=20)
        listening.close()
        assert not thread.is_alive()


@pytest.fixture(scope="module")
def run(finished: Path) -> Run:
    return pq.load(finished, device="cpu")


@pytest.fixture(scope="module")
def port(run: Run) -> Iterator[int]:
    with served(run, ui=True) as port:
        yield port


@pytest.fixture
def client(port: int) -> Any:
    return openai.OpenAI(base_url=f"http://127.0.0.1:{port}/v1", api_key="none", max_retries=0)


TALK = [{"role": "user", "content": "What do you like, my friend?"}]


def test_the_models_are_the_preferences_and_all_between(client: Any, run: Run) -> None:
    names = [model.id for model in client.models.list()]
    assert names == ["base", "kind", "w:1,0", "both", "w:0.5,0.5", "brief", "w:0,1"]
    for name, weights in (("brief", "brief"), ("w:0.75,0.25", [0.75, 0.25]), ("w:3,1", [3, 1])):
        reply = client.chat.completions.create(model=name, messages=TALK, seed=4)
        expected = run.policy(weights).generate(TALK, seed=4)  # type: ignore[arg-type]
        assert reply.choices[0].message.content == expected
        assert reply.choices[0].finish_reason in ("stop", "length")
        assert reply.usage.total_tokens == reply.usage.prompt_tokens + reply.usage.completion_tokens
    assert client.chat.completions.create(model="base", messages=TALK, max_tokens=3)


def test_a_stream_is_the_answer_in_pieces(client: Any, run: Run) -> None:
    whole = run.policy("both").generate(TALK, seed=4, max_new_tokens=30)
    chunks = list(
        client.chat.completions.create(
            model="both",
            messages=TALK,
            seed=4,
            stream=True,
            max_completion_tokens=30,
            stream_options={"include_usage": True},
        )
    )
    pieces = [c.choices[0].delta.content or "" for c in chunks if c.choices]
    assert "".join(pieces) == whole
    assert chunks[-1].usage.completion_tokens > 0
    assert [c.choices[0].finish_reason for c in chunks if c.choices][-1] in ("stop", "length")


def test_several_choices_and_a_text_to_stop_at(client: Any, run: Run) -> None:
    reply = client.chat.completions.create(model="both", messages=TALK, n=3, seed=7, top_p=1.0)
    policy = run.policy("both")
    assert [choice.message.content for choice in reply.choices] == [
        policy.generate(TALK, seed=seed, top_p=1.0) for seed in (7, 8, 9)
    ]
    text = reply.choices[0].message.content
    stop = text[2:4]
    cut = client.chat.completions.create(
        model="both", messages=TALK, seed=7, top_p=1.0, stop=[stop]
    )
    assert cut.choices[0].message.content == text[: text.index(stop)]
    assert cut.choices[0].finish_reason == "stop"


def test_many_clients_lose_nothing(client: Any, port: int, run: Run) -> None:
    """Eight clients, two hundred requests, and one client that goes away in the middle."""
    models = ["kind", "brief", "w:0.75,0.25", "base"]

    def ask(number: int) -> tuple[int, str]:
        own = openai.OpenAI(base_url=f"http://127.0.0.1:{port}/v1", api_key="none", max_retries=8)
        reply = own.chat.completions.create(
            model=models[number % 4], messages=TALK, seed=number, max_tokens=6
        )
        return number, reply.choices[0].message.content

    def leave() -> None:
        body = {"model": "kind", "messages": TALK, "stream": True, "max_tokens": 900}
        gone = http.client.HTTPConnection("127.0.0.1", port)
        gone.request("POST", "/v1/chat/completions", json.dumps(body), JSON)
        gone.getresponse().read(10)
        gone.close()

    with ThreadPoolExecutor(9) as pool:
        left = pool.submit(leave)
        answers = dict(pool.map(ask, range(200)))
        left.result()
    assert sorted(answers) == list(range(200))
    for number in (0, 1, 2, 101, 198):
        name = models[number % 4]
        policy = run.policy([0.75, 0.25] if name.startswith("w:") else name)
        assert answers[number] == policy.generate(TALK, seed=number, max_new_tokens=6)
    model, _ = run.model(run.policy("kind").parts)
    assert len(model.peft_config) == 1, "one mixture is in memory, whatever was asked for"


# ── what is refused ──────────────────────────────────────────────────────────────────────────

JSON = {"Content-Type": "application/json"}


def post(port: int, body: Any, **headers: str) -> tuple[int, dict[str, Any]]:
    connection = http.client.HTTPConnection("127.0.0.1", port)
    text = body if isinstance(body, str | bytes) else json.dumps(body)
    connection.request("POST", "/v1/chat/completions", text, {**JSON, **headers})
    reply = connection.getresponse()
    said = json.loads(reply.read())
    connection.close()
    return reply.status, said


WRONG: list[tuple[Any, int, str]] = [
    ("{", 400, "expected JSON"),
    ([], 400, "expected an object"),
    ({"messages": TALK}, 400, "model: expected a name"),
    ({"model": "../../etc", "messages": TALK}, 404, "no such model"),
    ({"model": "w:1", "messages": TALK}, 404, "no such model"),
    ({"model": "w:1,nan", "messages": TALK}, 404, "no such model"),
    ({"model": "w:-1,2", "messages": TALK}, 400, "at least 0"),
    ({"model": "w:0,0", "messages": TALK}, 400, "not all 0"),
    ({"model": "w:1e999,1", "messages": TALK}, 400, "at least 0"),
    ({"model": "kind"}, 400, "messages: expected a list"),
    ({"model": "kind", "messages": [{"role": "god", "content": "x"}]}, 400, "expected a role"),
    ({"model": "kind", "messages": [{"role": "assistant", "content": "x"}]}, 400, "must end"),
    (
        {"model": "kind", "messages": [{"role": "user", "content": [{"type": "image_url"}]}]},
        400,
        "only text is taken",
    ),
    ({"model": "kind", "messages": TALK, "n": 9}, 400, "n: expected a whole number from 1 to 8"),
    ({"model": "kind", "messages": TALK, "n": True}, 400, "n: expected a whole number"),
    ({"model": "kind", "messages": TALK, "stop": ["a"] * 5}, 400, "stop: expected up to 4"),
    ({"model": "kind", "messages": TALK, "seed": "1"}, 400, "seed: expected a whole number"),
    ({"model": "kind", "messages": TALK, "temperature": 3}, 400, "temperature: expected"),
    ({"model": "kind", "messages": TALK, "max_tokens": 0}, 400, "max_tokens: expected"),
    ({"model": "kind", "messages": TALK, "max_tokens": 5000}, 400, "context"),
    ({"model": "kind", "messages": TALK, "chat_template": "x"}, 400, "'chat_template' is not"),
    ({"model": "kind", "messages": TALK, "tools": [{}]}, 400, "'tools' is not taken"),
    ({"model": "kind", "messages": TALK, "logit_bias": {"1": 2}}, 400, "'logit_bias' is not"),
    ({"model": "kind", "messages": TALK, "stream": "yes"}, 400, "stream: expected true"),
    ({"model": "kind", "messages": [{"role": "user", "content": "Tea? " * 2000}]}, 400, "context"),
]


@pytest.mark.parametrize(("body", "status", "message"), WRONG)
def test_what_is_refused(body: Any, status: int, message: str, port: int, run: Run) -> None:
    got, said = post(port, body)
    assert (got, said["error"]["code"]) == (status, status)
    assert message in said["error"]["message"]
    assert "Traceback" not in json.dumps(said)
    if isinstance(body, dict) and "context" not in message:
        with pytest.raises(Refused, match=r"\w") as error:
            read_request(body, run)
        assert error.value.status == status
    assert post(port, {"model": "kind", "messages": TALK, "max_tokens": 2})[0] == 200


def test_what_changes_nothing_is_taken(port: int) -> None:
    body = {"model": "kind", "messages": TALK, "tools": [], "frequency_penalty": 0, "user": "me"}
    assert post(port, body | {"logit_bias": {}, "response_format": {"type": "text"}})[0] == 200


def test_a_body_that_is_too_large(port: int) -> None:
    status, said = post(port, b" " * 1_000_001)
    assert status == 413
    assert "at most 1,000,000 bytes" in said["error"]["message"]


def test_a_name_that_is_not_this_servers(port: int) -> None:
    for name in ("evil.test", f"evil.test:{port}", "127.0.0.1.evil.test", "[::2]:80"):
        status, said = post(port, {"model": "kind", "messages": TALK}, Host=name)
        assert (status, said["error"]["message"]) == (421, "this server has another name")
    for name in ("localhost", f"127.0.0.1:{port}", "[::1]:80", "LOCALHOST:1"):
        assert post(port, {"model": "kind", "messages": TALK, "max_tokens": 1}, Host=name)[0] == 200


def test_no_other_page_may_read_it(port: int) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", port)
    connection.request("OPTIONS", "/v1/chat/completions", headers={"Origin": "http://evil.test"})
    reply = connection.getresponse()
    reply.read()
    assert reply.getheader("access-control-allow-origin") is None
    assert reply.status == 405


def test_who_brings_no_key(run: Run, tmp_path: Path) -> None:
    file = tmp_path / "key"
    file.write_text("a-long-enough-key-of-mine\n")
    access = access_for("127.0.0.1", key_file=file)
    with pytest.raises(ValueError, match="a page has no key to bring"):
        application(run, access, ui=True)
    with served(run, access=access) as port:
        body = {"model": "kind", "messages": TALK, "max_tokens": 1}
        assert post(port, body)[0] == 401
        assert post(port, body, Authorization="Bearer wrong")[0] == 401
        assert post(port, body, Authorization="Bearer a-long-enough-key-of-mine")[0] == 200
    with pytest.raises(ValueError, match="others could reach it: give a key"):
        access_for("0.0.0.0")
    for text in ("short", "", "\n"):
        file.write_text(text)
        with pytest.raises(ValueError, match="at least 16 characters"):
            access_for("0.0.0.0", key_file=file)
    assert access_for("127.0.0.2", names=["MyBox.local"]).hosts >= {"127.0.0.2", "mybox.local"}


def test_half_of_a_character_harms_nobody_else(port: int) -> None:
    good = {"model": "kind", "messages": TALK, "max_tokens": 4}
    bad = '{"model": "kind", "messages": [{"role": "user", "content": "hi \\ud800"}]}'
    with ThreadPoolExecutor(8) as pool:
        jobs = [pool.submit(post, port, bad if i % 2 else good) for i in range(16)]
        assert [job.result()[0] for job in jobs] == [200, 400] * 8
    status, said = post(port, '{"model": "kind", "\\ud800": 1}')
    assert (status, "lone surrogate" in said["error"]["message"]) == (400, True)


def test_what_does_not_say_that_it_is_json(port: int) -> None:
    body = {"model": "kind", "messages": TALK}
    status, said = post(port, body, **{"Content-Type": "text/plain"})
    assert (status, said["error"]["code"]) == (415, 415)
    connection = http.client.HTTPConnection("127.0.0.1", port)
    connection.request("GET", "/v1/models/", headers={"Host": "evil.test"})
    assert connection.getresponse().status == 404


def test_a_client_that_leaves_is_not_answered_on(
    port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Tokens take their time, as those of a large model do."""
    ends: list[str] = []

    def slowed(request: Any) -> Any:
        def cancelled() -> bool:
            time.sleep(0.01)
            return bool(request.cancelled())

        return replace(request, cancelled=cancelled)

    def noted(model: Any, tokenizer: Any, requests: Any, **more: Any) -> Any:
        replies = batching_reply(model, tokenizer, [*map(slowed, requests)], **more)
        ends.extend(one.end for one in replies)
        return replies

    batching_reply = batching.reply
    monkeypatch.setattr(batching, "reply", noted)
    body = {"model": "base", "messages": TALK, "max_tokens": 900, "temperature": 0.01}
    for more in ({}, {"stream": True}):
        gone = http.client.HTTPConnection("127.0.0.1", port)
        gone.request("POST", "/v1/chat/completions", json.dumps(body | more), JSON)
        time.sleep(0.5)
        gone.close()
    for _ in range(600):
        if len(ends) == 2:
            break
        time.sleep(0.1)
    assert ends == ["cancelled", "cancelled"]


def test_a_trained_preference_is_never_rounded_away() -> None:
    trained = [(1.0, 0.0), (0.9, 0.1), (1 / 3, 2 / 3), (0.0, 1.0)]
    run: Any = SimpleNamespace(
        objectives=("a", "b"),
        preferences={"base": trained[0], **{str(w): w for w in trained[1:]}},
        finished=SimpleNamespace(preferences=trained, generation=Generation()),
    )
    for name, place in (("w:0.900000,0.100000", 1), ("w:0.333333,0.666667", 2), ("w:9,1", 1)):
        assert read_request({"model": name, "messages": TALK}, run).parts == Parts(
            places=(place,), shares=(1.0,), weights=trained[place]
        )
    between = read_request({"model": "w:0.95,0.05", "messages": TALK}, run).parts
    assert between is not None
    assert between.weights == (61 / 64, 3 / 64)
    assert read_request({"model": "base", "messages": TALK}, run).parts is None
    with pytest.raises(Refused, match="max_tokens: expected a whole number from 1 to 16384"):
        read_request({"model": "base", "messages": TALK, "max_tokens": 10**9}, run)


def test_too_many_at_once(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batching, "ROOM", 2)
    with served(run) as port:
        assert post(port, {"model": "kind", "messages": TALK, "n": 3})[0] == 429
        assert post(port, {"model": "kind", "messages": TALK, "n": 2, "max_tokens": 2})[0] == 200


def test_an_answer_that_takes_too_long(run: Run) -> None:
    access = access_for("127.0.0.1")
    hasty = type(access)(hosts=access.hosts, patience=0.0)
    with served(run, access=hasty) as port:
        body = {"model": "kind", "messages": TALK, "max_tokens": 500}
        assert post(port, body)[0] == 504


def test_nothing_of_what_is_said_is_logged(
    port: int, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    talk = [{"role": "user", "content": "my secret question"}]
    assert post(port, {"model": "kind", "messages": talk, "max_tokens": 2})[0] == 200
    assert post(port, {"model": "kind", "messages": talk, "n": 99})[0] == 400
    out = capfd.readouterr()
    assert "secret question" not in out.out + out.err + caplog.text


def test_a_port_in_use(
    port: int, run: Run, finished: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(ValueError, match=rf"port {port} at 127.0.0.1: .* take another --port"):
        serve(run, port=port)
    assert main(["serve", str(finished), "--device", "cpu", "--port", str(port)]) == 1
    assert "take another --port" in capsys.readouterr().err
    assert main(["serve", str(finished), "--host", "0.0.0.0"]) == 1
    assert "--api-key-file" in capsys.readouterr().err


def test_the_page_with_live_answers(port: int) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", port)
    connection.request("GET", "/")
    text = connection.getresponse().read().decode()
    assert "connect-src &#39;self&#39;" in text or "connect-src 'self'" in text
    assert 'id="live"' in text
    connection.request("GET", "/health")
    assert json.loads(connection.getresponse().read()) == {"status": "ok"}


def test_a_reader_of_the_page_asks_the_model(port: int, browser: Any) -> None:
    page, said = browser.new_page(), list[str]()
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    page.goto(f"http://127.0.0.1:{port}/")
    page.locator("#presets button").nth(2).click()
    page.locator("#typed").fill("What do you like?")
    page.locator("#form button").click()
    live = page.locator("#live")

    def heard() -> str:
        for _ in range(600):
            if (text := live.inner_text()) not in ("", "…"):
                return text
            time.sleep(0.1)
        raise AssertionError("no answer")

    assert "context" not in heard()
    page.locator("#typed").fill("Tea? " * 2000)
    page.locator("#form button").click()
    time.sleep(1)
    assert "context" in heard()
    assert [line for line in said if "400" not in line and "favicon" not in line] == []
    page.close()
