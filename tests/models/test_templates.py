"""Templates are tried out before any work: what is fixed, said or refused."""

from __future__ import annotations

import dataclasses
import datetime
import io
import json
import shutil
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import yaml

from helpers import small_run
from helpers.shapes import (
    DATED,
    DROPS_SYSTEM,
    END,
    INSTRUCT,
    NO_PROMPT,
    NO_SYSTEM,
    NO_THINK,
    THINK,
    TURN,
    with_template,
)
from helpers.small_fit import CPU, TRAIN, Load
from helpers.tiny import CHAT_TEMPLATE, tiny_tokenizer
from paretohqd.compare.methods import ric
from paretohqd.frames.conversations.prompts import write_prompt
from paretohqd.models import base, chat
from paretohqd.models.spec import Model
from paretohqd.plots.progress import Screen
from paretohqd.runs import sampling
from paretohqd.runs.context import RunContext
from paretohqd.trainers import sft


@pytest.mark.parametrize("template", [NO_SYSTEM, DROPS_SYSTEM, INSTRUCT])
def test_system_messages_without_a_system_role_stand_before_the_users_text(template: str) -> None:
    tokenizer = with_template(template)
    assert not chat.find_form(tokenizer).system
    encoded = chat.encode_prompts(tokenizer, ["Tea?", "Tea?"], ["Be brief.", ""])
    assert encoded == chat.encode_prompts(tokenizer, ["Be brief.\n\nTea?", "Tea?"])


@pytest.mark.parametrize("template", [NO_SYSTEM, DROPS_SYSTEM, INSTRUCT])
def test_an_empty_system_message_is_none_where_there_is_no_role_for_it(template: str) -> None:
    tokenizer = with_template(template)
    user = {"role": "user", "content": "Tea?"}
    empty, full = (
        write_prompt([{"role": "system", "content": text}, user]) for text in ("", "Be brief.")
    )
    encoded = chat.encode_prompts(tokenizer, [empty, empty], ["", "Be brief."])
    assert encoded == chat.encode_prompts(tokenizer, ["Tea?", "Be brief.\n\nTea?"])
    with pytest.raises(ValueError, match=r"takes no system message.* prompts; first: row 1"):
        chat.encode_prompts(tokenizer, [empty, full])


def test_a_default_system_message_is_the_templates_affair() -> None:
    default = (
        "{% if messages[0]['role'] != 'system' %}{{ '<|im_start|>system\nBe kind.<|im_end|>\n' }}"
        "{% endif %}" + CHAT_TEMPLATE
    )
    tokenizer = with_template(default)
    assert chat.find_form(tokenizer).system
    texts = [tokenizer.decode(ids) for ids in chat.encode_prompts(tokenizer, ["?"] * 2, ["", "A."])]
    assert [text.split("\n")[1] for text in texts] == [f"Be kind.{END}", f"A.{END}"]


@pytest.mark.parametrize(
    ("template", "message"),
    [
        ("{% for", "the chat template fails: "),
        ("{{ raise_exception('no') }}", "the chat template fails: no"),
        ("template.jinja", r"leaves the user's text out: it writes 'template\.jinja'"),
        (CHAT_TEMPLATE.replace("['content']", "['content'] | upper"), "leaves the user's text out"),
        (CHAT_TEMPLATE + "{{ ['a', 'b'] | random }}", "draws at random"),
        (CHAT_TEMPLATE + "{{ strftime_now(bos_token) }}", "asks for the time in a form that"),
    ],
)
def test_templates_that_nothing_can_be_done_with(causal: Path, template: str, message: str) -> None:
    with pytest.raises(ValueError, match=f"model .*{message}.*"):
        base.load_tokenizer(Model(name=str(causal), chat_template=template))


@pytest.mark.parametrize(
    ("template", "message"),
    [
        (
            "{% if add_generation_prompt %}{{ 'Go. ' }}{% endif %}" + CHAT_TEMPLATE,
            r"generation prompt is no beginning of its conversation: a prompt is 'Go\. ",
        ),
        (CHAT_TEMPLATE.replace(END, ""), r"ends an answer without <\|im_end\|>"),
        (CHAT_TEMPLATE + CHAT_TEMPLATE, "no beginning|writes an answer 2 times"),
    ],
)
def test_templates_that_cannot_be_trained_with(
    causal: Path, load: Load, rows: pl.DataFrame, tmp_path: Path, template: str, message: str
) -> None:
    """Refused when a run opens, by the same words as by a training."""
    with pytest.raises(ValueError, match=f"^model .*{message}"):
        base.check_trainable(Model(name=str(causal), chat_template=template))
    model, tokenizer = load(template)
    with pytest.raises(ValueError, match=message):
        sft.fit(model, tokenizer, rows, tmp_path, machine=CPU, train=TRAIN, lora={"r": 1})
    assert not list(tmp_path.iterdir())


