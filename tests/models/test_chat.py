"""Conversations as token ids: what is trained is what is sampled, and texts stay texts."""

from __future__ import annotations

import dataclasses
import io
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import tokenizers
import torch
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer, decoders, pre_tokenizers, trainers
from transformers import ByT5Tokenizer, PreTrainedTokenizerFast
from trl import SFTTrainer

from helpers import small_run
from helpers.counted_rewards import vowels
from helpers.shapes import (
    CHANNELS,
    END,
    HOSTILE,
    INSTRUCT,
    NO_PROMPT,
    NO_SYSTEM,
    NO_THINK,
    ROWS,
    SHAPES,
    THINK,
    THOUGHTS,
    TRIMS,
    TURN,
    with_template,
)
from helpers.small_fit import CPU, Load, fit
from helpers.small_sampling import sample
from helpers.tiny import CHAT_TEMPLATE, sentences, tiny_tokenizer
from paretohqd.models import base as models
from paretohqd.models import chat
from paretohqd.models.chat import encode_answers
from paretohqd.models.spec import Model
from paretohqd.plots.progress import Screen
from paretohqd.runs import pipeline
from paretohqd.runs.context import RunContext
from paretohqd.trainers import dpo, grpo, sft


def trained(tokenizer: Any, example: dict[str, list[int]]) -> list[int]:
    return [label for label in example["labels"] if label != sft.IGNORED]


@pytest.mark.parametrize("shape", SHAPES)
def test_what_is_trained_is_what_is_sampled(
    shape: str, load: Load, sft_trainers: list[SFTTrainer], tmp_path: Path
) -> None:
    """Every shape: the sampler's prompt, then the row's own answer, then one end token."""
    rows = ROWS.with_columns(system_prompt=pl.Series(["", "Be brief.", HOSTILE, "", "x"]))
    rows = rows.with_columns(response=pl.col("response") + pl.Series(["", " \n", "", "\n", "\t"]))
    model, tokenizer = load(SHAPES[shape])
    fit(lambda: (model, tokenizer), rows, tmp_path)
    form = chat.find_form(tokenizer)
    starts = chat.encode_prompts(
        tokenizer, rows["prompt"].to_list(), rows["system_prompt"].to_list()
    )
    ends = encode_answers(
        model,
        tokenizer,
        *(rows[c].to_list() for c in ("prompt", "response")),
        system_prompt=rows["system_prompt"].to_list(),
    )
    for example, start, end, response in zip(
        sft_trainers[0].train_dataset, starts, ends, rows["response"], strict=True
    ):
        answer = trained(tokenizer, example)
        assert example["input_ids"][: len(start)] == start
        assert example["labels"][: len(start)] == [sft.IGNORED] * len(start)
        assert example["input_ids"][len(start) : len(start) + len(answer)] == answer
        assert end == (start, answer), "likelihoods are of what is trained"
        assert answer.count(tokenizer.eos_token_id) == 1
        assert answer[-1] == tokenizer.eos_token_id
        space = " " if shape == "instruct" else ""
        assert tokenizer.decode(answer) == form.gap + response + space + END
        assert not set(answer[:-1]) & set(tokenizer.convert_tokens_to_ids([TURN, "<|pad|>"]))


@pytest.mark.parametrize("shape", SHAPES)
def test_a_prompt_opens_no_turn(shape: str) -> None:
    tokenizer = with_template(SHAPES[shape])
    plain, *hostile = chat.encode_prompts(tokenizer, ["Hi", *ROWS["prompt"]], ["x"] + [HOSTILE] * 5)
    control = tokenizer.convert_tokens_to_ids([TURN, END, "<|pad|>"])
    for ids, prompt in zip(hostile, ROWS["prompt"], strict=True):
        assert [i for i in ids if i in control] == [i for i in plain if i in control]
        assert prompt in tokenizer.decode(ids), "nothing of the text is lost"
    if shape != "drops system":
        assert all(HOSTILE in tokenizer.decode(ids) for ids in hostile)


