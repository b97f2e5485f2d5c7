"""The client of OpenAI-compatible servers, against servers that really misbehave."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from helpers.servers import Got, Said, Server, as_json, completion, failure, in_turn, serving
from paretohqd.models import endpoint_wire
from paretohqd.models.consent import consenting
from paretohqd.models.endpoint import EndpointClient
from paretohqd.models.endpoint_requests import Request
from paretohqd.models.replies import Replies, Reply, key_of
from paretohqd.models.spec import Endpoint

SENDS = "the test would get texts"


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Waits of hundredths of a second."""
    monkeypatch.setattr(endpoint_wire, "FIRST_WAIT", 0.01)
    monkeypatch.setattr(endpoint_wire, "LONGEST_WAIT", 0.02)


def client(server: Server | str, replies: Replies | None = None, **more: Any) -> EndpointClient:
    url = server if isinstance(server, str) else server.url
    own = {key: more.pop(key) for key in ("optional", "lenient") if key in more}
    spec = Endpoint(url=url, model="m", **{"timeout": 5.0, "retries": 2, **more})
    return EndpointClient(spec=spec, sends=SENDS, replies=replies or Replies(), **own)


def request(text: str, row: int | None = None, **more: Any) -> Request:
    messages = [{"role": "user", "content": text}]
    return Request(body={"messages": messages, "seed": 1, **more}, depends={}, row=row)


def echo(got: Got) -> Said:
    return completion(got.body["messages"][-1]["content"].upper())


def test_replies_come_in_the_order_of_the_requests_and_equal_ones_are_sent_once() -> None:
    texts = [f"text {number % 7}" for number in range(20)]
    seen: list[tuple[int, int]] = []
    with serving(echo) as server:
        one = client(server, concurrency=3)
        replies = one.ask([request(t) for t in texts], progress=lambda *at: seen.append(at))
        assert [reply.text for reply in replies] == [text.upper() for text in texts]
        assert len(server.asked) == 7
        assert server.most_at_once <= 3
        assert server.asked[0]["model"] == "m"
        assert seen[-1] == (20, 20)
        assert (one.counts.requests, one.counts.kept, one.counts.repeated) == (7, 13, 0)
        assert (one.counts.read, one.counts.written) == (49, 21)
        again = one.ask([request(texts[0])])
    assert again[0] == Reply(text="TEXT 0", finish="stop", read=7, written=3, model="m-2026")


def test_requests_run_side_by_side() -> None:
    def slow(got: Got) -> Said:
        return Said(**{**vars(echo(got)), "hangs": 0.3})

    with serving(slow) as server:
        client(server, concurrency=4).ask([request(str(i)) for i in range(4)])
        assert server.most_at_once == 4


PASSES = {
    "429": failure(429, "slow down"),
    "500": failure(500),
    "503": failure(503),
    "408": failure(408),
    "no JSON": Said(body=b"<html>busy</html>", headers={"content-type": "text/html"}),
    "broken JSON": Said(body=b'{"choices": [', headers={"content-type": "application/json"}),
    "JSON of another kind": as_json([1, 2]),
    "no choices": as_json({"choices": []}),
    "choices null": as_json({"choices": None}),
    "a choice of another kind": as_json({"choices": ["a"]}),
    "text of another kind": completion([1]),
    "dies in the middle": Said(**{**vars(completion("long" * 99)), "dies": True}),
    "nothing": Said(),
}


@pytest.mark.parametrize("kind", PASSES)
def test_what_may_pass_is_asked_again(kind: str) -> None:
    with serving(in_turn(PASSES[kind], PASSES[kind], completion("fine"))) as server:
        one = client(server)
        assert one.ask([request("a")])[0].text == "fine"
        assert len(server.asked) == 3
        assert one.counts.repeated == 2


@pytest.mark.parametrize("kind", PASSES)
def test_what_does_not_pass_is_told_with_the_host(kind: str) -> None:
    with serving(in_turn(PASSES[kind])) as server:
        with pytest.raises(ValueError, match=r"server 127\.0\.0\.1:\d+: .*3 times") as error:
            client(server).ask([request("a")])
        assert len(server.asked) == 3
    assert "0 of 1 replies" in str(error.value)