def test_named_templates() -> None:
    assert chat.named_template({"default": "a", "tool_use": "b"}) == "a"
    with pytest.raises(ValueError, match=r"several chat templates \(rag, tool_use\) and none"):
        chat.named_template({"tool_use": "b", "rag": "c"})


def test_the_day_is_fixed_when_the_template_is_loaded(causal: Path) -> None:
    spec = Model(name=str(causal), chat_template=DATED, date="2024-07-26")
    tokenizer = base.load_tokenizer(spec)
    [ids] = chat.encode_prompts(tokenizer, ["Hi"])
    assert tokenizer.decode(ids).startswith("Today: 26 Jul 2024\n")
    assert base.identity(spec) != base.identity(Model(name=str(causal), chat_template=DATED))
    today = base.load_tokenizer(Model(name=str(causal), chat_template=DATED))
    assert datetime.date.today().strftime("%Y") in today.chat_template
    with pytest.raises(ValueError, match="date: expected a day as YYYY-MM-DD, got 'soon'"):
        base.load_tokenizer(Model(name=str(causal), chat_template=DATED, date="soon"))


EXAMPLES = Path(__file__).parents[2] / "examples"


def hh_rlhf(talk: list[dict[str, str]], *, bos: str, eos: str, go_on: bool) -> str:
    """hh-rlhf's form, written out: the answer that ends a conversation has an end token."""
    who = {"user": "\n\nHuman: ", "assistant": "\n\nAssistant: "}
    turns = "".join(who[m["role"]] + m["content"] for m in talk)
    end = eos if talk[-1]["role"] == "assistant" else ""
    return bos + turns + end + ("\n\nAssistant:" if go_on else "")


CLAIMED = {"hub_llama.yaml": hh_rlhf}
"""What the comment beside an example's template says that it writes."""