@pytest.mark.parametrize("which", ["tiny", "embedded"])
def test_plain_texts_are_read_as_the_library_reads_them(which: str) -> None:
    """Nothing changes where no text holds a control token."""
    tokenizer = tiny_tokenizer() if which == "tiny" else models.load_tokenizer(Model())
    odd = ["", " a", "a ", "\n", "\n\n a\n", "é🙂\u200d", "<|", "im_end|>", "a\tb", "< |im_end|>"]
    prompts = [*sentences()[:300:7], *odd, "x"]
    answers = [*sentences()[3:303:7], "x", *odd]
    system_prompt = ["", "Be brief.", "a\n\nb"] * 20
    for prompt, answer, first, row in zip(
        prompts,
        answers,
        system_prompt,
        chat.encode_rows(tokenizer, prompts, answers, system_prompt[:54]),
        strict=False,
    ):
        talk = chat.messages(prompt, answer, system_prompt=first)
        start = tokenizer.apply_chat_template(
            talk[:-1], add_generation_prompt=True, return_dict=False
        )
        whole = tokenizer.apply_chat_template(talk, return_dict=False)
        assert row[0] == start
        # A line's end at the answer's beginning could be one token with the prompt's last one.
        assert row[0] + row[1] == whole or answer.startswith("\n")
        assert tokenizer.decode(row[0] + row[1]) == tokenizer.decode(whole)


@given(st.lists(st.sampled_from([TURN, END, "<|pad|>", "<", "<|", "|>", "a ", "\n", "é"])))
def test_any_mixture_of_control_tokens_stays_text(parts: list[str]) -> None:
    tokenizer, text = with_template(CHAT_TEMPLATE), "".join(parts)
    [(prompt, rest, _)] = chat.encode_rows(tokenizer, [text], [text], [text])
    control = tokenizer.convert_tokens_to_ids([TURN, END, "<|pad|>"])
    turns = ["system", "user"] if text else ["user"]
    assert [i for i in prompt if i in control] == control[:2] * len(turns) + control[:1]
    assert [i for i in rest if i in control] == [control[1]]
    said = "".join(f"{TURN}{role}\n{text}{END}\n" for role in turns)
    assert tokenizer.decode(prompt) == f"{said}{TURN}assistant\n"
    assert tokenizer.decode(rest) == f"{text}{END}\n"


def test_marks_of_the_private_use_area_are_text_too() -> None:
    tokenizer = with_template(CHAT_TEMPLATE)
    text = f"\ue000{END}\ue001"
    [ids] = chat.encode_prompts(tokenizer, [text])
    assert text in tokenizer.decode(ids)


def test_added_tokens_of_thoughts_belong_to_answers_and_not_to_prompts() -> None:
    tokenizer = with_template(THOUGHTS)
    tokenizer.add_tokens(["<think>", "</think>", "<tool>"])
    opened, closed, tool = tokenizer.convert_tokens_to_ids(["<think>", "</think>", "<tool>"])
    thought = "<think>\nHm.\n</think>\n\nYes. <tool>"
    [(prompt, rest, _), (_, plain, _)] = chat.encode_rows(
        tokenizer, [thought, "Hi"], [thought, "Yes."]
    )
    assert (rest.count(opened), rest.count(closed), rest.count(tool)) == (1, 1, 1)
    assert (plain.count(opened), plain.count(closed)) == (1, 1), "the template's empty thought"
    assert not {opened, closed} & set(prompt)


def test_answers_go_on_from_what_the_prompt_opens(load: Load) -> None:
    _, tokenizer = load(THINK)
    thought = "<think>\nHm.\n</think>\n\nYes."
    rows = chat.encode_rows(tokenizer, ["Hi"] * 2, [thought, "Yes."])
    texts = [tokenizer.decode(prompt + rest) for prompt, rest, _ in rows]
    start = f"{TURN}user\nHi{END}\n{TURN}assistant\n"
    assert texts == [f"{start}{thought}{END}\n", f"{start}<think>\nYes.{END}\n"]
    _, tokenizer = load(NO_THINK)
    with pytest.raises(ValueError, match=r"^1 of 2 answers open with a thought \(first: row 1\)"):
        chat.encode_rows(tokenizer, ["Hi"] * 2, ["Yes.", thought])


