"""Sampling through servers: a tiny one with vLLM's routes, and `transformers serve` itself."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import LoraConfig, get_peft_model

from helpers.servers import Got, Said, completion, failure, in_turn, serving
from helpers.tiny import sentences
from helpers.tiny_server import TinyServer
from paretohqd.frames.conversations.prompts import write_prompt
from paretohqd.models import base as bases
from paretohqd.models.adapters import load_adapter
from paretohqd.models.endpoint import EndpointClient
from paretohqd.models.sampling import generate
from paretohqd.models.served import Served, generate_served
from paretohqd.models.served_adapters import served_model
from paretohqd.models.spec import Model, Sampling, SamplingServer
from paretohqd.runs.config_reader import from_mapping, to_mapping

PROMPTS = [sentences()[41 * i] for i in range(4)]
GREEDY = Sampling(max_new_tokens=10, temperature=0)
DRAWN = Sampling(max_new_tokens=10, temperature=1.0, top_p=0.95)


@pytest.fixture(scope="module")
def adapter(causal: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An adapter that changes what the tiny model says."""
    model, _ = bases.load_base(Model(name=str(causal)), device="cpu", dtype=torch.float32)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(3)
        config = LoraConfig(r=4, target_modules="all-linear", init_lora_weights=False)
        changed = get_peft_model(model, config)
    folder = tmp_path_factory.mktemp("adapters") / "adapter"
    changed.save_pretrained(folder)
    return folder


def here(causal: Path, adapter: Path | None = None, **more: Any) -> Any:
    """What this process samples itself."""
    model, tokenizer = bases.load_base(Model(name=str(causal)), device="cpu", dtype=torch.float32)
    if adapter is not None:
        model = load_adapter(model, adapter)
    return generate(model, tokenizer, PROMPTS, **{"sampling": GREEDY, **more})


def there(
    url: str, causal: Path, adapter: Path | None = None, *, name: str | None = None, **more: Any
) -> Served:
    """What a server samples."""
    given = {key: more.pop(key) for key in ("model", "lora", "adapters") if key in more}
    if given.get("lora") != "path":
        given.setdefault("model", "base")
    server = SamplingServer(url=url, retries=0, timeout=60.0, **given)
    client = EndpointClient(spec=server, sends="")
    spec = Model(name=str(causal))
    settings = {"sampling": GREEDY, "prompts": PROMPTS, **more}
    with served_model(
        client,
        server,
        spec,
        adapter=adapter,
        content="0123456789abcdef" * 4,
        name=name,
        sampled=settings["sampling"].temperature > 0,
    ) as model:
        return generate_served(
            client,
            bases.load_tokenizer(spec),
            model=model,
            depends={"adapter": str(adapter)},
            context=1024,
            **settings,
        )


def test_a_server_gives_the_frame_that_this_process_gives(causal: Path) -> None:
    with serving(TinyServer(causal)) as server:
        made = there(server.url, causal)
    assert made.answers.equals(here(causal))
    assert made.answers["finished"].any() or made.answers["tokens"].max() == 10
    assert made.other_prompts == 0
    assert made.reported == "base"


def test_vllm_is_told_to_load_an_adapter_and_to_let_it_go(causal: Path, adapter: Path) -> None:
    with serving(TinyServer(causal)) as server:
        made = there(server.url, causal, adapter, name="stage1-00")
        routes = [got.path for got in server.got]
        asked = {body["model"] for body in server.asked}
    assert made.answers.equals(here(causal, adapter))
    assert all(made.answers["response"])
    assert not set(made.answers["response"]) & set(here(causal)["response"])
    assert asked == {"stage1-00-0123456789abcdef"}
    assert routes[0] == "/v1/load_lora_adapter"
    assert routes[-1] == "/v1/unload_lora_adapter"
    assert server.got[0].body["lora_path"] == str(adapter)