def test_every_template_of_an_example_writes_what_it_claims() -> None:
    files = {file.name: yaml.safe_load(file.read_text()) for file in EXAMPLES.glob("*.yaml")}
    own = {
        name: m["model"]["chat_template"]
        for name, m in files.items()
        if "chat_template" in m.get("model", {})
    }
    assert set(own) == set(CLAIMED)
    talk = [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Yes?"}]
    for name, template in own.items():
        tokenizer = with_template(template)
        tokenizer.bos_token = TURN
        for turns, go_on in ((talk, False), (talk[:1], True), (talk + talk[:1], True)):
            text = tokenizer.apply_chat_template(turns, tokenize=False, add_generation_prompt=go_on)
            assert text == CLAIMED[name](turns, bos=TURN, eos=END, go_on=go_on)


def test_reward_models_of_an_example_read_the_form_of_its_template() -> None:
    mapping = yaml.safe_load((EXAMPLES / "hub_llama.yaml").read_text())
    talk = [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Yes."}]
    for objective in mapping["objectives"]:
        text = objective["template"].format(prompt="Hi", response="Yes.")
        assert text == hh_rlhf(talk, bos="", eos="", go_on=False)


def test_a_run_keeps_the_day_that_it_began_on(parts: Path, tmp_path: Path) -> None:
    chosen = small_run.settings(parts, str(tmp_path / "run"), model__chat_template=DATED)
    chosen = dataclasses.replace(chosen, run=str(tmp_path / "run"))

    def opened() -> tuple[Any, str]:
        s = RunContext(chosen, screen=Screen(file=io.StringIO()))
        s.folder.close()
        return s.settings.model.date, s.model_id

    day, _ = opened()
    assert day == datetime.date.today().isoformat()
    file = tmp_path / "run" / "template.json"
    file.write_text(file.read_text().replace(day, "2001-02-03"))
    assert opened()[0] == "2001-02-03"
    assert "2001-02-03" in opened()[1], "stages know the day"


@pytest.mark.parametrize(
    ("template", "line"),
    [(THINK, r"opens every answer with '<think>\n'"), (NO_PROMPT, "prompt lacks '<|im_start|>a")],
)
def test_what_a_run_does_about_a_template_is_said(
    parts: Path, tmp_path: Path, template: str, line: str
) -> None:
    chosen = small_run.settings(parts, "run", model__chat_template=template)
    file = io.StringIO()
    chosen = dataclasses.replace(chosen, run=str(tmp_path / "run"))
    RunContext(chosen, screen=Screen(file=file)).folder.close()
    assert line in " ".join(file.getvalue().split())


def test_a_template_that_cannot_be_trained_with_is_refused_before_any_work(
    parts: Path, tmp_path: Path
) -> None:
    template = CHAT_TEMPLATE.replace(END, "")
    chosen = small_run.settings(parts, "run", model__chat_template=template)
    chosen = dataclasses.replace(chosen, run=str(tmp_path / "run"))
    with pytest.raises(ValueError, match="ends an answer without"):
        small_run.do(chosen)
    assert not (tmp_path / "run" / "data").exists()


def test_methods_that_tell_a_model_something_say_where_it_stands(bench: Any) -> None:
    b = bench(model__chat_template=NO_SYSTEM, methods=["ric"])
    [first, _] = ric.policies(b, ric.Options(steps=1))
    assert first.system_prompt
    assert b.notes["system messages"] == (
        "stand before the user's text: the chat template writes none"
    )
    b = bench(methods=["ric"])
    ric.policies(b, ric.Options(steps=1))
    assert "system messages" not in b.notes


def test_answers_that_the_template_leaves_no_place_for_are_refused_before_any_work(
    parts: Path, tmp_path: Path
) -> None:
    source = tmp_path / "data.parquet"
    frame = pl.read_parquet(parts / "data.parquet")
    frame.with_columns(response=pl.lit("<think>Hm.</think> ") + pl.col("response")).write_parquet(
        source
    )
    chosen = small_run.settings(
        parts, "run", data__source=str(source), model__chat_template=NO_THINK
    )
    chosen = dataclasses.replace(chosen, run=str(tmp_path / "run"))
    with pytest.raises(ValueError, match=r"answers open with a thought \(first: row 0\), and the"):
        small_run.do(chosen)
    assert not (tmp_path / "run" / "stage1").exists()


def test_what_a_model_says_is_measured_though_nothing_could_be_trained_on_it(
    causal: Path, parts: Path
) -> None:
    """A sampled answer may open a thought that the prompt has closed."""
    tokenizer = with_template(NO_THINK)
    said = ["<think>Hm.</think> Yes.", "Yes."]
    with pytest.raises(ValueError, match="answers open with a thought"):
        chat.encode_rows(tokenizer, ["Tea?"] * 2, said)
    rows = chat.encode_rows(tokenizer, ["Tea?"] * 2, said, sampled=True)
    for (start, answer, _), text in zip(rows, said, strict=True):
        assert tokenizer.decode(start).endswith("<think>\n\n</think>\n\n")
        assert tokenizer.decode(answer).startswith(text)
    frame = pl.DataFrame({"prompt": ["Tea?"] * 2, "response": said, "finished": [True] * 2})
    form = chat.find_form(tokenizer)
    kept, dropped = sampling.usable(small_run.settings(parts, "run"), frame, form)
    assert kept["response"].to_list() == ["Yes."]
    assert dropped["opens a thought that the prompt has closed"] == 1


def test_end_tokens_are_those_of_the_configuration_where_none_are_stored(
    causal: Path, tmp_path: Path
) -> None:
    """As transformers has it: a stored generation config, else one made of the model's own."""
    folder = Path(shutil.copytree(causal, tmp_path / "model"))
    template = CHAT_TEMPLATE.replace(END, "<|pad|>")
    spec = Model(name=str(folder), chat_template=template)
    pad = tiny_tokenizer().convert_tokens_to_ids("<|pad|>")
    stored, own = folder / "generation_config.json", folder / "config.json"
    stored.write_text(json.dumps({"eos_token_id": [pad]}))
    assert base.check_trainable(spec).tail == "<|pad|>\n"
    stored.unlink()
    with pytest.raises(ValueError, match=r"ends an answer without <\|im_end\|>,"):
        base.check_trainable(spec)
    own.write_text(json.dumps(json.loads(own.read_text()) | {"eos_token_id": pad}))
    assert base.check_trainable(spec).tail == "<|pad|>\n"