def test_what_a_template_writes_before_answers_is_no_part_of_them(base: Any) -> None:
    """Sampled answers lose an empty thought and channel names, which the template writes anew."""
    tokenizer = with_template(THOUGHTS)
    ids = tokenizer(f"<think>\n\n</think>\n\nYes. {END}")["input_ids"]
    assert chat.answer_text(tokenizer, ids) == "Yes."
    tokenizer = with_template(CHANNELS)
    [ids] = chat.encode_prompts(tokenizer, ["Hi"])
    assert tokenizer.decode(ids).endswith(f"{TURN}assistant<|pad|>final\n")
    tokenizer = with_template(NO_PROMPT)
    [ids] = chat.encode_prompts(tokenizer, ["Hi"])
    assert ids == chat.encode_prompts(with_template(CHAT_TEMPLATE), ["Hi"])[0]


def test_sampling_follows_where_system_messages_stand(load: Load) -> None:
    model, tokenizer = load(NO_SYSTEM)
    more: dict[str, Any] = {"max_new_tokens": 6, "temperature": 0}
    answers = sample(model, tokenizer, ["Tea?"], system_prompt=["Be brief."], **more)
    same = sample(model, tokenizer, ["Be brief.\n\nTea?"], **more)
    assert answers["response"].to_list() == same["response"].to_list()


def test_the_first_of_several_end_tokens_ends_an_answer(
    load: Load, sft_trainers: list[SFTTrainer], tmp_path: Path
) -> None:
    """A template may end a turn with one token and a text with another; sampling stops at one."""
    model, tokenizer = load(CHAT_TEMPLATE.replace(END, END + "<|pad|>"))
    model.generation_config.eos_token_id = tokenizer.convert_tokens_to_ids([END, "<|pad|>"])
    fit(lambda: (model, tokenizer), ROWS[:1], tmp_path)
    [example] = sft_trainers[0].train_dataset
    assert tokenizer.decode(trained(tokenizer, example)) == f"Coffee.{END}"


def test_rows_with_control_tokens_are_counted_and_stay_whole(parts: Path, tmp_path: Path) -> None:
    frame = pl.read_parquet(parts / "data.parquet").with_row_index()
    hostile = pl.col("index") < 3
    source = tmp_path / "data.parquet"
    frame.with_columns(
        response=pl.when(hostile).then(pl.lit(HOSTILE)).otherwise("response")
    ).write_parquet(source)
    chosen = small_run.settings(parts, "run", data__source=str(source), data__held_out=1)
    chosen = dataclasses.replace(chosen, run=str(tmp_path / "run"), seed=1)
    file = io.StringIO()
    s = RunContext(chosen, screen=Screen(file=file))
    result = pipeline.split(s)
    s.folder.close()
    pool = pl.read_parquet(result.path / "pool.parquet")
    count = pool["response"].to_list().count(HOSTILE)
    assert count
    assert result.notes["control_tokens"] == count
    assert f"{count} rows hold control tokens, which are read as characters" in file.getvalue()


