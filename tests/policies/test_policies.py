"""The models of a finished run for any preference."""

from __future__ import annotations

import io
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import torch
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial import Delaunay

import paretohqd as pq
from paretohqd.kernels.rays import preference_grid
from paretohqd.models import base
from paretohqd.models.adapters import load_mixture
from paretohqd.models.chat import Form
from paretohqd.models.sampling import generate
from paretohqd.models.spec import Model, Sampling
from paretohqd.plots.progress import Screen
from paretohqd.policies import loaded
from paretohqd.policies.cells import parts_of
from paretohqd.policies.finished import open_run
from paretohqd.policies.measuring import measure, render
from paretohqd.policies.replies import Request, _Talker, reply
from paretohqd.policies.scorers import scorers_of
from paretohqd.policies.talking import HELP, chat
from paretohqd.runs import layout
from paretohqd.safety.printing import printable

pytestmark = pytest.mark.slow

GAP = "<think>\n\n</think>\n\n"
"""What Qwen3's template writes between prompt and answer."""


# ── cells ────────────────────────────────────────────────────────────────────────────────────


def test_two_objectives_are_cut_at_the_trained_preferences() -> None:
    trained = [(1.0, 0.0), (0.8, 0.2), (0.3, 0.7), (0.0, 1.0)]
    for w in np.linspace(0, 1, 41):
        parts = parts_of((1 - w, w), trained)
        made = np.array(parts.shares) @ np.array(trained)[list(parts.places)]
        np.testing.assert_allclose(made, [1 - w, w], atol=1e-9)
        if parts.exact:
            assert min(abs(w - own[1]) for own in trained) < 1e-6
        else:
            low, high = (trained[place][1] for place in parts.places)
            assert low < w < high
            assert not any(low < own[1] < high for own in trained)


