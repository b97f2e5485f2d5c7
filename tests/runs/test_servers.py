"""Runs that are sampled and judged by servers: consent, keys, kept replies, kills."""

from __future__ import annotations

import json
import signal
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import torch
import yaml
from peft import LoraConfig, get_peft_model

from helpers.judged_runs import Both, Killer, rate, served, started
from helpers.servers import Got, Said, Server, as_json, failure, in_turn, serving
from helpers.small_run import do, mapping, settings
from helpers.tiny import sentences
from paretohqd.models import base as bases
from paretohqd.models import endpoint_wire
from paretohqd.models.consent import consenting
from paretohqd.models.sampling import generate
from paretohqd.models.spec import Model
from paretohqd.runs import config, layout
from paretohqd.runs.answering import answers, to_sampling
from paretohqd.runs.config_reader import from_mapping
from paretohqd.runs.context import RunContext
from paretohqd.runs.rewards import identity, make_rewards


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(endpoint_wire, "FIRST_WAIT", 0.01)
    monkeypatch.setattr(endpoint_wire, "LONGEST_WAIT", 0.02)


def judged(server: Server) -> list[dict[str, Any]]:
    return [body for body in server.asked if body["model"] == "judge"]


def sampled(server: Server) -> list[dict[str, Any]]:
    return [body for body in server.asked if body["model"] != "judge"]


