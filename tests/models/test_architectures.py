"""What samples, measures and trains serves every architecture, or refuses it by name."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import torch
import transformers
from peft import PeftModel
from polars.testing import assert_frame_equal
from safetensors.torch import load_file, save_file
from transformers import GenerationConfig

from helpers.architectures import SETTINGS, configuration, save_model
from helpers.small_sampling import sample
from helpers.tiny import tiny_classifier, tiny_tokenizer
from paretohqd.models import answer_batch, decoding
from paretohqd.models import base as models
from paretohqd.models.chat import encode_example, encode_prompts, stop_tokens
from paretohqd.models.likelihood import likelihood
from paretohqd.models.spec import Model

PROMPTS = ["I like good tea in the evening", "you", "we found the old house today. What else?"]

REPEATED = {"mamba": False, "recurrent_gemma": False}
"""Whether a prompt is read once for several answers; True where it is not said."""


def load(folder: Path, dtype: torch.dtype = torch.float32) -> Any:
    return models.load_base(Model(name=str(folder)), device="cpu", dtype=dtype)


OWN_STEPS = {"mamba", "recurrent_gemma", "falcon_h1", "bloom"}
"""What generates in its own way, or takes no positions: left to transformers' search."""


@pytest.mark.parametrize("name", SETTINGS)
def test_which_search_reads_a_model(
    tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, tokenizer = load(save_model(tmp_path / name, configuration(name)))
    found: list[bool] = []
    decode = answer_batch.decode

    def watched(*given: Any, **more: Any) -> Any:
        out = decode(*given, **more)
        found.append(out is not None)
        return out

    monkeypatch.setattr(answer_batch, "decode", watched)
    sample(model, tokenizer, PROMPTS, max_new_tokens=2)
    assert found == [name not in OWN_STEPS]


@pytest.mark.parametrize("name", SETTINGS)
def test_answers_are_those_of_each_prompt_alone(
    tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By transformers' search; ours is held against it."""
    model, tokenizer = load(save_model(tmp_path / name, configuration(name)))
    monkeypatch.setattr(answer_batch, "decode", lambda *given, **more: None)
    caches = []
    read = answer_batch._read_once
    monkeypatch.setattr(
        answer_batch, "_read_once", lambda *given: caches.append(read(*given)) or caches[-1]
    )

    def sampled(**more: Any) -> pl.DataFrame:
        settings = {"max_new_tokens": 12, "seed": 3, "temperature": 0.9, **more}
        return sample(model, tokenizer, PROMPTS, **settings)

    alone = sampled(batch_size=1)
    assert alone["response"].n_unique() == len(PROMPTS)
    assert_frame_equal(sampled(), alone)
    assert not caches
    three = sampled(samples=3, batch_size=9)
    assert_frame_equal(three.filter(pl.col("sample") == 0), alone)
    assert three["response"].n_unique() > len(PROMPTS)
    assert [cache is not None for cache in caches] == [REPEATED.get(name, True)]


@pytest.mark.parametrize("name", SETTINGS)
def test_the_likelihood_is_that_of_each_prompt_alone(tmp_path: Path, name: str) -> None:
    """And the same function that samples: greedy answers are the likeliest at every place."""
    model, tokenizer = load(save_model(tmp_path / name, configuration(name)))
    responses = ["a small dog today.", "with pleasure? I never saw that film", "music"]
    together = likelihood(model, tokenizer, PROMPTS, responses)
    for i, row in enumerate(together.iter_rows()):
        single = likelihood(model, tokenizer, [PROMPTS[i]], [responses[i]])
        assert single.row(0) == pytest.approx(row, abs=1e-4)
    answer = sample(model, tokenizer, PROMPTS, temperature=0, max_new_tokens=6)
    for prompt, text, count in answer.select("prompt", "response", "tokens").iter_rows():
        start = encode_prompts(tokenizer, [prompt])[0]
        ids = list(start)
        for _ in range(count):
            with torch.no_grad():
                ids.append(int(model(torch.tensor([ids])).logits[0, -1].argmax()))
        assert tokenizer.decode(ids[len(start) :], skip_special_tokens=True).strip() == text


def test_a_cache_of_an_unknown_kind_is_not_repeated(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Further(transformers.cache_utils.DynamicLayer):
        """Remembers something that reordering does not know of."""

    model, tokenizer = load(save_model(tmp_path, configuration("llama")))
    one = sample(model, tokenizer, PROMPTS, max_new_tokens=8)
    init = transformers.DynamicCache.__init__

    def other(cache: Any, *given: Any, **more: Any) -> None:
        init(cache, *given, **more)
        cache.layers = [Further() for _ in cache.layers]

    monkeypatch.setattr(transformers.DynamicCache, "__init__", other)
    tokens = torch.tensor([[5, 6, 7]])
    assert answer_batch._read_once(model, tokens, torch.ones_like(tokens), 2) is None
    two = sample(model, tokenizer, PROMPTS, max_new_tokens=8, samples=2)
    assert_frame_equal(two.filter(pl.col("sample") == 0), one)


def test_a_checkpoints_own_settings_of_sampling_do_nothing(tmp_path: Path) -> None:
    folder = save_model(tmp_path, configuration("llama"))
    plain, tokenizer = load(folder)
    expected = sample(plain, tokenizer, PROMPTS, max_new_tokens=12)
    extras: dict[str, Any] = {
        "repetition_penalty": 5.0,
        "no_repeat_ngram_size": 1,
        "min_new_tokens": 12,
        "suppress_tokens": list(range(3, 300)),
        "bad_words_ids": [[400], [401, 402]],
        "forced_eos_token_id": 2,
        "top_k": 1,
        "do_sample": True,
        "temperature": 0.01,
        "num_beams": 3,
        "cache_implementation": "static",
    }
    own = GenerationConfig(**extras, eos_token_id=[tokenizer.eos_token_id, 9])
    own.save_pretrained(folder)
    loaded, _ = load(folder)
    assert loaded.generation_config.repetition_penalty is None
    assert stop_tokens(loaded, tokenizer) == sorted([tokenizer.eos_token_id, 9])
    # A model that someone else loaded has them all.
    other = transformers.AutoModelForCausalLM.from_pretrained(folder).eval()
    other.generation_config.eos_token_id = None
    kept = other.generation_config
    for samples in (1, 2):
        answers = sample(other, tokenizer, PROMPTS, max_new_tokens=12, samples=samples)
        assert_frame_equal(answers.filter(pl.col("sample") == 0), expected)
    assert other.generation_config is kept
    assert not isinstance(other, PeftModel)


# ── what is refused ─────────────────────────────────────────────────────────────────────────


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return save_model(tmp_path / "model", configuration("llama", tie_word_embeddings=False))


def edit(folder: Path, **changes: torch.Tensor | None) -> None:
    """Put weights into a checkpoint, or take them out; `__` stands for a dot."""
    file = folder / "model.safetensors"
    weights = load_file(file)
    for name, value in changes.items():
        key = name.replace("__", ".")
        if value is None:
            del weights[key]
        else:
            weights[key] = value
    save_file(weights, file, metadata={"format": "pt"})


def test_a_checkpoint_without_a_head_is_refused(folder: Path) -> None:
    edit(folder, lm_head__weight=None)
    with pytest.raises(ValueError, match=r"lacks lm_head\.weight, which would be random"):
        load(folder)


def test_tied_embeddings_need_no_head(tmp_path: Path) -> None:
    folder = save_model(tmp_path, configuration("llama", tie_word_embeddings=True))
    assert "lm_head.weight" not in load_file(folder / "model.safetensors")
    model, _ = load(folder)
    assert model.lm_head.weight is model.model.embed_tokens.weight


def test_weights_that_are_missing_or_unknown_are_refused(folder: Path) -> None:
    edit(folder, model__layers__0__rotary_emb__inv_freq=torch.ones(4), v_head__weight=torch.ones(2))
    load(folder)  # derived by the architecture itself, and a further head
    edit(folder, model__layers__1__self_attn__q_proj__lora_A__weight=torch.ones(2, 2))
    with pytest.raises(ValueError, match=r"LlamaForCausalLM does not know .*q_proj\.lora_A"):
        load(folder)
    edit(
        folder,
        model__layers__1__self_attn__q_proj__lora_A__weight=None,
        model__layers__1__mlp__up_proj__weight=None,
        model__layers__1__mlp__down_proj__weight=None,
    )
    with pytest.raises(ValueError, match=r"lacks model\.layers\.1\.mlp\.down_proj\.weight, model"):
        load(folder)


def test_a_reward_model_is_no_language_model(tmp_path: Path) -> None:
    """With tied embeddings every weight of a language model is there."""
    with pytest.raises(ValueError, match="saved as LlamaForSequenceClassification, and would be"):
        load(tiny_classifier(tmp_path))


def test_tokens_without_embeddings_are_refused(folder: Path) -> None:
    tokenizer = tiny_tokenizer()
    tokenizer.add_tokens(["unheard", "unseen"])
    tokenizer.save_pretrained(folder)
    with pytest.raises(ValueError, match=r"have 410 rows, but 2 of .*first: 'unheard' with 410\)"):
        load(folder)
    pad = tiny_tokenizer()
    pad.add_special_tokens({"pad_token": "<|new pad|>"})
    pad.save_pretrained(folder)
    with pytest.raises(ValueError, match=r"410 rows, but 1 of .*'<\|new pad\|>' with 410\)"):
        load(folder)
    images = tiny_tokenizer()
    images.add_special_tokens({"additional_special_tokens": ["<|image|>"]})
    images.save_pretrained(folder)
    load(folder)  # as text-only models have it; nothing writes it


def test_more_embeddings_than_tokens_are_the_usual_padding(tmp_path: Path) -> None:
    model, tokenizer = load(save_model(tmp_path, configuration("llama", vocab_size=640)))
    assert len(sample(model, tokenizer, PROMPTS, temperature=2.0, top_p=1.0)) == 3


def test_other_kinds_of_models_are_refused_by_their_configuration(tmp_path: Path) -> None:
    small = {"vocab_size": 512, "d_model": 32, "d_ff": 64, "d_kv": 8, "num_layers": 1}
    bert = transformers.BertConfig(vocab_size=512, hidden_size=32, num_attention_heads=4)
    gemma = transformers.Gemma3Config(text_config=configuration("gemma3"))
    kinds = {
        "t5 is an encoder with a decoder": transformers.T5Config(**small),
        "bart is an encoder with a decoder": transformers.BartConfig(),
        r"gemma3 reads more than text \(text_config, vision_config\)": gemma,
        r"bert is an encoder \(is_decoder is false\)": bert,
    }
    tiny_tokenizer().save_pretrained(tmp_path)
    for message, settings in kinds.items():
        settings.save_pretrained(tmp_path)
        for look in (load, lambda folder: models.context_length(Model(name=str(folder)))):
            with pytest.raises(ValueError, match=message):
                look(tmp_path)


def test_quantised_weights_are_refused(folder: Path) -> None:
    settings = configuration("llama")
    settings.quantization_config = {"quant_method": "fp8"}
    settings.save_pretrained(folder)
    with pytest.raises(ValueError, match="its weights are quantised"):
        load(folder)


def test_a_model_that_takes_no_heed_of_padding_is_refused(tmp_path: Path) -> None:
    rwkv = transformers.RwkvConfig(
        vocab_size=512,
        hidden_size=32,
        num_hidden_layers=2,
        attention_hidden_size=32,
        intermediate_size=64,
        eos_token_id=1,
        pad_token_id=2,
        bos_token_id=None,
    )
    save_model(tmp_path, rwkv)
    with pytest.raises(ValueError, match=r"token by token.* rwkv looks at later tokens, takes no"):
        load(tmp_path)


def test_a_model_that_looks_ahead_or_forgets_is_refused(
    base: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, tokenizer = base
    ids = encode_example(tokenizer)
    decoding.check_reading("m", model, ids, tokenizer.pad_token_id)
    attention = model.model.layers[0].self_attn
    monkeypatch.setattr(attention, "is_causal", False)
    forward = attention.forward
    monkeypatch.setattr(
        attention, "forward", lambda *a, **k: forward(*a, **{**k, "attention_mask": None})
    )
    with pytest.raises(ValueError, match="standard deviations apart"):
        decoding.check_reading("m", model, ids, tokenizer.pad_token_id)


def test_predictions_that_are_no_numbers_are_refused(folder: Path) -> None:
    edit(folder, model__norm__weight=torch.full((32,), torch.nan))
    with pytest.raises(ValueError, match="predictions in float32 are no numbers"):
        load(folder)


def test_a_gguf_file_that_lacks_weights_is_not_unpacked(
    causal: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Unpacked, the random ones would be a checkpoint's own."""
    file = tmp_path / "small.gguf"
    file.write_bytes(b"one")
    monkeypatch.setenv("PARETOHQD_CACHE", str(tmp_path / "cache"))
    whole = transformers.AutoModelForCausalLM.from_pretrained(causal)

    def partly(*given: Any, **more: Any) -> Any:
        return whole, {"missing_keys": {"model.norm.weight"}, "unexpected_keys": set()}

    monkeypatch.setattr(models.AutoModelForCausalLM, "from_pretrained", partly)
    with pytest.raises(ValueError, match=r"small\.gguf: .*lacks model\.norm\.weight"):
        models.unpack_gguf(file)
    assert list((tmp_path / "cache").iterdir()) == []
    shutil.rmtree(tmp_path / "cache")