def test_an_adapter_that_a_killed_run_left_is_there_already(causal: Path, adapter: Path) -> None:
    tiny = TinyServer(causal)
    with serving(tiny) as server:
        tiny.loaded["stage1-00-0123456789abcdef"] = adapter
        assert there(server.url, causal, adapter, name="stage1-00").answers.equals(
            here(causal, adapter)
        )
        assert tiny.loaded == {}


def test_a_server_without_these_routes_says_what_to_do(causal: Path, adapter: Path) -> None:
    with (
        serving(TinyServer(causal, routes=False)) as server,
        pytest.raises(ValueError, match=r"HTTP 404 .*VLLM_ALLOW_RUNTIME_LORA_UPDATING"),
    ):
        there(server.url, causal, adapter)
    with pytest.raises(ValueError, match="cannot be reached"):
        there(server.url, causal, adapter)


def test_adapters_by_the_names_that_a_server_gave_them(causal: Path, adapter: Path) -> None:
    tiny = TinyServer(causal, routes=False)
    tiny.loaded["kind"] = adapter
    given: dict[str, Any] = {"lora": "names", "adapters": {"stage1-00": "kind"}}
    with serving(tiny) as server:
        made = there(server.url, causal, adapter, name="stage1-00", **given)
        assert made.answers.equals(here(causal, adapter))
        assert there(server.url, causal, **given).answers.equals(here(causal))
        with pytest.raises(ValueError, match=r"endpoint\.adapters: no name for stage1-01"):
            there(server.url, causal, adapter, name="stage1-01", **given)
        tiny.loaded.clear()
        with pytest.raises(ValueError, match=r"HTTP 404: no model 'kind'.*it lists base"):
            there(server.url, causal, adapter, name="stage1-00", **given)


def test_seeds_differ_by_row_and_sample_and_come_back(causal: Path) -> None:
    with serving(TinyServer(causal)) as server:
        more: dict[str, Any] = {"sampling": DRAWN, "samples": 3, "seed": 5}
        made = there(server.url, causal, **more).answers
        seeds = [body["seed"] for body in server.asked]
        again = there(server.url, causal, **more).answers
        other = there(server.url, causal, **{**more, "seed": 6}).answers
    assert made["sample"].to_list() == [0, 1, 2] * len(PROMPTS)
    assert made["prompt"].to_list() == [p for p in PROMPTS for _ in range(3)]
    assert len(set(seeds)) == len(PROMPTS) * 3
    assert all(0 <= seed < 2**31 for seed in seeds)
    assert made.equals(again)
    assert not made["response"].equals(other["response"])
    assert made["response"].n_unique() > len(PROMPTS)


def test_conversations_and_system_messages_are_sent_as_messages(causal: Path) -> None:
    talk = [
        {"role": "user", "content": "I like tea."},
        {"role": "assistant", "content": "Good."},
        {"role": "user", "content": "You?"},
    ]
    prompts = [write_prompt(talk), "Tea?"]
    with serving(TinyServer(causal)) as server:
        made = there(server.url, causal, prompts=prompts, system_prompt=["Be brief.", ""])
        sent = {len(body["messages"]): body["messages"] for body in server.asked}
    assert sent[4] == [{"role": "system", "content": "Be brief."}, *talk]
    assert sent[1] == [{"role": "user", "content": "Tea?"}]
    assert made.other_prompts == 0


def test_tokens_are_counted_here_where_the_server_does_not(causal: Path) -> None:
    said = completion("I like good tea")
    said.body = said.body.replace(b'"usage"', b'"other"')
    with serving(in_turn(said)) as server:
        made = there(server.url, causal)
    tokenizer = bases.load_tokenizer(Model(name=str(causal)))
    expected = len(tokenizer("I like good tea", add_special_tokens=False)["input_ids"]) + 1
    assert made.answers["tokens"].to_list() == [expected] * len(PROMPTS)
    assert made.answers["finished"].all()


