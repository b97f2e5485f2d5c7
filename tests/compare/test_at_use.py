"""What acts at use: a second model, a choice after each sentence, weights read off a prompt."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from helpers.small_comparison import comparison
from helpers.tiny import load_tiny
from paretohqd.compare.evaluating import HeldOut, evaluate
from paretohqd.compare.methods import METHODS
from paretohqd.compare.methods._orchestrator import Orchestrator, fit, predicted, preferred_weights
from paretohqd.compare.methods._references import mixed_gain, reference_gains
from paretohqd.compare.methods.metaaligner import asked, edits
from paretohqd.compare.plan import check_together, plan
from paretohqd.compare.policy import Choice, Edit, Guidance, Policy
from paretohqd.compare.sampling import answered
from paretohqd.compare.using import EDITS, respond, strangers, to_edit
from paretohqd.compare.workbench import Workbench
from paretohqd.frames.conversations.prompts import read_prompt
from paretohqd.models import chat
from paretohqd.models.continuing import continued, sentence_ends
from paretohqd.models.guide import Tilt
from paretohqd.models.likelihood import likelihood
from paretohqd.models.prompt_features import prompt_features
from paretohqd.models.sampling import generate
from paretohqd.models.spec import Sampling
from paretohqd.runs.answering import to_sampling

pytestmark = pytest.mark.slow

Open = Callable[..., Workbench]
PROMPTS = ["Hi.", "What do you like, my friend?", "Tell me about the old house today."]


def read(folder: Path) -> pl.DataFrame:
    return pl.read_parquet(folder / "answers.parquet")


# ── sentence by sentence ─────────────────────────────────────────────────────────────────────


def test_tokens_that_end_a_sentence(causal: Path) -> None:
    _, tokenizer = load_tiny(causal)
    ends = sentence_ends(tokenizer)
    texts = {i: tokenizer.decode([i]) for i in range(len(tokenizer))}
    assert {texts[i] for i in ends} >= {".", "!", "?"}
    assert all(texts[i].rstrip(' ")]').endswith((".", "!", "?", "\n", "…")) for i in ends)
    assert not ends & {i for i, text in texts.items() if text.isalpha()}


def test_ways_to_go_on(causal: Path) -> None:
    """Each ends with its sentence or its length, whoever stands beside it."""
    model, tokenizer = load_tiny(causal)
    ids = chat.encode_prompts(tokenizer, PROMPTS)
    begun = [[], [40, 41], [50] * 9]
    common = {"candidates": 3, "seed": 5, "ends": {tokenizer.eos_token_id, 60, 61, 62, 63}}
    wide = Sampling(max_new_tokens=10, temperature=1.0, top_p=1.0, batch_size=64)
    ways = continued(model, tokenizer, ids, begun, [0, 1, 2], sampling=wide, **common)
    for own, answer in zip(ways, begun, strict=True):
        assert len(own) == 3
        for way in own:
            assert 1 <= len(way) <= 10 - len(answer)
            assert not set(way[:-1]) & common["ends"]
            assert way[-1] in common["ends"] or len(way) == 10 - len(answer)
    assert len({tuple(way) for own in ways for way in own}) > 3
    narrow = Sampling(max_new_tokens=10, temperature=1.0, top_p=1.0, batch_size=1)
    alone = continued(model, tokenizer, ids[2:], begun[2:], [2], sampling=narrow, **common)
    assert alone == ways[2:]


def test_each_sentence_is_the_best_of_some(bench: Open, tmp_path: Path) -> None:
    for name in ("chosen", "usual"):
        (tmp_path / name).mkdir()
    one = bench(generation__max_new_tokens=12)
    constants = {"kind": (0.0, 1.0), "brief": (0.0, 1.0)}
    choice = Choice(candidates=6, weights=(0.0, 1.0), constants=constants, each="sentence")
    prompts = one.prompts(5)
    made = respond(one, Policy(choice=choice), prompts, label="it", seed=1)
    frame = made.frame(prompts["prompt"].to_list())
    assert frame["prompt"].to_list() == prompts["prompt"].to_list()
    assert (frame["tokens"] <= 12).all()
    plain = pl.concat(
        [read(answered(one, Policy(), prompts, label="it", seed=seed).path) for seed in range(2, 8)]
    )
    scored = one.context.score(frame.select("prompt", "response"), work=tmp_path / "chosen")
    usual = one.context.score(plain.select("prompt", "response"), work=tmp_path / "usual")
    assert scored["brief"].mean() > usual["brief"].mean()
    assert made.made.notes["looked at"] >= frame["tokens"].sum()


# ── a second model ───────────────────────────────────────────────────────────────────────────


def test_what_the_second_model_reads() -> None:
    edit = Edit(adapters=(), request="Be kinder.")
    talk = to_edit(["Tea?", "Milk?"], ["No.", "Yes."], edit)
    assert [turn["content"] for turn in read_prompt(talk["prompt"][1])] == [
        *("Milk?", "Yes.", "Be kinder.")
    ]
    drafts = [str(i) for i in range(9)]
    other = to_edit(["Tea?"] * 9, drafts, Edit(adapters=(), request="x", shuffled=0))
    given = [read_prompt(prompt)[1]["content"] for prompt in other["prompt"]]
    assert given == other["draft"].to_list()
    assert sorted(given) == drafts
    assert all(draft != own for draft, own in zip(given, drafts, strict=True))
    assert strangers(1, [0]).tolist() == [0]


def test_the_second_models_answer_is_given(bench: Open) -> None:
    one = bench()
    prompts = one.prompts(4)
    edit = Edit(adapters=(), request="Be kinder.")
    given = respond(one, Policy(edit=edit), prompts, label="it", seed=1)
    frame = given.frame(prompts["prompt"].to_list())
    drafts = read(answered(one, Policy(), prompts, label="it", seed=1).path)
    talks = to_edit(prompts["prompt"].to_list(), drafts["response"].to_list(), edit)
    model, tokenizer = one.context.sampler()
    spec = one.settings.generation
    sampling = to_sampling(spec)
    # With other random numbers than its draft's: a model that edits its own would repeat it.
    wanted = generate(
        model, tokenizer, talks["prompt"].to_list(), seed=1 + EDITS, sampling=sampling
    )
    assert one.notes["drafts given back as they were"].keys() == {"it"}
    assert frame["response"].to_list() == wanted["response"].to_list()
    assert frame["prompt"].to_list() == prompts["prompt"].to_list(), "scorers see the question"
    assert given.read["prompt"].to_list() == talks["prompt"].to_list()
    assert Policy(edit=edit).passes == 2


def test_a_choice_is_told_apart_by_the_order_of_its_objectives() -> None:
    ends = {"kind": (0.0, 1.0), "brief": (2.0, 3.0)}
    other = {name: ends[name] for name in reversed(ends)}
    facts = [
        json.dumps(
            Choice(candidates=2, weights=(1.0, 0.0), constants=constants, each=each).facts(),
            sort_keys=True,
        )
        for constants in (ends, other)
        for each in ("answer", "sentence")
    ]
    assert len(set(facts)) == 4


def test_edits_go_both_ways_where_each_is_better_in_something() -> None:
    frame = pl.DataFrame(
        {
            "prompt": ["Tea?"] * 3 + ["Milk?"] * 2,
            "response": ["a", "b", "c", "d", "d"],
            "kind": [0.0, 2.0, 3.0, 0.0, 9.0],
            "brief": [2.0, 0.0, 3.0, 1.0, 1.0],
        }
    )
    made = edits(frame, ["kind", "brief"], margin=0.0, seed=0)
    pairs = []
    for prompt, response in made.rows():
        _, draft, wish = (turn["content"] for turn in read_prompt(prompt))
        wanted = wish.removeprefix("Edit your last answer so that it is better in: ")
        pairs.append((draft, response, sorted(wanted.split(". ")[0].split(", "))))
    assert pairs == [
        ("a", "b", ["kind"]),
        ("a", "c", ["brief", "kind"]),
        ("b", "a", ["brief"]),
        ("b", "c", ["brief", "kind"]),
    ]
    assert asked(["a", "b", "c"], (1 / 3, 1 / 3, 1 / 3)) == ["a", "b", "c"]
    assert asked(["a", "b"], (0.5, 0.5)) == ["a", "b"]
    with pytest.raises(ValueError, match="margin: no answer is better than another"):
        METHODS["metaaligner"].run(Bare(frame), METHODS["metaaligner"].options(margin=99.0))


class Bare:
    """As much of a bench as a method reads before it trains."""

    names = ("kind", "brief")
    seed = 0
    allowed = None

    def __init__(self, frame: pl.DataFrame) -> None:
        self.frame, self.notes = frame, dict[str, Any]()
        spec = type("Generation", (), {"prompts": 1})()
        self.settings = type("Settings", (), {"generation": spec, "sample_pairs": 4})()

    def scored(self) -> pl.DataFrame:
        return self.frame

    def table(self, kind: str, work: Callable[[], pl.DataFrame], *given: Any, **more: Any) -> Any:
        return work()


# ── weights read off a prompt ────────────────────────────────────────────────────────────────


def test_the_regression_is_at_its_optimum() -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(60, 4))
    power = np.exp(x @ rng.normal(size=(4, 3)))
    targets = power / power.sum(axis=1, keepdims=True)
    fitted, facts = fit(x, targets, seed=0)
    assert facts["nats learned"] < 0.3 * facts["nats constant"]
    back = np.random.default_rng([0, 41]).permutation(60)[:12]
    rest = np.setdiff1d(np.arange(60), back)

    def loss(weight: np.ndarray) -> float:
        told = predicted({**fitted, "weight": weight.tolist()}, x[rest])
        nats = (targets[rest] * (np.log(targets[rest]) - np.log(told))).sum(axis=1).mean()
        return float(nats + 0.005 * np.square(weight).sum())

    best = np.array(fitted["weight"])
    for _ in range(50):
        assert loss(best) <= loss(best + rng.normal(scale=0.05, size=best.shape)) + 1e-9


def test_features_do_not_depend_on_the_batch(causal: Path) -> None:
    model, tokenizer = load_tiny(causal)
    whole = prompt_features(model, tokenizer, PROMPTS * 12)
    for i, prompt in enumerate(PROMPTS):
        (alone,) = prompt_features(model, tokenizer, [prompt])
        np.testing.assert_allclose(whole[i::3], np.tile(alone, (12, 1)), atol=1e-5)
    assert prompt_features(model, tokenizer, []).shape == (0, 32)


def test_weights_of_a_prompt_and_the_controls(bench: Open) -> None:
    one = bench()
    frame, names = one.scored(), one.names
    wanted = preferred_weights(frame, names)
    assert wanted["prompt"].to_list() == frame["prompt"].unique(maintain_order=True).to_list()
    np.testing.assert_allclose(np.array(wanted["weights"].to_list()).sum(axis=1), 1)
    prompts = one.prompts(6)["prompt"].to_list()
    told = {
        kind: Orchestrator(one, frame, prompts=30, told=kind)(prompts)  # type: ignore[arg-type]
        for kind in ("learned", "constant", "shuffled")
    }
    assert len({tuple(row) for row in told["learned"].tolist()}) == 6
    assert len({tuple(row) for row in told["constant"].tolist()}) == 1
    assert sorted(told["shuffled"].tolist()) == sorted(told["learned"].tolist())
    assert (told["shuffled"] != told["learned"]).any(axis=1).all()
    policy = Policy(told=lambda prompts: [f"I say {len(prompt)}." for prompt in prompts])
    asked_for = one.prompts(4)
    given = respond(one, policy, asked_for, label="it", seed=1)
    texts = [f"I say {len(prompt)}." for prompt in asked_for["prompt"]]
    assert given.read[chat.SYSTEM_PROMPT].to_list() == texts
    model, tokenizer = one.context.sampler()
    spec = one.settings.generation
    wanted = generate(
        model,
        tokenizer,
        asked_for["prompt"].to_list(),
        system_prompt=texts,
        seed=1,
        sampling=to_sampling(spec),
    )
    frame = given.frame(asked_for["prompt"].to_list())
    assert frame["response"].to_list() == wanted["response"].to_list()


def test_what_scorers_read_is_in_the_key(bench: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    one = bench()
    s, prompts = one.context, one.prompts(3)
    monkeypatch.setattr(s, "columns", ["reference"])
    names = [
        evaluate(
            s,
            one,
            Policy(),
            HeldOut(
                label="it",
                rows=prompts.with_columns(reference=pl.lit(text)),
                positions=(0, 1, 2),
            ),
            0,
        )
        for text in ("a", "b", "a")
    ]
    assert names[0] == names[2] != names[1]


# ── several references ───────────────────────────────────────────────────────────────────────


def test_a_mixed_reference_is_the_formulas() -> None:
    rng = np.random.default_rng(0)
    own, more = rng.normal(size=(2, 7)), rng.normal(size=(3, 2, 7))
    w = np.array([0.2, 0.0, 0.8])
    mixed = -np.log(sum(w[k] * np.exp(-(own + more[k])) for k in range(3)))
    expected = (mixed[0] - mixed[1]) - (own[0] - own[1])
    np.testing.assert_allclose(mixed_gain(more, w.tolist()), expected)


def test_gains_of_references_are_read_from_models(bench: Open) -> None:
    one = bench()
    soups = METHODS["soups"]
    policies = soups.run(one, soups.read({}, "methods[0]", name="soups"))
    corners = [policy.adapters[0][0] for policy in policies]
    frame = one.scored().head(4)
    pairs = frame.select("prompt", chosen="response").with_columns(rejected=pl.lit("Yes."))
    gains = reference_gains(one, pairs, corners, longest=40)
    assert gains.shape == (2, 2, 4)
    prompts = pairs["prompt"].to_list()
    for k, corner in enumerate(corners):
        for side, name in enumerate(("chosen", "rejected")):
            answers = pairs[name].to_list()
            cut = {"longest": 40}  # as training reads them
            after = likelihood(*one.context.sampler((corner, 1.0)), prompts, answers, **cut)["logp"]
            before = likelihood(*one.context.sampler(), prompts, answers, **cut)["logp"]
            np.testing.assert_allclose(gains[k, side], after - before, atol=1e-4)
    assert any(cost.passed for cost in one.costs)


# ── what does not go together ────────────────────────────────────────────────────────────────


def test_what_acts_together_is_checked(parts: Path, tmp_path: Path) -> None:
    guidance = Guidance(folder=tmp_path, tilt=Tilt(weights=(1.0,), candidates=5), action=False)
    assert Policy(guidance=guidance).passes == 6
    assert Policy(guidance=guidance).folders == {tmp_path}
    with pytest.raises(ValueError, match="reads along with the base alone"):
        Policy(guidance=guidance, system_prompt="Hi.")
    choice = Choice(candidates=2, weights=(1.0,), constants={"a": (0, 1)}, each="sentence")
    with pytest.raises(ValueError, match="one answer is edited, none that is chosen"):
        Policy(choice=choice, edit=Edit(adapters=(), request="x"))
    with pytest.raises(ValueError, match="there is one system prompt for all"):
        Policy(choice=choice, told=lambda prompts: list(prompts))
    server = {"url": "http://127.0.0.1:9/v1", "model": "it"}
    for method in ("mavis", "guided"):
        chosen = comparison(
            parts, str(tmp_path / "run"), methods=["paretohqd", method], generation__endpoint=server
        )
        with pytest.raises(ValueError, match=f"generation.endpoint: {method} acts on each answer"):
            check_together(chosen, list(plan(chosen)))


def test_numbers_are_json(bench: Open) -> None:
    """What is noted for the page can be written down."""
    one = bench()
    Orchestrator(one, one.scored(), prompts=30, told="learned")
    respond(one, Policy(edit=Edit(adapters=(), request="x")), one.prompts(2), label="it", seed=1)
    assert json.loads(json.dumps(one.notes)) == one.notes