def test_messages_of_bad_replies() -> None:
    for kind, words in {
        "429": "HTTP 429: .*slow down",
        "no JSON": "no chat completion, but <html>busy</html>",
        "no choices": r'no chat completion, but \{"choices": \[\]\}',
        "text of another kind": r"no text, but \[1\]",
        "dies in the middle": "cannot be reached: .*closed",
        "nothing": "no chat completion, but nothing",
    }.items():
        with serving(in_turn(PASSES[kind])) as server, pytest.raises(ValueError, match=words):
            client(server, retries=0).ask([request("a")])


def test_a_server_that_is_slow_or_down() -> None:
    with serving(in_turn(Said(**{**vars(completion("late")), "hangs": 0.5}))) as server:
        with pytest.raises(ValueError, match=r"no answer within 0\.1 s .*2 times"):
            client(server, timeout=0.1, retries=1).ask([request("a")])
        assert len(server.asked) == 2
    with pytest.raises(ValueError, match=r"cannot be reached: .*[Rr]efused"):
        client(server.url, retries=1).ask([request("a")])
    with pytest.raises(ValueError, match="cannot be reached"):
        client(server.url, retries=1).names()


def silent(finish: str, **message: Any) -> Said:
    """A completion whose message has no text, or null in its place."""
    choice = {"index": 0, "finish_reason": finish, "message": {"role": "assistant", **message}}
    return as_json({"choices": [choice], "usage": {"prompt_tokens": 7, "completion_tokens": 3}})


@pytest.mark.parametrize(
    "said",
    [
        completion(""),
        silent("stop", content=None, refusal="I can't help with that."),
        silent("length", content=None, reasoning_content="hm"),
        silent("content_filter", content=None),
        silent("length"),
    ],
)
def test_a_completion_without_text_is_a_reply(said: Said, tmp_path: Path) -> None:
    finish = json.loads(said.body)["choices"][0]["finish_reason"]
    with serving(in_turn(said)) as server:
        one = client(server, Replies(tmp_path))
        [reply] = one.ask([request("a")])
        assert (reply.text, reply.finish, reply.tokens) == ("", finish, 10)
        assert len(server.asked) == 1
        one.replies.close()
        assert client(server, Replies(tmp_path)).ask([request("a")])[0].text == ""
        assert len(server.asked) == 1  # it is kept like any other


def test_a_text_without_end_is_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(endpoint_wire, "LONGEST_REPLY", 3)
    with serving(in_turn(completion("abcd"))) as server:
        [reply] = client(server).ask([request("a")])
    assert (reply.text, reply.finish) == ("abc", "length")


def test_half_a_character_becomes_a_question_mark() -> None:
    with serving(in_turn(completion("a\ud800b"))) as server:
        assert client(server).ask([request("a")])[0].text == "a?b"