@pytest.mark.slow
def test_a_run_is_sampled_and_judged_by_servers_and_pays_once(parts: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    with serving(Both(parts / "model")) as server:
        lines = do(settings(parts, str(run), **served(server.url)))
        assert any("judge judge at 127.0.0.1" in line for line in lines)
        asked = len(server.asked)
        models = Counter(body["model"].rpartition("-")[0] for body in sampled(server))
        # Two models for stage 2, and the held-out prompts by all five.
        assert models == {"": 5, "stage1-00": 10, "stage1-01": 10, "stage2-00": 5, "stage2-01": 5}
        assert server.got[-1].path != "/v1/load_lora_adapter"
    scored = pl.read_parquet(run / layout.score(1) / layout.SCORED)
    expected = [rate({"answer": text}, "kind") for text in scored["response"]]
    assert scored["kind"].to_list() == pytest.approx(expected)
    assert len(judged(server)) == len({json.dumps(body) for body in judged(server)})
    manifest = json.loads((run / layout.score(1) / "manifest.json").read_text())
    asked_for = manifest["notes"]["rewards"][0]["asked"]
    assert asked_for["requests"] == scored.select("prompt", "response").n_unique()
    assert asked_for["unreadable"] == 0
    made = json.loads((run / layout.answers("base") / "manifest.json").read_text())["notes"]
    assert made["server"] == "base"
    assert made["asked"]["requests"] == 5
    texts = "".join(path.read_text() for path in run.rglob("manifest.json"))
    assert server.url not in texts
    # Another port, another number of requests at a time: nothing is asked again.
    with serving(Both(parts / "model")) as server:
        moved = served(server.url, judge={"concurrency": 3, "max_requests": 10_000})
        lines = do(settings(parts, str(run), **moved))
        assert server.asked == []
        assert sum("done before" in line for line in lines) > 10
        # Other settings of stages, the same texts: replies are kept.
        again = served(server.url, evaluation__min_words=1)
        do(settings(parts, str(run), **again))
        assert server.asked == []
    assert asked > 100
    replies = run / layout.REPLIES / "0.jsonl"
    assert replies.stat().st_mode & 0o777 == 0o600
    assert len(replies.read_text().splitlines()) == asked


@pytest.mark.slow
def test_a_run_killed_in_scoring_and_in_sampling_pays_for_nothing_twice(
    parts: Path, tmp_path: Path
) -> None:
    run, file = tmp_path / "run", tmp_path / "run.yaml"
    killer = Killer(Both(parts / "model"))
    with serving(killer) as server:
        chosen = mapping(parts, "run", **served(server.url, judge={"concurrency": 4}))
        file.write_text(yaml.safe_dump(json.loads(json.dumps(chosen))))
        for kind, number in (("judge", 25), ("sample", 8)):
            with started(file, run) as killer.process:
                killer.at = {kind: number}
                out, _ = killer.process.communicate(timeout=300)
                assert killer.process.returncode == -signal.SIGKILL, out
        killer.process = None
        with started(file, run) as process:
            out, _ = process.communicate(timeout=300)
            assert process.returncode == 0, out
        assert (run / layout.REPORT).is_file()
        seen = Counter(json.dumps(body, sort_keys=True) for body in server.asked)
    # What was under way at a kill: at most as many as there were at a time.
    twice = [text for text, times in seen.items() if times > 1]
    assert len([text for text in twice if '"model": "judge"' in text]) <= 4
    assert len(twice) <= 4 + 8
    assert max(seen.values()) == 2
    lines = (run / layout.REPLIES / "0.jsonl").read_text().splitlines()
    assert len({json.loads(line)["key"] for line in lines}) == len(lines) == len(seen)


AWAY = "https://api.example.org/v1"


def test_a_configuration_alone_sends_nothing(parts: Path, tmp_path: Path) -> None:
    chosen = settings(parts, str(tmp_path / "run"), **served(AWAY), data__max_rows=50)
    with pytest.raises(
        ValueError,
        match=r"objectives: kind, brief: the judge at api\.example\.org would get prompt and "
        r"response of up to 50 rows of data\.source .*--send-to api\.example\.org on the command",
    ):
        RunContext(chosen)
    only = {**served(AWAY), "objectives": served("http://localhost:1/v1")["objectives"]}
    with pytest.raises(
        ValueError, match=r"generation\.endpoint: the server at .* up to 5 prompts .*--send-to api"
    ):
        RunContext(settings(parts, str(tmp_path / "run"), **only))
    with (
        consenting(send_to=["api.example.com"]),
        pytest.raises(ValueError, match=r"--send-to api\.example\.com: no server of this run"),
    ):
        RunContext(settings(parts, str(tmp_path / "run"), **served("http://localhost:1/v1")))
    assert not (tmp_path / "run").exists()


def test_offline_forbids_what_was_allowed(
    parts: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PARETOHQD_OFFLINE", "1")
    with (
        consenting(send_to=["api.example.org"]),
        pytest.raises(ValueError, match=r"server api\.example\.org: on another machine"),
    ):
        RunContext(settings(parts, str(tmp_path / "run"), **served(AWAY)))


def test_a_key_that_is_missing_is_found_before_any_work(
    parts: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("JUDGE_KEY", raising=False)
    chosen = served("http://localhost:1/v1", judge={"api_key_env": "JUDGE_KEY"})
    with pytest.raises(ValueError, match="variable JUDGE_KEY"):
        RunContext(settings(parts, str(tmp_path / "run"), **chosen))


def test_servers_are_looked_for_before_any_work(parts: Path, tmp_path: Path) -> None:
    with serving(Both(parts / "model")) as server:
        url = server.url
        chosen = served(url, judge={"model": "large"})
        with pytest.raises(ValueError, match=r"no model 'large': it lists base, judge"):
            RunContext(settings(parts, str(tmp_path / "run"), **chosen))
        assert [(body["model"], body["max_tokens"]) for body in server.asked] == [("large", 1)]
    with pytest.raises(ValueError, match="cannot be reached"):
        RunContext(settings(parts, str(tmp_path / "run"), **served(url)))


def opened(*given: Any, **more: Any) -> None:
    """All that comes before the work of a run."""
    RunContext(settings(*given, **more)).folder.close()


def test_a_model_that_is_there_and_not_listed_is_taken(parts: Path, tmp_path: Path) -> None:
    both = Both(parts / "model")

    def listing_others(got: Got) -> Said:
        return as_json({"data": [{"id": "m-2026"}]}) if got.path == "/v1/models" else both(got)

    with serving(listing_others) as server:
        opened(parts, str(tmp_path / "run"), **served(server.url))
        assert {body["model"] for body in server.asked} == {"judge", "base"}
        assert {body["max_tokens"] for body in server.asked} == {1}
        assert [body["messages"] for body in server.asked] == [ONLY] * 2
        # What else it says about such a request is no word on the name.
        both.judge = in_turn(failure(400, "max_tokens below the least"))
        opened(parts, str(tmp_path / "other"), **served(server.url))


ONLY = [{"role": "user", "content": "?"}]
NAMES = {f"stage{stage}-0{number}": f"a{stage}{number}" for stage in (1, 2) for number in (0, 1)}


@pytest.mark.parametrize(
    ("adapters", "words"),
    [
        (NAMES, ""),
        ({}, "no name for 4 of 4 models of the run, the first stage1-00: with lora: names"),
        ({k: NAMES[k] for k in list(NAMES)[:3]}, "no name for 1 of 4 .* first stage2-01"),
        (NAMES | {"stage1-0": "x"}, r"unknown key .*adapters\.stage1-0: did you mean stage1-0[01]"),
        (NAMES | {"stage1-02": "x"}, r"unknown key generation\.endpoint\.adapters\.stage1-02"),
        (NAMES | {"base": "x"}, r"unknown key generation\.endpoint\.adapters\.base"),
    ],
)
def test_names_of_adapters_are_those_of_the_models(
    adapters: dict[str, str], words: str, parts: Path, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    with serving(Both(parts / "model")) as server:
        by_name = {"url": server.url, "model": "base", "lora": "names", "adapters": adapters}
        chosen = served(server.url, generation__endpoint=by_name)
        if not words:
            opened(parts, str(run), **chosen)
            return
        with pytest.raises(ValueError, match=words):
            opened(parts, str(run), **chosen)
        assert server.got == []
    assert not run.exists()


class Routes(Both):
    """Says something about adapters that are not there, or has no such route."""

    said: Callable[[Got], Said]

    def __call__(self, got: Got) -> Said:
        return self.said(got) if got.path.endswith(("adapter", "route")) else super().__call__(got)


def vllm(got: Got) -> Said:
    if "unload" not in got.path:
        return as_json({"detail": "Not Found"}, 404)
    return failure(404, f"The lora adapter '{got.body['lora_name']}' cannot be found.")


@pytest.mark.parametrize(
    ("said", "refused"),
    [
        (vllm, False),
        (lambda got: failure(400, "no such adapter"), False),
        (lambda got: as_json({"detail": "Not Found"}, 404), True),
        (lambda got: as_json({"detail": "Method Not Allowed"}, 405), True),
        (lambda got: failure(404, f"Cannot POST {got.path}"), True),
        (lambda got: failure(404, f"not found, request {time.perf_counter_ns()}"), False),
        (lambda got: failure(503), False),
    ],
)
def test_a_server_that_cannot_load_adapters_is_found_out_where_it_shows(
    said: Callable[[Got], Said], refused: bool, parts: Path, tmp_path: Path
) -> None:
    answer = Routes(parts / "model")
    answer.said = said
    with serving(answer) as server:
        if refused:
            with pytest.raises(ValueError, match=r"HTTP 40[45] for /unload_lora.*RUNTIME_LORA"):
                opened(parts, str(tmp_path / "run"), **served(server.url))
        else:
            opened(parts, str(tmp_path / "run"), **served(server.url))


def test_consent_is_written_down_and_said(
    parts: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("paretohqd.runs.servers.Servers.probe", lambda self: None)
    with consenting(send_to=["api.example.org"]):
        one = RunContext(settings(parts, str(tmp_path / "run"), **served(AWAY)))
    one.folder.close()
    kept = json.loads((tmp_path / "run" / layout.CONSENT).read_text())
    assert kept["send_to"] == ["api.example.org"]
    # Who goes on says it again.
    with pytest.raises(ValueError, match="--send-to"):
        RunContext(settings(parts, str(tmp_path / "run"), **served(AWAY)))


def test_scores_depend_on_the_rubric_and_not_on_the_place(parts: Path) -> None:
    def keys(url: str, **judge: Any) -> Any:
        chosen = settings(parts, "run", **served(url, judge=judge))
        made = make_rewards(chosen.objectives, "cpu")
        return [identity(o, r, "") for o, r in zip(chosen.objectives, made, strict=True)]

    plain = keys("http://localhost:1/v1")
    assert plain == keys("http://127.0.0.1:2/v1", concurrency=1, retries=0)
    assert plain != keys("http://localhost:1/v1", rubric="Another?")
    text = json.dumps(plain)
    assert "localhost" not in text
    assert "Is the answer good?" not in text


def test_rubrics_lie_below_the_configuration(parts: Path, tmp_path: Path) -> None:
    chosen = mapping(parts, "run", **served("http://localhost:1/v1", judge={"rubric": "good.md"}))
    chosen["run"] = "run"
    file = tmp_path / "it.yaml"
    file.write_text(yaml.safe_dump(json.loads(json.dumps(chosen))))
    with pytest.raises(ValueError, match=r"judge\.rubric: 'good\.md' is neither the text of a"):
        config.load_settings(config.Config, file)
    (tmp_path / "good.md").write_text("Is it good?")
    one = config.load_settings(config.Config, file).objectives[0].judge
    assert one is not None
    assert one.rubric == str(tmp_path / "good.md")
    for wrong in ("../good.md", "/etc/hosts.txt", "~/good.md"):
        chosen["objectives"][0]["judge"]["rubric"] = wrong
        file.write_text(yaml.safe_dump(json.loads(json.dumps(chosen))))
        with pytest.raises(ValueError, match=r"judge\.rubric: .*below the configuration's folder"):
            config.load_settings(config.Config, file)


@pytest.mark.parametrize(
    ("objective", "words"),
    [
        ({"scorer": "embedded:harmless", "judge": {}}, "has a judge and a scorer"),
        ({"model": "./x", "judge": {}}, "has a judge and a scorer or a model"),
        ({"scorer": "embedded:harmless", "aspect": "Kind?"}, "aspect goes with a judge"),
        ({"judge": {"max_retries": 1}}, "unknown key objectives.*judge.max_retries"),
        ({"judge": {"api_key": "sk-1234"}}, "judge.api_key"),
        ({"judge": {"scale": [5, 1]}}, "scale must be"),
    ],
)
def test_objectives_that_are_refused(objective: dict[str, Any], words: str) -> None:
    judge = {"url": "http://localhost/v1", "model": "m", "rubric": "Good?"}
    if "judge" in objective:
        objective = {**objective, "judge": {**judge, **objective["judge"]}}
    given = {
        "run": "r",
        "data": {"source": "x.csv"},
        "objectives": [{"name": "a", **objective}, {"name": "b", "scorer": "embedded:harmless"}],
    }
    with pytest.raises(ValueError, match=words):
        from_mapping(config.Config, given)


def test_a_key_written_into_a_configuration_is_refused(tmp_path: Path) -> None:
    judge = {"url": "http://localhost/v1", "model": "m", "rubric": "Good?"}
    for secret in ({"api_key": "x"}, {"url": "https://me:hush@example.org/v1"}):
        given = {
            "run": "r",
            "data": {"source": "x.csv"},
            "objectives": [{"name": "a", "judge": {**judge, **secret}}],
        }
        (tmp_path / "it.yaml").write_text(yaml.safe_dump(given))
        with pytest.raises(ValueError, match="put it into the environment") as error:
            config.load_settings(config.Config, tmp_path / "it.yaml")
        assert "hush" not in str(error.value)


def saved_adapter(model: Path, folder: Path, seed: int) -> Path:
    loaded, _ = bases.load_base(Model(name=str(model)), device="cpu", dtype=torch.float32)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        config = LoraConfig(
            r=2, lora_alpha=16, target_modules="all-linear", init_lora_weights=False
        )
        changed = get_peft_model(loaded, config)
    changed.save_pretrained(folder)
    return folder


def test_a_sum_of_adapters_is_sampled_by_a_server_too(parts: Path, tmp_path: Path) -> None:
    """As soups are in a comparison: the sum is made here, and is one adapter for the server."""
    first, second = (saved_adapter(parts / "model", tmp_path / str(i), i) for i in range(2))
    prompts = sentences()[:3]
    with serving(Both(parts / "model")) as server:
        more = {"generation__temperature": 0, **served(server.url)}
        s = RunContext(settings(parts, str(tmp_path / "run"), **more))
        try:
            said = set()
            for adapters in ([(first, 0.5), (second, 0.25)], [(first, 0.5)], [(first, 1.0)], []):
                made, notes = answers(
                    s, prompts, adapters=adapters, seed=0, progress=lambda done, total: None
                )
                model, tokenizer = s.sampler(*adapters)
                expected = generate(
                    model, tokenizer, prompts, sampling=to_sampling(s.settings.generation)
                )
                assert made.equals(expected)
                said.add(tuple(made["response"]))
                assert notes["rows"] == 3
                assert notes["asked"]["other_prompts"] == 0
            assert len(said) == 4
            assert sum(map(any, said)) >= 3
            asked = len(server.asked)
            kept, _ = answers(
                s, prompts, adapters=[(first, 1.0)], seed=0, progress=lambda done, total: None
            )
            assert len(server.asked) == asked
            assert kept["response"].to_list() != made["response"].to_list()
            assert len({body["model"] for body in server.asked}) == 4
        finally:
            s.folder.close()
