"""Reward models get what they were trained on, or are refused before they score."""

from __future__ import annotations

import json
import shutil
import warnings
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from tokenizers import Tokenizer, pre_tokenizers, trainers
from tokenizers import models as token_models
from tokenizers.processors import TemplateProcessing

from helpers.tiny import sentences, tiny_causal, tiny_classifier
from paretohqd.cli import main
from paretohqd.rewards.scoring import ClassifierReward

PROMPT, ANSWER = "I like good tea today.", "we found the old house today."


def words(**more: Any) -> Any:
    """A tokenizer of whole words that joins pairs as BERT's does."""
    made = Tokenizer(token_models.WordLevel(unk_token="[UNK]"))
    made.pre_tokenizer = pre_tokenizers.Whitespace()
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]"]
    made.train_from_iterator(sentences(), trainers.WordLevelTrainer(special_tokens=special))
    made.post_processor = TemplateProcessing(
        single="[CLS]:0 $A:0 [SEP]:0",
        pair="[CLS]:0 $A:0 [SEP]:0 $B:1 [SEP]:1",
        special_tokens=[("[CLS]", 2), ("[SEP]", 3)],
    )
    return transformers.PreTrainedTokenizerFast(
        tokenizer_object=made,
        pad_token="[PAD]",
        unk_token="[UNK]",
        cls_token="[CLS]",
        sep_token="[SEP]",
        **{"model_max_length": 128, **more},
    )