@pytest.mark.parametrize(
    "header",
    [
        "0", "-5", "nan", "inf", "1e999", "soon", "",
        "Mon, 01 Jan 2001 00:00:00 GMT", "Mon, 01 Jan 99999 00:00:00 GMT",
        "Mon, 01 Jan 2026 00:00:00 +99999999999",
    ],
)  # fmt: skip
def test_a_server_that_asks_for_no_wait_is_waited_for(
    header: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    waits: list[float] = []
    given = endpoint_wire.waiting

    def noted(attempt: int, asked: float | None) -> float:
        waits.append(given(attempt, asked))
        return waits[-1]

    monkeypatch.setattr(endpoint_wire, "FIRST_WAIT", 0.02)
    monkeypatch.setattr(endpoint_wire, "LONGEST_WAIT", 0.04)
    monkeypatch.setattr("paretohqd.models.endpoint.waiting", noted)
    busy = failure(429, "slow down", retry_after=header)
    with serving(in_turn(busy, busy, completion("b"))) as server:
        assert client(server).ask([request("a")])[0].text == "b"
    assert [0.01 <= waits[0] <= 0.02, 0.02 <= waits[1] <= 0.04] == [True, True]


def test_it_waits_as_long_as_it_is_asked_to(monkeypatch: pytest.MonkeyPatch) -> None:
    wishes: list[float | None] = []
    given = endpoint_wire.waiting

    def noted(attempt: int, asked: float | None) -> float:
        wishes.append(asked)
        return given(attempt, None)

    monkeypatch.setattr("paretohqd.models.endpoint.waiting", noted)
    date = time.strftime("%a, %d %b %Y %H:%M:%S GMT", time.gmtime(time.time() + 100))
    sayings = [
        failure(429, retry_after="1.5"),
        failure(503, retry_after=date),
        failure(503, retry_after="soon"),
    ]
    with serving(in_turn(*sayings, completion("b"))) as server:
        client(server, retries=3).ask([request("a")])
    assert wishes[0] == 1.5
    assert wishes[1] is not None
    assert 90 < wishes[1] <= 101
    assert wishes[2] is None
    with serving(in_turn(failure(429, retry_after="7200"))) as server:
        with pytest.raises(ValueError, match="asked again in 7200 s"):
            client(server).ask([request("a")])
        assert len(server.asked) == 1


KEY = "sk-proj-4242424242424242424242"


def test_a_refused_key_names_its_variable_and_is_not_shown(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("JUDGE_KEY", KEY)
    refused = failure(401, f"Incorrect API key provided: {KEY}")
    with serving(in_turn(refused)) as server:
        with pytest.raises(ValueError, match=r"HTTP 401: .*JUDGE_KEY is not accepted") as error:
            client(server, api_key_env="JUDGE_KEY").ask([request("a")])
        assert server.got[0].headers["authorization"] == f"Bearer {KEY}"
        assert len(server.asked) == 1
        assert KEY not in str(error.value)
        monkeypatch.setenv("JUDGE_KEY", "plainword")
        refused.body = b'{"error": "not plainword"}'
        with pytest.raises(ValueError, match="not <redacted>"):
            client(server, api_key_env="JUDGE_KEY").ask([request("a")])
        with pytest.raises(ValueError, match="wants a key: name its variable with api_key_env"):
            client(server).ask([request("a")])


def test_a_key_that_is_not_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("JUDGE_KEY", raising=False)
    with pytest.raises(ValueError, match="variable JUDGE_KEY, which api_key_env names, is not set"):
        client("http://localhost:1/v1", api_key_env="JUDGE_KEY").ask([])


def test_no_key_nor_header_of_another_variable_is_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    monkeypatch.setenv("OPENAI_ORG_ID", "org-secret")
    monkeypatch.setenv("OPENAI_PROJECT_ID", "project-secret")
    monkeypatch.setenv("OPENAI_CUSTOM_HEADERS", "X-Secret: header-secret")
    monkeypatch.setenv("OPENAI_BASE_URL", "https://elsewhere.example/v1")
    with serving(echo) as server:
        client(server).ask([request("a")])
        sent = json.dumps(server.got[0].headers)
    assert "secret" not in sent
    assert KEY not in sent
    assert server.got[0].headers["authorization"] == "Bearer none"


def test_what_goes_to_this_machine_takes_no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    with serving(echo) as server:
        assert client(server, retries=0).ask([request("a")])[0].text == "A"


def test_an_unknown_model_names_those_that_there_are() -> None:
    def answer(got: Got) -> Said:
        if got.path == "/v1/models":
            return as_json({"data": [{"id": "large"}, {"id": "small"}]})
        return failure(404, "no such model")

    with serving(answer) as server:
        with pytest.raises(ValueError, match=r"HTTP 404: no model 'm'.*it lists large, small"):
            client(server).ask([request("a")])
        assert client(server).names() == ["large", "small"]
    with serving(in_turn(failure(404))) as server:
        assert client(server).names() is None
        with pytest.raises(ValueError, match="no model 'm', or the URL is wrong"):
            client(server).ask([request("a")])


def test_redirects_are_not_followed() -> None:
    with serving(echo) as other:
        to = Said(status=307, headers={"location": f"{other.url}/chat/completions"})
        with serving(in_turn(to)) as server:
            with pytest.raises(ValueError, match="HTTP 307: a redirect, and none is followed"):
                client(server).ask([request("a")])
            assert len(server.asked) == 1
        assert other.got == []


def test_nothing_left_to_spend_is_final() -> None:
    body = {"error": {"message": "You exceeded your quota", "code": "insufficient_quota"}}
    with serving(in_turn(as_json(body, 429))) as server:
        with pytest.raises(ValueError, match="nothing is left to spend there"):
            client(server).ask([request("a")])
        assert len(server.asked) == 1


def test_a_bad_request_is_final_unless_it_can_do_without() -> None:
    def strict(got: Got) -> Said:
        if "response_format" in got.body:
            return failure(400, "response_format is not supported")
        if "max_tokens" in got.body:
            return failure(400, "use max_completion_tokens instead")
        return echo(got)

    with serving(strict) as server:
        with pytest.raises(ValueError, match=r"HTTP 400: .*not supported"):
            client(server).ask([request("a", response_format={})])
        one = client(server, optional=("response_format",), concurrency=1)
        one.ask([request("a", response_format={}, max_tokens=9)])
        assert server.asked[-1]["max_completion_tokens"] == 9
        before = len(server.asked)
        one.ask([request("b", response_format={}, max_tokens=9)])
        assert len(server.asked) == before + 1  # it has learnt
    with serving(in_turn(failure(400, "too long"))) as server:
        one = client(server, optional=("response_format",))
        with pytest.raises(ValueError, match=r"HTTP 400: .*too long"):
            one.ask([request("a", response_format={})])
        assert len(server.asked) == 2


def picky(got: Got) -> Said:
    """Takes no text that is bad; slower with the others than with those."""
    text = got.body["messages"][-1]["content"]
    if "bad" in text:
        return failure(int(text[-3:]), "maximum context length")
    return Said(**{**vars(echo(got)), "hangs": 0.05})


@pytest.mark.parametrize("status", [400, 413, 422])
def test_what_is_refused_alone_leaves_the_others(status: int, tmp_path: Path) -> None:
    texts = ["a", *(f"bad {i} {status}" for i in range(25)), "b"]
    wanted = [request(text, row=row) for row, text in enumerate(texts)]
    with serving(picky) as server:
        one = client(server, Replies(tmp_path), lenient=True)
        replies = one.ask(wanted)
        assert [reply.text for reply in replies] == ["A", *[""] * 25, "B"]
        assert f"HTTP {status}: " in str(replies[1].finish)
        assert str(replies[1].finish).endswith('maximum context length"}} (row 1)')
        one.replies.close()
        # It cost nothing and may go well another day: it is asked again.
        before = len(server.asked)
        again = client(server, Replies(tmp_path), lenient=True)
        assert [reply.text for reply in again.ask(wanted)] == ["A", *[""] * 25, "B"]
        assert len(server.asked) == before + 25
        with pytest.raises(ValueError, match=rf"HTTP {status}: .* \(row 1\); 1 of 2 replies"):
            client(server, concurrency=1).ask(wanted[:2])


@pytest.mark.parametrize(("count", "sent"), [(1, 1), (5, 5), (60, 20)])
def test_a_setting_that_is_wrong_stops_at_once(count: int, sent: int) -> None:
    wanted = [request(f"bad {i} 400", row=i) for i in range(count)]
    with serving(picky) as server:
        one = client(server, lenient=True, concurrency=1)
        with pytest.raises(
            ValueError, match=rf"HTTP 400: .*all of the first {sent} requests: .*; 0 of {count} re"
        ):
            one.ask(wanted)
        assert len(server.asked) == sent


def test_failures_name_the_first_row_that_asks_so() -> None:
    with serving(in_turn(failure(500))) as server:
        one = client(server, retries=1)
        with pytest.raises(ValueError, match=r"HTTP 500: .* \(row 3, 2 times\); 0 of 1 replies"):
            one.ask([request("a", row=3), request("a", row=8)])


def test_a_server_that_is_gone_later_leaves_what_was_paid_for(tmp_path: Path) -> None:
    sayings = [completion("1"), completion("2"), completion("3"), failure(500)]
    wanted = [request(str(i)) for i in range(6)]
    with serving(in_turn(*sayings)) as server:
        one = client(server, Replies(tmp_path), concurrency=1, retries=1)
        with pytest.raises(ValueError, match=r"HTTP 500.*2 times.*; 3 of 6 replies"):
            one.ask(wanted)
        one.replies.close()
    with serving(echo) as server:  # another port
        one = client(server, Replies(tmp_path))
        assert [reply.text for reply in one.ask(wanted)] == ["1", "2", "3", "3", "4", "5"]
        assert len(server.asked) == 3
        assert one.counts.kept == 3


def test_replies_under_way_when_another_fails_are_kept(tmp_path: Path) -> None:
    def answer(got: Got) -> Said:
        if got.body["messages"][0]["content"] == "bad":
            return failure(400, "bad")
        return Said(**{**vars(echo(got)), "hangs": 0.3})

    with serving(answer) as server:
        one = client(server, Replies(tmp_path), concurrency=3)
        with pytest.raises(ValueError, match="2 of 3 replies"):
            one.ask([request("a"), request("b"), request("bad")])
        one.replies.close()
    assert Replies(tmp_path).get(request("a").key) is not None


def test_budgets_stop_and_go_on(tmp_path: Path) -> None:
    wanted = [request(str(i)) for i in range(6)]
    with serving(echo) as server:
        one = client(server, Replies(tmp_path), max_requests=4, concurrency=2)
        with pytest.raises(ValueError, match=r"max_requests of 4 is reached: raise it.*4 of 6"):
            one.ask(wanted)
        assert len(server.asked) == 4
        one.replies.close()
        one = client(server, Replies(tmp_path), max_requests=4)
        with pytest.raises(ValueError, match="max_requests of 4 is reached"):
            one.ask(wanted)  # what earlier attempts spent counts
        assert len(server.asked) == 4
        one.replies.close()
        one = client(server, Replies(tmp_path), max_tokens=50, concurrency=1)
        with pytest.raises(ValueError, match=r"max_tokens of 50 is reached \(50 are spent\)"):
            one.ask(wanted)
        assert len(server.asked) == 5
        one.replies.close()
        one = client(server, Replies(tmp_path), max_requests=6, max_tokens=1000)
        assert len(one.ask(wanted)) == 6
        assert len(server.asked) == 6


def test_failures_count_as_requests_too() -> None:
    with serving(in_turn(failure(500))) as server:
        with pytest.raises(ValueError, match="max_requests of 2"):
            client(server, max_requests=2, retries=9).ask([request("a")])
        assert len(server.asked) == 2


def test_data_leave_the_machine_only_with_consent() -> None:
    with pytest.raises(ValueError, match=r"the test would get texts, and .* --send-to api\.x\.org"):
        client("https://api.x.org/v1").ask([request("a")])
    with (
        consenting(send_to=["other.org"]) as allowed,
        pytest.raises(ValueError, match=r"--send-to api\.x\.org"),
    ):
        allowed.check_sending("api.x.org", SENDS)
    with consenting(send_to=["API.x.org"]) as allowed:
        client("https://api.x.org/v1").check()
        allowed.check_hosts(["api.x.org"])
        with pytest.raises(ValueError, match=r"--send-to api\.x\.org: no server of this run"):
            allowed.check_hosts(["y.org"])
    for wrong in ("https://api.x.org", "api.x.org:443", "api.x.org/v1", "", "a b"):
        with pytest.raises(ValueError, match="expected a host"), consenting(send_to=[wrong]):
            pass


def test_offline_only_this_machine_is_reached(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PARETOHQD_OFFLINE", "1")
    with consenting(send_to=["api.x.org"]):
        with pytest.raises(ValueError, match=r"server api\.x\.org: on another machine"):
            client("https://api.x.org/v1").check()
        with serving(echo) as server:
            assert client(server).ask([request("a")])[0].text == "A"


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("http://10.0.0.1/v1", "https only"),
        ("http://example.org/v1", "https only"),
        ("http://localhost.example.org/v1", "https only"),
        ("ftp://localhost/v1", "expected https"),
        ("localhost:8000", "expected https"),
        ("https:///v1", "expected https"),
        ("https://me:word@example.org/v1", "a user"),
        ("https://example.org/v1?key=1", "a query"),
        ("https://example.org:x/v1", "Port"),
    ],
)
def test_urls_that_are_refused(url: str, words: str) -> None:
    with pytest.raises(ValueError, match=words) as error:
        Endpoint(url=url, model="m")
    assert "word" not in str(error.value)


@pytest.mark.parametrize(
    "wrong",
    [
        {"concurrency": 0},
        {"retries": -1},
        {"max_requests": 0},
        {"max_tokens": 0},
        {"timeout": 0.0},
        {"timeout": float("inf")},
        {"timeout": float("nan")},
        {"model": ""},
    ],
)
def test_numbers_that_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong))):
        Endpoint(**{"url": "http://localhost/v1", "model": "m", **wrong})