@given(
    m=st.integers(3, 4),
    count=st.integers(5, 12),
    seed=st.integers(0, 10_000),
)
@settings(max_examples=40, deadline=None)
def test_cells_are_those_of_the_triangulation(m: int, count: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    trained = np.vstack([np.eye(m), rng.dirichlet(np.ones(m), size=count)])
    triangles = Delaunay(trained[:, :-1] @ _to_plane(m))
    for w in rng.dirichlet(np.ones(m), size=5):
        parts = parts_of(w.tolist(), trained)
        np.testing.assert_allclose(
            np.array(parts.shares) @ trained[list(parts.places)], w, atol=1e-8
        )
        cell = int(triangles.find_simplex(w[:-1] @ _to_plane(m)))
        assert set(parts.places) <= set(triangles.simplices[cell].tolist())


def _to_plane(m: int) -> np.ndarray:
    """From the first m - 1 weights to coordinates in which distances are those of weights."""
    return np.linalg.cholesky(np.eye(m - 1) + np.ones((m - 1, m - 1)))


def test_a_lattice_and_what_lies_outside() -> None:
    lattice = preference_grid(3, 4)
    for place, w in enumerate(lattice):
        assert parts_of(w.tolist(), lattice).places == (place,)
    inside = parts_of((0.3, 0.3, 0.4), lattice)
    assert len(inside.places) == 3
    assert not inside.exact
    outside = parts_of((0.0, 1.0), [(1.0, 0.0), (0.4, 0.6)])
    assert (outside.places, outside.weights) == ((1,), (0.4, 0.6))
    beside = parts_of((0.0, 0.5, 0.5), [(1, 0, 0), (0, 1, 0)])
    np.testing.assert_allclose(beside.weights, (0.25, 0.75, 0), atol=1e-6)
    assert parts_of((0.5, 0.5), [(0.3, 0.7)]).places == (0,)


# ── loading ──────────────────────────────────────────────────────────────────────────────────


def load(folder: Path) -> tuple[Any, Any]:
    return base.load_base(Model(name=str(folder)), device="cpu", dtype=torch.float32)


def test_a_trained_preference_is_its_adapter(finished: Path, parts: Path) -> None:
    run = pq.load(finished, device="cpu")
    assert run.objectives == ("kind", "brief")
    assert list(run.preferences) == ["kind", "both", "brief"]
    held_out = pl.read_parquet(finished / "evaluate/stage2-02-brief/answers.parquet")
    policy = run.policy("brief")
    assert policy.parts.exact
    assert str(policy) == "the model trained for brief"
    assert policy.predicted["kind"].mean == pytest.approx(held_out["kind"].mean())
    model, tokenizer = load(parts / "model")
    adapter = finished / "stage2/fit/02-brief/adapter"
    tuned = load_mixture(model, [(adapter, 1.0)])
    sampling = Sampling(max_new_tokens=8)
    for prompt in held_out["prompt"].to_list():
        wanted = generate(tuned, tokenizer, [prompt], seed=4, sampling=sampling)["response"][0]
        assert policy.generate(prompt, seed=4) == wanted
        assert "".join(policy.stream(prompt, seed=4)) == wanted
    said = {policy.generate(held_out["prompt"][0], seed=seed) for seed in range(8)}
    assert len(said) > 1
    assert run.policy("kind").generate("Hi.", temperature=0.0) is not None


def test_between_preferences_it_is_the_sum_of_the_neighbours(finished: Path, parts: Path) -> None:
    policy = pq.policy(finished, {"kind": 3, "brief": 1}, device="cpu")
    assert policy.asked == (0.75, 0.25)
    assert "were divided by that" in policy.note
    assert str(policy) == "the sum of 0.5 of kind and 0.5 of both"
    model, tokenizer = load(parts / "model")
    fits = [finished / f"stage2/fit/{name}/adapter" for name in ("00-kind", "01-both")]
    mixed = load_mixture(model, [(fits[0], 0.5), (fits[1], 0.5)])
    ids = torch.tensor([tokenizer.encode("What do you like?")])
    own, _ = policy.run.model(policy.parts)
    with torch.inference_mode():
        torch.testing.assert_close(own(ids).logits, mixed(ids).logits)
    frames = [
        pl.read_parquet(finished / f"evaluate/stage2-{name}/answers.parquet")
        for name in ("00-kind", "01-both")
    ]
    both = (frames[0]["brief"] + frames[1]["brief"]) / 2
    assert policy.predicted["brief"].mean == pytest.approx(both.mean())
    assert policy.predicted["brief"].se == pytest.approx(both.std() / len(both) ** 0.5)


def test_moving_between_policies_leaves_nothing_behind(finished: Path) -> None:
    run = pq.load(finished, device="cpu")
    moves: list[Any] = ["kind", [0.6, 0.4], "brief", [0.1, 0.9]]
    first = {str(w): run.policy(w).generate("Tell me.", seed=1) for w in moves}
    for w in [*moves[::-1], *moves]:
        assert run.policy(w).generate("Tell me.", seed=1) == first[str(w)]
    model, tokenizer = run.model(run.policy("kind").parts)
    assert len(model.peft_config) == 1
    bare, _ = run.model(None)
    fresh, _ = load(Path(run.spec.name))
    ids = torch.tensor([tokenizer.encode("Tell me.")])
    with torch.inference_mode():
        assert torch.equal(bare(ids).logits, fresh(ids).logits)
    assert run.policy("kind").generate("Tell me.", seed=1) == first["kind"]


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        ("sharp", "no preference of this run"),
        ({"kin": 1.0}, "no objective"),
        ([1.0], "expected 2 numbers, for kind, brief"),
        ([1.0, 0.0, 0.0], "expected 2 numbers"),
        ([-0.1, 1.1], "expected numbers of at least 0"),
        ([0.0, 0.0], "not all 0"),
        ([float("nan"), 1.0], "expected numbers of at least 0"),
        ([float("inf"), 1.0], "expected numbers of at least 0"),
        (["a", "b"], "expected 2 numbers"),
        ({}, "not all 0"),
    ],
)
def test_weights_off_the_simplex(finished: Path, weights: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        pq.load(finished).policy(weights)


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_the_number_format_is_the_runs(copied: Path, precision: str) -> None:
    """Not what a probe finds: under load that may be another one."""
    file = copied / layout.MACHINE
    file.write_text(json.dumps(json.loads(file.read_text()) | {"precision": precision}))
    model, _ = pq.load(copied, device="cpu").model(None)
    assert str(model.dtype) == f"torch.{precision}"


def test_weights_of_any_size(finished: Path) -> None:
    policy = pq.load(finished).policy([1e308, 1e308])
    assert policy.asked == (0.5, 0.5)
    assert pq.load(finished).policy([1e-320, 0]).asked == (1, 0)


def test_a_sum_that_fails_leaves_no_other_model_behind(
    finished: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = pq.load(finished, device="cpu")
    first = run.policy("brief").generate("Tell me.", seed=1)

    def half(model: Any, adapters: Any) -> Any:
        load_mixture(model, adapters[:1])
        raise ValueError("the second is damaged")

    with monkeypatch.context() as patched:
        patched.setattr(loaded, "load_mixture", half)
        with pytest.raises(ValueError, match="the second is damaged"):
            run.policy([0.75, 0.25]).generate("Tell me.", seed=1)
    assert run.policy("brief").generate("Tell me.", seed=1) == first
    assert not hasattr(run.model(None)[0], "peft_config")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"temperature": -1}, "temperature: expected"),
        ({"temperature": float("nan")}, "temperature: expected"),
        ({"temperature": float("inf")}, "temperature: expected"),
        ({"top_p": 5}, "top_p: expected"),
        ({"top_p": 0}, "top_p: expected"),
        ({"max_new_tokens": 0}, "max_new_tokens: expected a whole number from 1 on, got 0"),
        ({"max_new_tokens": -5}, "max_new_tokens: expected"),
        ({"max_new_tokens": 2.5}, "max_new_tokens: expected"),
    ],
)
def test_ways_to_sample_that_there_are_not(
    finished: Path, options: dict[str, Any], message: str
) -> None:
    policy = pq.policy(finished, "both", device="cpu")
    with pytest.raises(ValueError, match=message):
        policy.generate("Hi.", **options)
    with pytest.raises(ValueError, match=message):
        list(policy.stream("Hi.", **options))


