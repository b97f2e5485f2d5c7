import doctest
import json
import shutil
import subprocess
import sys
import warnings
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from helpers.tiny import sentences, tiny_causal, tiny_classifier
from paretohqd.rewards import classifier, embedded, scoring
from paretohqd.rewards.scoring import ClassifierReward, make_reward, score

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")
TemplateProcessing = pytest.importorskip("tokenizers.processors").TemplateProcessing

TEXTS = sentences()
# Long and short, so that any padding would be long too.
PROMPTS = [" ".join(TEXTS[i : i + 1 + 7 * (i % 3)]) for i in range(24)]
RESPONSES = [" ".join(TEXTS[2 * i : 2 * i + 1 + i % 5]) for i in range(24)]


@pytest.fixture(scope="module")
def llama(tmp_path_factory):
    return tiny_classifier(tmp_path_factory.mktemp("llama"))


@pytest.fixture(scope="module")
def gpt2(tmp_path_factory):
    return tiny_classifier(tmp_path_factory.mktemp("gpt2"), num_labels=3, kind="gpt2")


def edit_json(path: Path, **changes: Any) -> None:
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def with_pad_as_eos(folder: Path) -> Path:
    """The common reward-model checkpoint in which padding and the end token are one."""
    edit_json(folder / "config.json", pad_token_id=1, eos_token_id=1)
    edit_json(folder / "tokenizer_config.json", pad_token="<|im_end|>")
    return folder


def by_hand(folder: Path, text: str, output: int = 0, **options: Any) -> float:
    """The score head on the last token of one text, written out with the bare parts."""
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    model = transformers.AutoModelForSequenceClassification.from_pretrained(folder).eval()
    with torch.inference_mode():
        states = model.base_model(
            **tokenizer(text, return_tensors="pt", **options)
        ).last_hidden_state
        return float(model.score(states[0, -1])[output])


def reward_of(folder: Path, **options: Any) -> ClassifierReward:
    return ClassifierReward(name="r", model=str(folder), device="cpu", **options)


def test_examples_in_docstrings():
    assert doctest.testmod(classifier).failed == 0
    pytest.importorskip("vaderSentiment")
    assert doctest.testmod(scoring).failed == 0


@pytest.mark.parametrize("template", ["chat", "{prompt}\n\n{response}<|im_end|>"])
@pytest.mark.parametrize("pad_is_eos", [False, True])
@pytest.mark.parametrize("kind", ["llama", "gpt2"])
def test_a_score_does_not_depend_on_the_batch(tmp_path, kind, pad_is_eos, template):
    folder = tiny_classifier(tmp_path, kind=kind)
    if pad_is_eos:
        with_pad_as_eos(folder)
    reward = reward_of(folder, template=template, batch_size=8, max_length=256)
    together = reward.score(PROMPTS, RESPONSES)
    alone = np.concatenate(
        [reward.score([p], [r]) for p, r in zip(PROMPTS, RESPONSES, strict=True)]
    )
    assert together.std() > 0.1, "scores that are all alike would prove nothing"
    np.testing.assert_allclose(together, alone, rtol=1e-5, atol=1e-5)
    assert reward.score(PROMPTS, RESPONSES).tobytes() == together.tobytes()


@pytest.mark.parametrize("pad", [1, None, 70])
@pytest.mark.parametrize("kind", ["llama", "gpt2"])
def test_the_score_is_read_at_the_last_token_even_if_that_is_padding(tmp_path, kind, pad):
    """Token 1 is eos; 70 stands for a pad that turns up in ordinary text."""
    folder = tiny_classifier(tmp_path, kind=kind)
    end = {1: "<|im_end|>", None: "<|im_end|>", 70: ""}[pad]
    texts = [f"{p} {r}{end}" for p, r in zip(PROMPTS[:6], RESPONSES[:6], strict=True)]
    if pad == 70:
        # make the pad the very last token of the text
        tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
        pad = tokenizer(texts[0])["input_ids"][-1]
    expected = [by_hand(folder, text) for text in texts]
    edit_json(folder / "config.json", pad_token_id=pad)
    got = reward_of(folder, template="{prompt} {response}" + end).score(PROMPTS[:6], RESPONSES[:6])
    np.testing.assert_allclose(got, expected, rtol=1e-5, atol=1e-5)