def test_replies_survive_a_kill_in_the_middle_of_a_line(tmp_path: Path) -> None:
    code = (
        "import os, sys\n"
        "from pathlib import Path\n"
        "from paretohqd.models.replies import Replies, Reply\n"
        "replies = Replies(Path(sys.argv[1]))\n"
        "for i in range(3):\n"
        "    replies.add(str(i), Reply(text='x' * 50, finish='stop', read=1), server='s')\n"
        'replies._file.write(b\'{"key": "3", "text": "ha\')\n'
        "replies._file.flush()\n"
        "os.kill(os.getpid(), 9)\n"
    )
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=False)
    assert done.returncode == -9
    replies = Replies(tmp_path)
    assert [replies.get(str(i)) is not None for i in range(4)] == [True, True, True, False]
    replies.add("3", Reply(text="whole", finish=None), server="s")
    replies.close()
    lines = (tmp_path / "0.jsonl").read_text().splitlines()
    assert [json.loads(line)["key"] for line in lines] == ["0", "1", "2", "3"]
    spent = Replies(tmp_path).spent("s")
    assert (spent.requests, spent.tokens) == (4, 3)


def test_lines_that_are_no_replies_are_passed_over(tmp_path: Path) -> None:
    good = {"key": "a", "server": "s", "text": "t", "finish": None}
    bad = [
        {**good, "text": 5},
        {**good, "read": -1},
        {**good, "read": True},
        {**good, "key": 5},
        {**good, "more": 1},
        [],
        {},
    ]
    lines = [json.dumps(line) for line in bad] + ["", "\0\0", "[" * 100_000]
    (tmp_path / "9.jsonl").write_text("\n".join([*lines, json.dumps({**good, "key": "b"}), ""]))
    replies = Replies(tmp_path)
    assert replies.get("a") is None
    assert replies.get("b") is not None
    assert replies.spent("s").requests == 1


def test_each_process_writes_its_own_file_and_reads_all(tmp_path: Path) -> None:
    for name in ("0", "1"):
        replies = Replies(tmp_path, name=name)
        replies.add(name, Reply(text=name, finish=None), server="s")
        replies.close()
    assert Replies(tmp_path, name="2").get("1") is not None
    assert (tmp_path / "0.jsonl").stat().st_mode & 0o777 == 0o600
    (tmp_path / "3.jsonl").symlink_to(tmp_path / "0.jsonl")
    with pytest.raises(ValueError, match="is a link"):
        Replies(tmp_path)


def test_keys_depend_on_all_that_is_sent_and_not_on_the_place() -> None:
    one = request("a")
    assert one.key == request("a").key
    others = [
        request("b"),
        request("a", temperature=0.5),
        Request(body=one.body, depends={"adapter": "x"}),
    ]
    assert len({one.key, *(other.key for other in others)}) == 4
    assert key_of({"a": 1}) != key_of({"a": "1"})