def test_reinforcement_samples_from_prompts_as_sampling_does(
    causal: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Prompts with control tokens in them, and a template that lacks a prompt for answers."""
    read: list[list[int]] = []

    class Spy(grpo.ChatTrainer):
        def _generate_single_turn(self, prompt_ids: Any, *more: Any, **named: Any) -> Any:
            read.extend(prompt_ids)
            return super()._generate_single_turn(prompt_ids, *more, **named)

    monkeypatch.setattr(grpo, "ChatTrainer", Spy)
    spec, reward = Model(name=str(causal), chat_template=NO_PROMPT), vowels()
    model, tokenizer = models.load_base(spec, device="cpu", dtype=torch.float32)
    facts = grpo.reinforce(
        model,
        tokenizer,
        [HOSTILE],
        [reward],
        [1.0],
        tmp_path,
        machine=CPU,
        lora={"r": 2},
        constants={"vowels": (0.0, 1.0)},
        steps=1,
        settings={
            "per_device_train_batch_size": 2,
            "gradient_accumulation_steps": 1,
            "num_generations": 2,
            "max_completion_length": 4,
        },
    )
    assert reward.prompts == [HOSTILE] * 2
    [ids] = chat.encode_prompts(tokenizer, [HOSTILE])
    assert read
    assert all(row == ids for row in read)
    assert facts["trained_tokens"] == 2 * len(ids) + facts["generated_tokens"]


def test_pairs_are_trained_up_to_their_own_end_token(
    load: Load, pair_trainers: list[Any], tmp_path: Path
) -> None:
    """Answers that differ in white space or hold control tokens stay what they are."""
    model, tokenizer = load(TRIMS)
    pairs = pl.DataFrame(
        {"prompt": ["Hi", HOSTILE], "chosen": ["Yes.", HOSTILE], "rejected": ["Yes.\n", END]}
    )
    dpo.fit_pairs(
        model, tokenizer, pairs, tmp_path, machine=CPU, train={"max_steps": 1}, lora={"r": 2}
    )
    dataset = pair_trainers[0].train_dataset
    assert dataset["prompt_ids"][:] == chat.encode_prompts(tokenizer, pairs["prompt"].to_list())
    for side in ("chosen", "rejected"):
        for ids, text in zip(dataset[f"{side}_ids"], pairs[side], strict=True):
            assert tokenizer.decode(ids) == text + END
            assert ids.count(tokenizer.eos_token_id) == 1


def test_declared_end_tokens_end_no_answer_from_within(
    load: Load, sft_trainers: list[SFTTrainer], tmp_path: Path
) -> None:
    """One that is neither special nor the template's."""
    model, tokenizer = load()
    tokenizer.add_tokens(["<|halt|>"])
    model.resize_token_embeddings(len(tokenizer))
    halt = tokenizer.convert_tokens_to_ids("<|halt|>")
    model.generation_config.eos_token_id = [halt, tokenizer.eos_token_id]
    rows = pl.DataFrame({"prompt": ["Hi"], "response": ["A <|halt|> here."]})
    fit(lambda: (model, tokenizer), rows, tmp_path)
    [example] = sft_trainers[0].train_dataset
    assert tokenizer.decode(trained(tokenizer, example)) == f"A <|halt|> here.{END}"
    assert halt not in example["input_ids"]


@pytest.mark.parametrize("scheme", ["first", "always"])
def test_tokenizers_that_put_a_space_before_texts(scheme: str) -> None:
    """SentencePiece's kind: pieces of a text that is cut get no space of their own."""
    words = Tokenizer(tokenizers.models.BPE(unk_token="<unk>"))
    words.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme=scheme)
    words.decoder = decoders.Metaspace(prepend_scheme=scheme)
    special = [TURN, END, "<|pad|>", "<unk>"]
    trainer = trainers.BpeTrainer(special_tokens=special, show_progress=False)
    words.train_from_iterator([*sentences()[::9], HOSTILE, INSTRUCT, "\n\n"], trainer)
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=words,
        eos_token=END,
        pad_token="<|pad|>",
        unk_token="<unk>",
        chat_template=INSTRUCT,
        clean_up_tokenization_spaces=False,
    )
    texts = ["I like good tea", HOSTILE, "a\n\nb"]
    for prompt in texts:
        for answer in [*texts, "\n\nyes"]:
            [(start, rest, _)] = chat.encode_rows(tokenizer, [prompt], [answer])
            assert tokenizer.decode(start).removeprefix(" ") == f"[INST] {prompt} [/INST]"
            # The decoder leaves out the first space.
            assert tokenizer.convert_ids_to_tokens(rest)[0].startswith("\u2581")
            assert tokenizer.decode(rest) == f"{answer} {END}"
            assert rest.count(tokenizer.eos_token_id) == 1


def test_tokenizers_written_in_python() -> None:
    tokenizer = ByT5Tokenizer(extra_ids=0)
    tokenizer.chat_template = CHAT_TEMPLATE.replace(END, "</s>").replace(TURN, "<pad>")
    text = HOSTILE.replace(END, "</s>").replace(TURN, "<pad>")
    [(start, rest, _)] = chat.encode_rows(tokenizer, [text], [text], [text])
    end, turn = tokenizer.convert_tokens_to_ids(["</s>", "<pad>"])
    assert (start.count(end), start.count(turn), rest.count(end), rest.count(turn)) == (2, 3, 1, 0)
    assert tokenizer.decode(rest) == f"{text}</s>"  # its end token takes white space behind it
    control = chat.control_pattern(tokenizer)
    cut = [chat.as_text(control, text)]
    [ids] = chat.encode_cut(tokenizer, cut)["input_ids"]
    assert ids.count(end) == 1, "the one that the tokenizer adds"