def test_the_chat_template_is_the_tokenizers(llama):
    text = "<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\nHello!<|im_end|>\n"
    got = reward_of(llama).score(["Hi"], ["Hello!"])
    assert got == pytest.approx([by_hand(llama, text)], abs=1e-5)


def test_the_tokenizer_adds_special_tokens_except_to_a_chat(tmp_path):
    folder = tiny_classifier(tmp_path)
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    adds_eos = TemplateProcessing(single="$A <|im_end|>", special_tokens=[("<|im_end|>", 1)])
    tokenizer.backend_tokenizer.post_processor = adds_eos
    tokenizer.save_pretrained(folder)
    chat = "<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\nHello!<|im_end|>\n"
    plain, bare = by_hand(folder, "Hi Hello!"), by_hand(folder, chat, add_special_tokens=False)
    assert abs(bare - by_hand(folder, chat)) > 1e-3, "the special token must matter"
    got = [
        reward_of(folder, template=t).score(["Hi"], ["Hello!"])[0]
        for t in ("{prompt} {response}", "chat")
    ]
    assert got == pytest.approx([plain, bare], abs=1e-5)


def test_equal_texts_get_equal_bits_and_batch_size_hardly_matters(llama):
    prompts, responses = PROMPTS + PROMPTS[::-1], RESPONSES + RESPONSES[::-1]
    scores = reward_of(llama, batch_size=5).score(prompts, responses)
    assert scores[:24].tobytes() == scores[24:][::-1].tobytes()
    single = reward_of(llama, batch_size=1).score(prompts, responses)
    np.testing.assert_allclose(scores, single, rtol=1e-5, atol=1e-5)


def test_a_language_model_is_refused_by_the_name_of_the_missing_weights(tmp_path):
    folder = tiny_causal(tmp_path)
    with pytest.raises(ValueError, match=r"lacks score\.weight.*language model"):
        reward_of(folder).score(["Hi"], ["Hello"])


def test_several_outputs_need_a_choice(gpt2):
    with pytest.raises(ValueError, match=r"output=: 0 \(LABEL_0\), 1 \(LABEL_1\)"):
        reward_of(gpt2).load()
    with pytest.raises(ValueError, match="no output 3"):
        reward_of(gpt2, output=3).load()
    for output in (0, 2):
        reward = reward_of(gpt2, output=output, template="{prompt} {response}")
        expected = by_hand(gpt2, "Hi Hello", output)
        assert reward.score(["Hi"], ["Hello"]) == pytest.approx([expected], abs=1e-5)


def test_over_long_texts_lose_their_beginning_and_are_counted(llama):
    reward = reward_of(llama, template="{prompt} {response}", max_length=12)
    tail = " ".join(TEXTS[:6])
    with pytest.warns(UserWarning, match="more than 12 tokens lose their beginning") as caught:
        scores = reward.score(["one two", "other words", "other words", "Hi"], [tail] * 3 + ["x"])
    assert len(caught) == 1
    assert scores[0] == scores[1] == scores[2] != scores[3]
    assert reward.truncated == reward.manifest()["truncated"] == 3
    changed = reward_of(llama, template="{prompt} {response}", max_length=12)
    with pytest.warns(UserWarning, match="12 tokens"):
        assert changed.score(["one two"], [tail + " And then?"])[0] != scores[0]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        reward.score(["one two"], [tail])
    assert reward.truncated == 4


def test_max_length_is_lowered_to_what_the_model_can_take(gpt2):
    reward = reward_of(gpt2, output=0, max_length=5000)
    with pytest.warns(UserWarning, match="more than 256 tokens"):
        assert np.isfinite(reward.score(["Hi"], ["good tea " * 400])).all()
    assert reward.manifest()["limit"] == 256