def test_a_temperature_of_next_to_nothing_takes_the_likeliest(finished: Path) -> None:
    policy = pq.policy(finished, "both", device="cpu")
    assert policy.generate("Hi.", temperature=1e-40) == policy.generate("Hi.", temperature=0)


@pytest.mark.parametrize(
    "messages",
    [
        [{"role": "user"}],
        {"role": "user", "content": "x"},
        ["hi"],
        [{"role": "user", "content": [{"type": "text", "text": "x"}]}],
        [{"content": "x"}],
    ],
)
def test_what_is_no_conversation(finished: Path, messages: Any) -> None:
    with pytest.raises(ValueError, match="messages"):
        pq.policy(finished, "both").generate(messages)


def test_conversations_and_what_they_must_be(finished: Path) -> None:
    policy = pq.policy(finished, "both", device="cpu")
    talk = [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "Tea?"},
        {"role": "assistant", "content": "Yes."},
        {"role": "user", "content": "Why?"},
    ]
    assert isinstance(policy.generate(talk, seed=1), str)
    for wrong in (talk[:3], [], [{"role": "assistant", "content": "x"}]):
        with pytest.raises(ValueError, match="must end with the user"):
            policy.generate(wrong)
        with pytest.raises(ValueError, match="must end with the user"):
            next(policy.stream(wrong))
    with pytest.raises(ValueError, match="context"):
        policy.generate("Tea? " * 2000)
    with pytest.raises(ValueError, match="context"):
        list(policy.stream("Tea? " * 2000))
    assert policy.generate("Tea?"), "and it goes on"


def test_who_stops_listening_stops_the_answer(finished: Path) -> None:
    policy = pq.policy(finished, "both", device="cpu")
    pieces = policy.stream("Tell me all about it.", seed=2, max_new_tokens=900)
    next(pieces)
    pieces.close()
    assert not policy.run.lock.locked()
    assert policy.generate("Tea?")


# ── folders that are not what they should be ─────────────────────────────────────────────────


@pytest.fixture
def copied(finished: Path, parts: Path, tmp_path: Path) -> Path:
    """The run, and its base beside it, which the configuration names."""
    shutil.copytree(finished, tmp_path / "run")
    shutil.copytree(parts / "model", tmp_path / "model")
    return tmp_path / "run"


def test_an_unfinished_run_says_what_is_missing(copied: Path) -> None:
    (copied / layout.FACTS).unlink()
    with pytest.raises(ValueError, match=r"is not a finished run: facts.json missing"):
        pq.load(copied)
    shutil.rmtree(copied / layout.SUMMARY)
    with pytest.raises(ValueError, match=r"facts.json, evaluate/summary/metrics.json missing"):
        pq.load(copied)
    with pytest.raises(ValueError, match="no such folder"):
        pq.load(copied / "nothing")


def test_an_adapter_that_is_gone(copied: Path) -> None:
    shutil.rmtree(copied / "stage2/fit/01-both/adapter")
    with pytest.raises(
        ValueError, match=r"1 of 3 adapters are missing \(first: stage2/fit/01-both"
    ):
        pq.load(copied)
    assert pq.load(copied, stage=1).finished.stage == 1
    with pytest.raises(ValueError, match="has stages 1 to 2, not 3"):
        pq.load(copied, stage=3)


