from __future__ import annotations

import math
from typing import Any

import numpy as np
import polars as pl
import pytest
import torch
from peft import LoraConfig, get_peft_model

from helpers.tiny import sentences
from paretohqd.models import likelihood as module
from paretohqd.models.chat import encode_answers, encode_prompts, pad_answers
from paretohqd.models.likelihood import answer_logps, likelihood

PROMPTS = [
    "Hi",
    "A long prompt about the old house and the small dog of the batch's brother, today.",
    *sentences()[:200:50],
]
RESPONSES = ["Yes.", "", "I like tea.", *sentences()[300:303]]
FINISHED = [True, True, False, True, False, True]
SYSTEM_PROMPT = ["", "be brief", "", "be kind and brief", "score 1.2", ""]


def naive(base: Any, row: int) -> tuple[float, int, float]:
    """The definition, one answer and one place at a time, from whole chats in double precision."""
    model, tokenizer = base
    system = [] if not SYSTEM_PROMPT[row] else [{"role": "system", "content": SYSTEM_PROMPT[row]}]
    chat = [*system, {"role": "user", "content": PROMPTS[row]}]
    text = tokenizer.apply_chat_template(chat, tokenize=False, add_generation_prompt=True)
    start = tokenizer(text, add_special_tokens=False)["input_ids"]
    answer = tokenizer(RESPONSES[row], add_special_tokens=False)["input_ids"]
    answer += [tokenizer.eos_token_id] * FINISHED[row]
    logp, entropy = 0.0, 0.0
    for place, token in enumerate(answer):
        with torch.no_grad():
            logits = model(torch.tensor([start + answer[:place]])).logits[0, -1].double()
        p = torch.softmax(logits, dim=-1)
        logp += math.log(p[token])
        entropy -= sum(x * math.log(x) for x in p.tolist())
    return logp, len(answer), entropy / len(answer)


def test_it_is_the_definition_whatever_the_batch(base: Any) -> None:
    model, tokenizer = base
    expected = [naive(base, i) for i in range(len(PROMPTS))]
    for batch_size in (1, 4, 16):
        likelihoods = likelihood(
            model,
            tokenizer,
            PROMPTS,
            RESPONSES,
            system_prompt=SYSTEM_PROMPT,
            finished=FINISHED,
            batch_size=batch_size,
        )
        for column, values in zip(likelihoods.columns, zip(*expected, strict=True), strict=True):
            assert likelihoods[column].to_numpy() == pytest.approx(np.array(values), abs=2e-5), (
                column
            )
    assert likelihoods["answer_tokens"][1] == 1, "an empty answer that finished is its end token"


def test_a_score_does_not_depend_on_its_neighbours(base: Any) -> None:
    model, tokenizer = base
    together = likelihood(model, tokenizer, PROMPTS, RESPONSES)
    alone = pl.concat(
        likelihood(model, tokenizer, [p], [r]) for p, r in zip(PROMPTS, RESPONSES, strict=True)
    )
    for column in together.columns:
        assert together[column].to_numpy() == pytest.approx(alone[column].to_numpy(), abs=1e-5)