def test_a_tokenizer_without_chat_template_needs_a_template(tmp_path):
    folder = tiny_classifier(tmp_path)
    (folder / "chat_template.jinja").unlink()
    with pytest.raises(ValueError, match=r"no chat template: pass template="):
        reward_of(folder).load()
    assert reward_of(folder, template="{prompt} {response}").score(["a {b}"], ["{c"]).shape == (1,)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"template": "{prompt}"}, "found prompt"),
        ({"template": "Q: A:"}, "found none"),
        ({"template": "{prompt}{response}{x}"}, "found prompt, response, x"),
        ({"batch_size": 0}, "at least 1"),
        ({"max_length": 0}, "at least 1"),
        ({"dtype": "float8"}, "float32, bfloat16 or float16"),
    ],
)
def test_bad_settings_are_refused_before_anything_is_loaded(options, message):
    with pytest.raises(ValueError, match=message):
        ClassifierReward(name="r", model="no/such", **options)


def test_the_manifest_is_plain_data_and_complete_after_scoring(llama):
    reward = reward_of(llama, dtype="bfloat16")
    before = reward.manifest()
    assert (before["commit"], before["device"], before["limit"]) == (None, None, None)
    reward.score(["Hi"], ["Hello"])
    after = json.loads(json.dumps(reward.manifest()))
    assert after["kind"] == "classifier"
    assert after["model"] == str(llama)
    assert (after["device"], after["dtype"], after["template"]) == ("cpu", "bfloat16", "chat")
    assert set(after["packages"]) == {"torch", "transformers"}
    assert next(reward.load().network.parameters()).dtype == torch.bfloat16


def test_blank_answers_are_scored_only_where_they_are_allowed(llama):
    reward = reward_of(llama)
    frame = pl.DataFrame({"prompt": ["a"] * 3, "response": ["x", " \n", ""]})
    with pytest.raises(ValueError, match=r"2 null or empty text\(s\) in 'response'.* row 1"):
        score(frame, [reward])
    assert np.isfinite(score(frame, [reward], allow_empty=True)[reward.name].to_numpy()).all()
    with pytest.raises(ValueError, match=r"1 null text\(s\) in 'response'.* row 1"):
        reward.score(["a"] * 2, ["x", None])
    assert reward.score([], []).shape == (0,)


def test_a_damaged_reward_model_is_one_line(llama, tmp_path):
    folder = shutil.copytree(llama, tmp_path / "cut")
    file = folder / "model.safetensors"
    file.write_bytes(file.read_bytes()[:100])
    with pytest.raises(ValueError, match=r"model .*cut: cannot be loaded: ") as caught:
        reward_of(folder).load()
    assert "\n" not in str(caught.value)


def test_an_unloaded_reward_scores_the_same_again(llama):
    reward = reward_of(llama)
    before = reward.score(["a"], ["b c"])
    reward.unload()
    assert reward.manifest()["commit"] is None
    assert (reward.score(["a"], ["b c"]) == before).all()


@dataclass
class Length:
    """A reward of the user's own."""

    name: str = "length"
    calls: list[int] = field(default_factory=list)
    spoil: str = ""

    def score(self, prompts, responses):
        self.calls.append(len(responses))
        values = np.array([len(r) for r in responses], dtype=np.float32)
        return values / (np.array(responses) != self.spoil)

    def manifest(self):
        return {"name": self.name, "kind": "own"}


@pytest.fixture
def frame():
    return pl.DataFrame({"id": range(2500), "prompt": "Hi", "response": "x"}).with_columns(
        response=pl.lit("x").repeat_by(1 + pl.col("id") % 7).list.join("")
    )


def test_score_adds_float64_columns_in_order_and_reports_progress(frame):
    reward, other, seen = Length(), Length("again"), []
    scored = score(frame, [reward, other], progress=lambda done, total: seen.append((done, total)))
    assert scored.columns == ["id", "prompt", "response", "length", "again"]
    assert scored.schema["length"] == pl.Float64
    assert scored["length"].to_list() == [1 + i % 7 for i in range(2500)]
    assert scored.drop("length", "again").equals(frame)
    assert sum(reward.calls) == 2500
    assert len(reward.calls) > 1
    assert seen[-1] == (5000, 5000)
    assert seen == sorted(seen)
    renamed = frame.rename({"prompt": "q", "response": "a"})
    again = score(renamed, [Length()], prompt="q", response="a")
    assert again["length"].equals(scored["length"])