def test_answers_without_text_are_rows_and_what_is_refused_is_named(causal: Path) -> None:
    thought = completion(None, finish="length", written=10)
    with serving(in_turn(completion("Tea"), thought)) as server:
        made = there(server.url, causal).answers
    assert sorted(made["response"]) == ["", "", "", "Tea"]
    assert made.filter(response="")["finished"].sum() == 0

    def filtering(got: Got) -> Said:
        return failure(400, "content_filter") if PROMPTS[2] in str(got.body) else completion("Tea")

    with (
        serving(filtering) as server,
        pytest.raises(ValueError, match=r"HTTP 400: .*content_filter.* \(row 2\); \d of 4 replies"),
    ):
        there(server.url, causal)


def test_another_template_shows_in_the_tokens_of_prompts(causal: Path) -> None:
    with serving(in_turn(completion("Tea", read=999))) as server:
        assert there(server.url, causal).other_prompts == len(PROMPTS)


def test_prompts_without_room_are_refused_before_anything_is_sent(causal: Path) -> None:
    with serving(TinyServer(causal)) as server:
        with pytest.raises(ValueError, match="context"):
            there(server.url, causal, prompts=["tea " * 1100])
        assert server.asked == []


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({}, "model must be named"),
        ({"lora": "path", "model": "m"}, "the run's own model"),
        ({"lora": "path", "url": "https://example.org/v1"}, "on this machine"),
        ({"model": "m", "adapters": {"stage1-00": "x"}}, "adapters go with lora: names"),
    ],
)
def test_settings_that_do_not_go_together(given: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        SamplingServer(**{"url": "http://localhost/v1", **given})


def test_settings_with_a_folder_for_the_model_can_be_read_again() -> None:
    one = SamplingServer(url="http://localhost/v1", lora="path")
    assert from_mapping(SamplingServer, to_mapping(one)) == one
    assert replace(one, concurrency=1).model == one.model


@pytest.fixture(scope="module")
def transformers_serve(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The base URL of `transformers serve`, a process of its own."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    log = (tmp_path_factory.mktemp("serve") / "log").open("w")
    command = [sys.executable, "-m", "transformers.cli.transformers", "serve"]
    options = ["--host", "127.0.0.1", "--port", str(port), "--device", "cpu", "--dtype", "float32"]
    process = subprocess.Popen(
        [*command, *options],
        stdout=log,
        stderr=log,
        env={**os.environ, "HF_HUB_OFFLINE": "1", "CUDA_VISIBLE_DEVICES": ""},
    )
    try:
        for _ in range(600):
            assert process.poll() is None, Path(log.name).read_text()
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{port}/health").close()
                break
            except OSError:
                time.sleep(0.2)
        else:
            raise AssertionError(Path(log.name).read_text())
        yield f"http://127.0.0.1:{port}/v1"
    finally:
        process.kill()
        process.wait()
        log.close()


@pytest.mark.slow
def test_transformers_serve_says_what_this_process_says(
    transformers_serve: str, causal: Path, adapter: Path
) -> None:
    for folder in (None, adapter):
        made = there(transformers_serve, causal, folder, lora="path")
        expected = here(causal, folder)
        assert made.answers["response"].to_list() == expected["response"].to_list()
        assert made.answers["tokens"].to_list() == expected["tokens"].to_list()
        assert made.other_prompts == 0


@pytest.mark.slow
def test_transformers_serve_draws(transformers_serve: str, causal: Path) -> None:
    """It has one generator for all requests: of one at a time seeds come back."""
    more: dict[str, Any] = {"lora": "path", "sampling": DRAWN, "samples": 2}
    made = there(transformers_serve, causal, **more).answers
    greedy = there(transformers_serve, causal, lora="path").answers
    assert made["response"].n_unique() > len(PROMPTS)
    assert not set(made["response"]) & set(greedy["response"])