def test_long_answers_make_small_batches(base: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    model, tokenizer = base
    whole = likelihood(model, tokenizer, PROMPTS, RESPONSES)
    seen: list[int] = []
    real = module._measure
    monkeypatch.setattr(module, "MAX_POSITIONS", 16)
    monkeypatch.setattr(module, "_measure", lambda m, t: seen.append(len(t.tokens)) or real(m, t))
    cut = likelihood(model, tokenizer, PROMPTS, RESPONSES)
    assert len(seen) > 1
    assert sum(seen) == len(PROMPTS)
    assert cut["logp"].to_numpy() == pytest.approx(whole["logp"].to_numpy(), abs=1e-5)


def test_a_model_that_knows_nothing_has_the_entropy_of_its_vocabulary(base: Any) -> None:
    model, tokenizer = base
    with torch.no_grad():
        model.get_output_embeddings().weight.zero_()
    likelihoods = likelihood(model, tokenizer, PROMPTS, RESPONSES)
    size = math.log(model.config.vocab_size)
    assert likelihoods["entropy"].to_numpy() == pytest.approx(size, abs=1e-5)
    tokens = likelihoods["answer_tokens"].to_numpy()
    assert likelihoods["logp"].to_numpy() == pytest.approx(-size * tokens, rel=1e-6)


def test_a_model_that_is_sure_has_no_entropy_and_no_nan(base: Any) -> None:
    model, tokenizer = base
    with torch.no_grad():
        model.get_output_embeddings().weight.mul_(1e6)
    likelihoods = likelihood(model, tokenizer, PROMPTS, RESPONSES)
    assert likelihoods["entropy"].to_numpy() == pytest.approx(0, abs=1e-3)
    assert np.isfinite(likelihoods["logp"].to_numpy()).all()


def test_what_training_cuts_is_not_read(base: Any) -> None:
    model, tokenizer = base
    prompts, answers = ["Tea?", "Milk?"], [sentences()[3], sentences()[4]]
    whole = encode_answers(model, tokenizer, prompts, answers)
    longest = min(len(prompt) + len(answer) for prompt, answer in whole) - 2
    cut = likelihood(model, tokenizer, prompts, answers, longest=longest)
    lengths = [min(len(answer), longest - len(prompt)) for prompt, answer in whole]
    assert cut["answer_tokens"].to_list() == lengths
    for (prompt, answer), length, logp in zip(whole, lengths, cut["logp"], strict=True):
        batch = pad_answers([(prompt, answer[:length])], tokenizer, "cpu")
        assert logp == pytest.approx(float(answer_logps(model, batch)[0]), abs=1e-4)


def test_no_token_no_entropy(base: Any) -> None:
    likelihoods = likelihood(*base, ["Hi", "Hi"], ["", "Yes."], finished=[False, True])
    assert likelihoods.row(0) == (0.0, 0, None)
    assert likelihoods["entropy"][1] > 0
    empty = likelihood(*base, [], [])
    assert empty.schema == likelihoods.schema
    assert empty.is_empty()


def test_the_gradient_is_that_of_the_sum(base: Any) -> None:
    """answer_logps equals likelihood, and its gradient a central difference, with an adapter."""
    model, tokenizer = base
    torch.manual_seed(0)
    model = get_peft_model(
        model, LoraConfig(r=2, target_modules="all-linear", init_lora_weights=False)
    ).eval()
    batch = pad_answers(
        encode_answers(model, tokenizer, PROMPTS, RESPONSES, finished=FINISHED),
        tokenizer,
        model.device,
    )
    expected = likelihood(model, tokenizer, PROMPTS, RESPONSES, finished=FINISHED)["logp"]
    logps = answer_logps(model, batch)
    assert logps.detach().numpy() == pytest.approx(expected.to_numpy(), abs=1e-4)
    model.double()
    answer_logps(model, batch).sum().backward()
    weights = [p for p in model.parameters() if p.requires_grad]
    for weight in weights[:: len(weights) // 5]:
        place = int(weight.grad.abs().argmax())
        step = 1e-4
        results = []
        for sign in (1, -1):
            with torch.no_grad():
                weight.view(-1)[place] += sign * step
                results.append(likelihood_sum(model, batch))
                weight.view(-1)[place] -= sign * step
        difference = (results[0] - results[1]) / (2 * step)
        assert float(weight.grad.view(-1)[place]) == pytest.approx(difference, rel=0.02, abs=0.02)


def likelihood_sum(model: Any, batch: Any) -> float:
    logits = model(input_ids=batch.tokens, attention_mask=batch.attention).logits
    log_p = logits[:, :-1].log_softmax(-1).gather(-1, batch.tokens[:, 1:, None])[..., 0]
    return float((log_p * batch.answer[:, 1:]).sum())


def test_prompts_are_encoded_as_for_sampling(base: Any) -> None:
    model, tokenizer = base
    starts = [start for start, _ in encode_answers(model, tokenizer, PROMPTS, RESPONSES)]
    assert starts == encode_prompts(tokenizer, PROMPTS)


def test_the_end_token_is_the_one_that_the_template_writes(base: Any) -> None:
    model, tokenizer = base
    tokenizer.chat_template = tokenizer.chat_template.replace("<|im_end|>", "<|im_start|>")
    start = tokenizer.convert_tokens_to_ids("<|im_start|>")

    def answer() -> list[int]:
        return encode_answers(model, tokenizer, ["Hi"], ["Yes."])[0][1]

    said = tokenizer("Yes.")["input_ids"]
    assert answer() == [*said, tokenizer.eos_token_id], "no stop token: the tokenizer's"
    model.generation_config.eos_token_id = start
    assert answer() == [*said, start]


def test_what_can_not_be_is_refused(base: Any) -> None:
    model, tokenizer = base
    with pytest.raises(ValueError, match="2 prompts, but 1 responses"):
        likelihood(model, tokenizer, ["a", "b"], ["c"])
    with pytest.raises(ValueError, match="1 prompts, but 2 system_prompt"):
        likelihood(model, tokenizer, ["a"], ["c"], system_prompt=["d", ""])
    with pytest.raises(ValueError, match=r"1 of 2 .* context of 1024 tokens \(first: row 1 with"):
        likelihood(model, tokenizer, ["a", "b"], ["c", "tea " * 2000])
    model.train()
    with pytest.raises(ValueError, match="training mode"):
        likelihood(model, tokenizer, ["a"], ["b"])


def test_progress_counts_every_answer(base: Any) -> None:
    seen: list[tuple[int, int]] = []
    likelihood(
        *base, PROMPTS, RESPONSES, batch_size=4, progress=lambda done, of: seen.append((done, of))
    )
    assert seen == [(4, 6), (6, 6)]