def test_an_empty_frame_keeps_the_schema(frame):
    scored = score(frame.clear(), [Length(), embedded.Positivity()])
    assert scored.schema["length"] == scored.schema["positivity"] == pl.Float64
    assert scored.height == 0


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (pl.lit(None, pl.String).alias("prompt"), r"2500 null text.* 'prompt', .* row 0"),
        (
            pl.when(pl.col("id") >= 2498).then(pl.lit(" ")).otherwise("response").alias("response"),
            r"2 null or empty text\(s\) in 'response', the first in row 2498: drop",
        ),
        (pl.lit(1).alias("response"), "'response' holds Int32, not strings"),
        (pl.lit(1.0).alias("length"), "already has the column.* length: drop"),
    ],
)
def test_score_refuses_frames_it_cannot_score(frame, change, message):
    reward = Length()
    with pytest.raises(ValueError, match=message):
        score(frame.with_columns(change), [reward])
    assert reward.calls == [], "refused only after paying for scores"


def test_score_refuses_missing_columns_and_equal_names(frame):
    with pytest.raises(ValueError, match=r"no column 'answer'.*id, prompt, response.*response="):
        score(frame, [Length()], response="answer")
    with pytest.raises(ValueError, match="two rewards are called length"):
        score(frame, [Length(), Length()])
    with pytest.raises(ValueError, match="no rewards"):
        score(frame, [])


def test_score_refuses_what_is_no_score(frame):
    with (
        pytest.raises(ValueError, match=r"'length' gave 357 .*inf, in row 6"),
        np.errstate(all="ignore"),
    ):
        score(frame, [Length(spoil="x" * 7)])
    short = Length()
    short.score = lambda prompts, responses: np.zeros(3)
    with pytest.raises(ValueError, match=r"shape \(3,\) for 1024 pairs"):
        score(frame, [short])


def test_a_reward_model_scores_a_frame(llama):
    frame = pl.DataFrame({"prompt": PROMPTS, "response": RESPONSES})
    scored = score(frame, [make_reward(name="good", model=str(llama), device="cpu")])
    np.testing.assert_array_equal(scored["good"], reward_of(llama).score(PROMPTS, RESPONSES))


def test_make_reward_builds_what_the_section_says(tmp_path):
    assert make_reward(name="a", scorer="embedded:relevance") == embedded.Relevance(name="a")
    options = {"template": "{prompt}{response}", "output": 1, "revision": "v1", "max_length": 64}
    made = make_reward(name="b", model="some/model", **options)
    assert made == ClassifierReward(name="b", model="some/model", **options)


@pytest.mark.parametrize(
    ("section", "message"),
    [
        ({}, "either scorer: or model:"),
        ({"scorer": "embedded:relevance", "model": "m"}, "either scorer: or model:"),
        ({"scorer": "embedded:relevanc"}, "did you mean 'relevance'"),
        ({"scorer": "relevance"}, "must be embedded:<kind>, rule:<kind>, .* not 'relevance'"),
        ({"scorer": "embedded:relevance", "output": 1}, "output go with model:"),
        ({"model": "m", "ouput": 1}, "no setting 'ouput'; did you mean 'output'"),
        ({"model": "m", "truncated": 1}, "no setting 'truncated'"),
    ],
)
def test_make_reward_refuses_unclear_sections(section, message):
    with pytest.raises(ValueError, match=message):
        make_reward(name="r", **section)


def test_importing_scoring_loads_no_torch():
    code = (
        "import sys; sys.path[:0] = %r; import paretohqd.rewards.scoring; "
        "print('torch' in sys.modules)"
    )
    run = subprocess.run(
        [sys.executable, "-c", code % sys.path], capture_output=True, text=True, check=True
    )
    assert run.stdout.strip() == "False"