def save(folder: Path, kind: str, *, head: str = "SequenceClassification", **more: Any) -> Path:
    """A random encoder of a kind such as "Electra", drawn wide, with its tokenizer."""
    tokenizer = words(**{k: more.pop(k) for k in ("model_max_length",) if k in more})
    settings = getattr(transformers, f"{kind}Config")(
        vocab_size=len(tokenizer),
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=4,
        intermediate_size=64,
        initializer_range=0.3,
        **{"num_labels": 1, **more},
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = getattr(transformers, f"{kind}For{head}")(settings)
    network.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def electra(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Its checkpoint tells the texts of a pair apart."""
    return save(tmp_path_factory.mktemp("pairs") / "electra", "Electra", embedding_size=32)


@pytest.fixture(scope="module")
def deberta(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The common reward encoder: no token types."""
    return save(tmp_path_factory.mktemp("pairs") / "deberta", "DebertaV2")


def reward(folder: Path, **options: Any) -> ClassifierReward:
    return ClassifierReward(name="r", model=str(folder), device="cpu", **options)


def authors(folder: Path, *texts: str, types: bool = True) -> float:
    """What the model's own authors compute, with the tokenizer as they made it."""
    tokenizer = words()
    network = transformers.AutoModelForSequenceClassification.from_pretrained(folder).eval()
    inputs = tokenizer(*texts, return_tensors="pt", return_token_type_ids=types)
    with torch.no_grad():
        return float(network(**inputs).logits)


def test_a_model_of_pairs_is_given_pairs(electra: Path) -> None:
    own, one = authors(electra, PROMPT, ANSWER), authors(electra, f"{PROMPT} [SEP] {ANSWER}")
    assert abs(own - one) > 0.01, "the types must matter"
    for options in ({}, {"pair": True}):
        scorer = reward(electra, **options)
        assert scorer.score([PROMPT], [ANSWER]) == pytest.approx([own], abs=1e-5)
        assert scorer.manifest()["template"] == "pair"


@pytest.mark.parametrize("template", ["{prompt} [SEP] {response}", "{prompt}\n{response}", "chat"])
def test_one_text_for_a_model_of_pairs_is_said_or_refused(electra: Path, template: str) -> None:
    with pytest.raises(ValueError, match=r"leave template out.* or set pair: false"):
        reward(electra, template=template).load()
    if template != "chat":
        text = template.format(prompt=PROMPT, response=ANSWER)
        single = reward(electra, template=template, pair=False).score([PROMPT], [ANSWER])
        assert single == pytest.approx([authors(electra, text)], abs=1e-5)


def test_types_that_a_checkpoint_does_not_use_do_not_matter(electra: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(electra, tmp_path / "rm"))
    network = transformers.AutoModelForSequenceClassification.from_pretrained(folder)
    with torch.no_grad():
        network.electra.embeddings.token_type_embeddings.weight.zero_()
    network.save_pretrained(folder)
    template = "{prompt} [SEP] {response}"
    scored = reward(folder, template=template).score([PROMPT], [ANSWER])
    assert scored == pytest.approx([authors(folder, PROMPT, ANSWER)], abs=1e-5)


def test_a_pair_for_a_model_without_types(deberta: Path) -> None:
    own = authors(deberta, PROMPT, ANSWER, types=False)
    assert reward(deberta, pair=True).score([PROMPT], [ANSWER]) == pytest.approx([own], abs=1e-5)
    template = "{prompt} [SEP] {response}"
    assert reward(deberta, template=template).score([PROMPT], [ANSWER]) == pytest.approx(
        [own], abs=1e-5
    )
    with pytest.raises(ValueError, match=r"no chat template: pass template= .* or pair=True"):
        reward(deberta).load()
    with pytest.raises(ValueError, match="leave one out"):
        reward(deberta, template=template, pair=True)


def test_a_pair_does_not_depend_on_its_neighbours(electra: Path) -> None:
    texts = sentences()
    prompts = [" ".join(texts[i : i + 1 + i % 3]) for i in range(12)]
    answers = [" ".join(texts[2 * i : 2 * i + 1 + i % 2]) for i in range(12)]
    together = reward(electra, batch_size=4).score(prompts + prompts[:2], answers + answers[:2])
    assert together.std() > 0.1
    assert (together[12:] == together[:2]).all()
    alone = [authors(electra, p, a) for p, a in zip(prompts, answers, strict=True)]
    assert together[:12] == pytest.approx(alone, abs=1e-5)


def test_long_pairs_lose_the_beginning_of_the_prompt_first(electra: Path) -> None:
    prompt, answer = PROMPT.split(), ANSWER.split()
    # [CLS] p [SEP] a [SEP]; a full stop is a word of its own.
    short = reward(electra, max_length=3 + 3 + 7)
    with pytest.warns(UserWarning, match=r"more than 13 tokens lose their beginning; their count"):
        scores = short.score(["you never saw it. " + PROMPT, PROMPT], [ANSWER] * 2)
    assert len(answer) + 1 == 7
    cut = authors(electra, " ".join(prompt[-2:]), ANSWER)
    assert scores == pytest.approx([cut] * 2, abs=1e-5)
    assert (short.truncated, short.cut_answers) == (2, 0)
    shorter = reward(electra, max_length=3 + 5)
    with pytest.warns(UserWarning, match="their beginning, some of them within the answer"):
        scores = shorter.score([PROMPT, PROMPT, "you"], [ANSWER, ANSWER, "today."])
    cut = authors(electra, "", " ".join(answer[-4:]))
    assert scores[:2] == pytest.approx([cut] * 2, abs=1e-5)
    assert (shorter.truncated, shorter.cut_answers) == (2, 2)
    assert shorter.manifest()["cut_answers"] == 2
    exact = reward(electra, max_length=3 + 7)  # no token of the prompt is left
    with pytest.warns(UserWarning, match="their beginning;"):
        whole = exact.score([PROMPT], [ANSWER])
    assert whole == pytest.approx([authors(electra, "", ANSWER)], abs=1e-5)
    assert (exact.truncated, exact.cut_answers) == (1, 0)


def test_answers_of_one_text_that_are_cut_are_counted(deberta: Path) -> None:
    short = reward(deberta, template="{prompt} {response}", max_length=10)
    with pytest.warns(UserWarning, match="some of them within the answer") as caught:
        short.score([PROMPT, PROMPT], ["today.", f"{ANSWER} {ANSWER}"])
    assert len(caught) == 1
    assert (short.truncated, short.cut_answers) == (1, 1)


def test_positions_that_begin_after_the_padding(tmp_path: Path) -> None:
    """RoBERTa's table of 34 has room for 32 tokens (padding is token 1); more would be an error."""
    folder = save(
        tmp_path,
        "Roberta",
        max_position_embeddings=34,
        pad_token_id=1,
        type_vocab_size=1,
        model_max_length=int(1e30),
    )
    scorer = reward(folder, pair=True)
    with pytest.warns(UserWarning, match="more than 32 tokens"):
        scorer.score([PROMPT], [f"{ANSWER} " * 9])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        scorer.score(["you " * (32 - 3 - 2)], ["you you"])


# ── what is refused ─────────────────────────────────────────────────────────────────────────


def test_heads_that_are_not_the_checkpoints_own_are_refused(tmp_path: Path) -> None:
    """In some architectures the head of tokens has the very weights that one of texts has."""
    save(tmp_path / "tokens", "DistilBert", head="TokenClassification", dim=32, hidden_dim=64)
    with pytest.raises(ValueError, match=r"tokens: its checkpoint lacks pre_classifier\.bias, pre"):
        reward(tmp_path / "tokens", pair=True).load()
    whole = save(tmp_path / "whole", "Roberta", pad_token_id=1)
    file = whole / "config.json"
    settings = json.loads(file.read_text())
    file.write_text(json.dumps(settings | {"architectures": ["RobertaForTokenClassification"]}))
    with pytest.raises(ValueError, match="saved as RobertaForTokenClassification, and would be"):
        reward(whole, pair=True).load()
    file.write_text(json.dumps(settings | {"quantization_config": {"quant_method": "fp8"}}))
    with pytest.raises(ValueError, match="its weights are quantised"):
        reward(whole, pair=True).load()
    with pytest.raises(ValueError, match=r"lacks score\.weight, .*nor a language model for a"):
        reward(tiny_causal(tmp_path / "lm")).load()


def test_a_tokenizer_of_another_model_is_refused(tmp_path: Path) -> None:
    folder = tiny_classifier(tmp_path)
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    tokenizer.add_tokens(["unheard"])
    tokenizer.save_pretrained(folder)
    with pytest.raises(ValueError, match=r"410 rows, but 1 of .*'unheard' with 410"):
        reward(folder).load()


def test_the_command_line_says_pair(
    deberta: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = tmp_path / "in.csv"
    source.write_text(f"prompt,response\n{PROMPT},{ANSWER}\n")
    out = tmp_path / "out.jsonl"
    command = ["score", str(source), "-o", str(out)]
    assert main.main([*command, "--reward", f"good={deberta}", "--pair"]) == 0
    row = json.loads(out.read_text())
    own = authors(deberta, PROMPT, ANSWER, types=False)
    assert row["good"] == pytest.approx(own, abs=1e-5)
    assert main.main([*command, "--reward", "x=embedded:harmless", "--no-pair"]) == 1
    assert "--pair is for reward models" in capsys.readouterr().err