def test_a_base_that_is_gone_or_another(copied: Path, parts: Path, tmp_path: Path) -> None:
    text = (copied / layout.CONFIG).read_text()
    name = next(line for line in text.splitlines() if line.strip().startswith("name: ")).split()[-1]
    (copied / layout.CONFIG).write_text(text.replace(name, "./gone", 1))
    with pytest.raises(ValueError, match=r"name the base of this run with model= \(--model"):
        pq.load(copied)
    moved = pq.load(copied, model=str(tmp_path / "model"))
    assert moved.policy("both").generate("Hi.", seed=3) == pq.policy(
        copied, "both", model=str(parts / "model")
    ).generate("Hi.", seed=3)
    config = tmp_path / "model" / "generation_config.json"
    config.write_text(config.read_text() + "\n")
    with pytest.raises(ValueError, match=r"not what the adapters were trained on \(its files cha"):
        pq.load(copied, model=str(tmp_path / "model"))


def test_a_template_that_changed_since(copied: Path) -> None:
    text = (copied / layout.CONFIG).read_text()
    other = "{% for m in messages %}{{ m['content'] }}<|im_end|>{% endfor %}"
    plain = text.replace("chat_template: null", f'chat_template: "{other}"')
    assert plain != text
    (copied / layout.CONFIG).write_text(plain)
    with pytest.raises(ValueError, match="its chat template changed since"):
        pq.load(copied)


def test_nothing_in_the_folder_is_written(finished: Path) -> None:
    before = {p: p.stat().st_mtime_ns for p in finished.rglob("*")}
    policy = pq.policy(finished, [0.3, 0.7], device="cpu")
    policy.generate("Hi.")
    assert policy.predicted
    measure(policy, scorers_of(policy.run, device="cpu"))
    assert {p: p.stat().st_mtime_ns for p in finished.rglob("*")} == before


# ── several requests at once ─────────────────────────────────────────────────────────────────


def test_each_request_gets_what_it_would_get_alone(causal: Path) -> None:
    model, tokenizer = load(causal)
    prompts = ["Hi.", "What do you like, my friend?", "Tell me about the old house today."]
    ids = [tokenizer.encode(prompt) for prompt in prompts]
    longest = [20, 5, 12]
    alone = []
    for own, most, seed in zip(ids, longest, (3, 4, 5), strict=True):
        request = Request(ids=own, max_tokens=most, seed=seed)
        alone += reply(model, tokenizer, [request], temperature=0.8, top_p=0.9)
    heard: list[list[str]] = [[], [], []]
    requests = [
        Request(ids=own, max_tokens=most, seed=seed, said=heard[i].append)
        for i, (own, most, seed) in enumerate(zip(ids, longest, (3, 4, 5), strict=True))
    ]
    together = reply(model, tokenizer, requests, temperature=0.8, top_p=0.9)
    assert together == alone
    assert ["".join(pieces) for pieces in heard] == [one.text for one in together]
    assert [one.tokens for one in together] == [
        most if one.end == "length" else one.tokens
        for most, one in zip(longest, together, strict=True)
    ]


def test_texts_at_which_an_answer_ends(causal: Path) -> None:
    model, tokenizer = load(causal)
    ids = tokenizer.encode("What do you like, my friend?")
    whole = reply(
        model, tokenizer, [Request(ids=ids, max_tokens=20, seed=1)], temperature=1, top_p=1
    )[0]
    stop = whole.text[6:9]
    heard: list[str] = []
    request = Request(ids=ids, max_tokens=20, seed=1, stop=(stop, "never"), said=heard.append)
    cut = reply(model, tokenizer, [request], temperature=1, top_p=1)[0]
    assert cut.text == whole.text[: whole.text.index(stop)]
    assert (cut.end, "".join(heard)) == ("stop", cut.text)
    gone = Request(ids=ids, max_tokens=20, cancelled=lambda: True)
    assert reply(model, tokenizer, [gone], temperature=1, top_p=1)[0].end == "cancelled"


def said_of(pieces: list[str], stop: tuple[str, ...] = (), gap: str = "") -> tuple[str, str]:
    """What is passed on of an answer in pieces, and the whole answer."""
    heard: list[str] = []

    class Words:
        """A tokenizer whose tokens are the pieces."""

        def decode(self, ids: list[int], **more: Any) -> str:
            return "".join(pieces[i] for i in ids)

    request = Request(ids=[0], max_tokens=len(pieces), stop=stop, said=heard.append)
    talker = _Talker.__new__(_Talker)
    talker.request, talker.tokenizer, talker.ends = request, Words(), set()
    talker.form, talker.tokens, talker.text, talker.told = Form(gap=gap), [], "", 0
    talker.end = "length"
    for token in range(len(pieces)):
        if not talker.hear(token):
            break
    return "".join(heard), talker.reply().text


