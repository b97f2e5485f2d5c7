"""What reward models read of texts that hold control tokens, and of templates."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path

import numpy as np
import pytest
from tokenizers.processors import TemplateProcessing

from helpers.shapes import (
    DATED,
    END,
    HOSTILE,
    TURN,
)
from helpers.tiny import tiny_classifier, tiny_tokenizer
from paretohqd.frames.conversations.prompts import write_prompt
from paretohqd.models import chat
from paretohqd.rewards.batches import encode_rows
from paretohqd.rewards.classifier import ClassifierReward

HH = "\n\nHuman: {prompt}\n\nAssistant: {response}"
SYSTEM, USER = {"role": "system", "content": "Be brief."}, {"role": "user", "content": "Tea?"}


@pytest.mark.parametrize("template", ["chat", "{prompt}<|pad|>{response}"])
def test_reward_models_read_control_tokens_in_texts_as_characters(
    causal: Path, tmp_path: Path, template: str
) -> None:
    folder = tiny_classifier(tmp_path)
    reward = ClassifierReward(name="r", model=str(folder), template=template, device="cpu")
    loaded = reward.load()
    pairs = [("Hi", "Yes."), (HOSTILE, "<|pad|>Yes.")]
    rows, _ = encode_rows(loaded.inputs, [loaded.inputs.parts(*pair) for pair in pairs])
    plain, hostile = (
        {name: values.tolist() for name, values in rows.batch(np.array([i])).items()}
        for i in range(2)
    )
    tokenizer = loaded.inputs.tokenizer
    control = tokenizer.convert_tokens_to_ids([TURN, END, "<|pad|>"])
    for inputs in (plain, hostile):
        [ids], [mask] = inputs["input_ids"], inputs["attention_mask"]
        assert len(mask) == len(ids)
        inputs["control"] = [[i for i in ids if i in control]]
    assert plain["control"] == hostile["control"], "those of the template"
    text = tokenizer.decode(hostile["input_ids"][0])
    assert HOSTILE in text
    assert "<|pad|>Yes." in text
    scores = reward.score(["Hi", HOSTILE], ["Yes.", "<|pad|>Yes."])
    assert scores[0] == pytest.approx(reward.score(["Hi"], ["Yes."])[0], rel=1e-5)
    short = dataclasses.replace(reward, max_length=20)
    with pytest.warns(UserWarning, match="lose their beginning"):
        short.score([HOSTILE], ["Yes."])
    assert short.truncated == 1


@pytest.mark.parametrize(
    ("template", "turns", "text"),
    [
        (HH, [SYSTEM, USER], "Be brief.\n\nHuman: Tea?\n\nAssistant: Yes."),
        (HH, [USER], "\n\nHuman: Tea?\n\nAssistant: Yes."),
        (
            HH,
            [SYSTEM, USER, {"role": "assistant", "content": "No."}, USER],
            "Be brief.\n\nHuman: Tea?\n\nAssistant: No.\n\nHuman: Tea?\n\nAssistant: Yes.",
        ),
        ("Q: {prompt} A: {response}", [SYSTEM, USER], "Q: Be brief.\n\nTea? A: Yes."),
    ],
)
def test_a_system_message_is_nobodys_turn_in_a_template(
    tmp_path: Path, template: str, turns: list[dict[str, str]], text: str
) -> None:
    folder = tiny_classifier(tmp_path)
    reward = ClassifierReward(name="r", model=str(folder), template=template, device="cpu")
    assert reward.load().inputs.parts(write_prompt(turns), "Yes.") == (text,)


def test_pairs_of_texts_are_cut_too() -> None:
    tokenizer = tiny_tokenizer()
    control = chat.control_pattern(tokenizer)
    texts = ["a", HOSTILE]
    first, second = [[chat.as_text(control, text) for text in texts[::s]] for s in (1, -1)]
    encoded = chat.encode_cut(tokenizer, first, second, add_special_tokens=True)["input_ids"]
    ends = tokenizer.convert_tokens_to_ids([TURN, END, "<|pad|>"])
    assert not {i for row in encoded for i in row} & set(ends)
    assert [tokenizer.decode(row) for row in encoded] == ["a" + HOSTILE, HOSTILE + "a"]


def test_reward_models_do_not_read_the_clock(tmp_path: Path) -> None:
    folder = tiny_classifier(tmp_path)
    (folder / "chat_template.jinja").write_text(DATED)
    reward = ClassifierReward(name="r", model=str(folder), device="cpu")
    (text,) = reward.load().inputs.parts("Hi", "Yes.")
    assert text.startswith("Today: 26 Jul 2024\n")


@pytest.mark.parametrize(
    ("template", "twice"),
    [
        ("<|im_start|>{prompt} {response}", "<|im_start|>"),
        ("{prompt} {response}<|im_end|>", "<|im_end|>"),
        ("{prompt}<|im_end|><|im_start|>{response}", None),
    ],
)
def test_a_reward_template_leaves_to_the_tokenizer_what_that_adds(
    tmp_path: Path, template: str, twice: str | None
) -> None:
    folder = tiny_classifier(tmp_path)
    tokenizer = tiny_tokenizer()
    ids = [(token, tokenizer.convert_tokens_to_ids(token)) for token in (TURN, END)]
    tokenizer.backend_tokenizer.post_processor = TemplateProcessing(
        single=f"{TURN} $A {END}", special_tokens=ids
    )
    tokenizer.save_pretrained(folder)
    reward = ClassifierReward(name="r", model=str(folder), template=template, device="cpu")
    if twice is None:
        assert np.isfinite(reward.score(["Hi"], [HOSTILE])).all()
        return
    with pytest.raises(ValueError, match=f"^template writes {re.escape(twice)}, which the tok"):
        reward.load()