@pytest.mark.parametrize(
    ("pieces", "stop", "gap", "whole"),
    [
        (["Us", "e", "r", ":"], ("User:",), "", ""),
        (["He", "llo", " Us", "er:", " x"], ("User:",), "", "Hello "),
        (["a", "b"], ("a stop that is long",), "", "ab"),
        (["<think>", "\n\n", "</think>", "\n\n", "Yes", ", gladly"], (), GAP, "Yes, gladly"),
        (["<b>", "Yes"], (), GAP, "<b>Yes"),
        (["<think>", "Hm.", "</think>"], (), GAP, "<think>Hm.</think>"),
        (["\ufffd", "\ufffd", "."], (), "", "\ufffd\ufffd."),
    ],
)
def test_a_stream_is_the_answer(
    pieces: list[str], stop: tuple[str, ...], gap: str, whole: str
) -> None:
    assert said_of(pieces, stop, gap) == (whole, whole)


# ── measuring and talking ────────────────────────────────────────────────────────────────────


def test_a_trained_preference_measures_as_in_the_run(finished: Path) -> None:
    run = pq.load(finished, device="cpu")
    rewards = scorers_of(run, device="cpu")
    (own,) = [measure(run.policy("both"), rewards)]
    recorded = pl.read_parquet(finished / "evaluate/stage2-01-both/answers.parquet")
    assert own.answers["response"].to_list() == recorded["response"].to_list()
    np.testing.assert_allclose(own.answers["kind"], recorded["kind"], atol=1e-6)
    assert own.beyond["kind"].mean == pytest.approx(0, abs=1e-6)
    between = measure(run.policy([0.75, 0.25]), rewards, screen=Screen(file=io.StringIO()))
    policy = between.policy
    assert between.beyond["brief"].mean == pytest.approx(
        between.rewards["brief"].mean - policy.predicted["brief"].mean, abs=1e-6
    )
    text = render([own, between])
    assert "the sum of 0.5 of kind and 0.5 of both" in text


def test_a_chat_moves_between_trade_offs(finished: Path) -> None:
    out = io.StringIO()
    lines = ["Hi.", "/w .75 .25", "Why?", "/side brief", "/again", "/w nobody", "/nothing", "/help"]
    lines += ["/w 3 1", "/side", "/new", "/again", "Tea? " * 2000, "Tea?", "/quit", "never read"]
    run = pq.load(finished, device="cpu")
    chat(run, weights="kind", seed=5, device="cpu", lines=iter(lines), out=out)
    said = out.getvalue()
    first = run.policy("kind").generate("Hi.", seed=5)
    talk = [{"role": "user", "content": "Hi."}, {"role": "assistant", "content": first}]
    second = run.policy([0.75, 0.25]).generate([*talk, {"role": "user", "content": "Why?"}], seed=6)
    for text in (
        printable(first),
        printable(second),
        "the sum of 0.5 of kind and 0.5 of both",
        "   [kind ",
    ):
        assert text in said
    assert "the model trained for brief" in said
    for text in (
        HELP,
        "no word /nothing",
        "no preference of this run",
        "nothing was said yet",
        "context",
    ):
        assert text in said
    assert said.count("   [kind ") == 5
    assert "never read" not in said


def test_the_commands(finished: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from paretohqd.cli.main import main

    out = tmp_path / "answers.parquet"
    command = ["eval", str(finished), "--device", "cpu", "--weights", ".75", ".25"]
    assert main([*command, "--weights", "brief", "-o", str(out)]) == 0
    printed = capsys.readouterr().out
    assert "the sum of 0.5 of kind and 0.5 of both" in printed
    assert len(pl.read_parquet(out)) == 10
    assert main([*command, "--weights", "nobody"]) == 1
    assert "no preference of this run" in capsys.readouterr().err


def test_scorers_that_are_not_at_hand(copied: Path) -> None:
    config = copied / layout.CONFIG
    plain = yaml.safe_load(config.read_text())
    plain["objectives"][0] |= {"column": "kind", "model": None}
    config.write_text(yaml.safe_dump(plain))
    manifest = json.loads((copied / "stage2/fit/00-kind/manifest.json").read_text())
    assert manifest["inputs"]["model"]
    out = io.StringIO()
    chat(pq.load(copied, device="cpu"), device="cpu", lines=iter(["Hi."]), out=out)
    assert "no scores under answers: " in out.getvalue()
    assert open_run(copied).objectives == ("kind", "brief")
