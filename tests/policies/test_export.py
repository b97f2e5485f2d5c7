"""What others load: an adapter, a whole model, chosen rows."""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import torch
import yaml
from peft import PeftModel
from transformers import AutoModelForCausalLM, AutoTokenizer, GenerationConfig

import paretohqd as pq
from paretohqd.cli.main import main
from paretohqd.policies.card import code
from paretohqd.policies.datasets import export_dataset
from paretohqd.policies.export import CONVERTER, export_adapter, export_gguf, export_merged
from paretohqd.policies.finished import open_run
from paretohqd.policies.pushing import push

pytestmark = pytest.mark.slow

TEXTS = ["What do you like?", "Tell me about the old house today."]


def logits(model: Any, tokenizer: Any) -> list[torch.Tensor]:
    with torch.inference_mode():
        return [model(torch.tensor([tokenizer.encode(text)])).logits for text in TEXTS]


@pytest.mark.parametrize("weights", ["brief", [0.75, 0.25]])
def test_an_adapter_loads_with_plain_peft(
    finished: Path, parts: Path, tmp_path: Path, weights: Any
) -> None:
    policy = pq.policy(finished, weights, device="cpu")
    out = export_adapter(policy, tmp_path / "out")
    assert sorted(path.name for path in out.iterdir()) == [
        *("README.md", "adapter_config.json", "adapter_model.safetensors")
    ]
    plain = AutoModelForCausalLM.from_pretrained(parts / "model", dtype=torch.float32)
    loaded = PeftModel.from_pretrained(plain, out).eval()
    own, tokenizer = policy.run.model(policy.parts)
    for ours, theirs in zip(logits(own, tokenizer), logits(loaded, tokenizer), strict=True):
        torch.testing.assert_close(theirs, ours, atol=1e-5, rtol=1e-5)
    for text in (out / "README.md", out / "adapter_config.json"):
        assert str(parts) not in text.read_text()


def test_a_whole_model_loads_with_plain_transformers(finished: Path, tmp_path: Path) -> None:
    policy = pq.policy(finished, [0.75, 0.25], device="cpu")
    out = export_merged(policy, tmp_path / "whole")
    model = AutoModelForCausalLM.from_pretrained(out)
    tokenizer = AutoTokenizer.from_pretrained(out)
    own, before = policy.run.model(policy.parts)
    for ours, theirs in zip(logits(own, before), logits(model, tokenizer), strict=True):
        torch.testing.assert_close(theirs, ours, atol=1e-5, rtol=1e-5)
    talk = [{"role": "user", "content": "Tea?"}]
    assert tokenizer.apply_chat_template(talk, tokenize=False) == before.apply_chat_template(
        talk, tokenize=False
    )
    spec = GenerationConfig.from_pretrained(out)
    assert (spec.do_sample, spec.temperature, spec.top_p) == (True, 0.7, 0.9)
    assert tokenizer.eos_token_id in spec.eos_token_id
    assert list(out.glob("*.safetensors"))


def test_a_card_says_what_it_is(finished: Path, tmp_path: Path) -> None:
    card = (export_adapter(pq.policy(finished, "brief"), tmp_path / "a") / "README.md").read_text()
    _, front, text = card.split("---\n", 2)
    facts = yaml.safe_load(front)
    assert facts["library_name"] == "peft"
    assert facts["base_model"] == "model"
    assert "license" not in facts
    held_out = pl.read_parquet(finished / "evaluate/stage2-02-brief/answers.parquet")
    base = pl.read_parquet(finished / "evaluate/base/answers.parquet")
    for name in ("kind", "brief"):
        assert f"| `{name}` | {held_out[name].mean():.3f} (" in text
        assert f"| {base[name].mean():.3f} (" in text
    for words in ("w = (0, 1)", "not known here: look it up", "Stage 1: the 6 best", "Seed 0"):
        assert words in text
    assert "Not measured" not in text
    between = export_merged(pq.policy(finished, [0.75, 0.25]), tmp_path / "b") / "README.md"
    assert "**Not measured**" in between.read_text()
    assert yaml.safe_load(between.read_text().split("---\n")[1])["library_name"] == "transformers"
    assert code("a`b``c") == "``` a`b``c ```"
    assert "\n" not in code("a\n# b")


def test_rows_in_the_forms_that_trainers_take(finished: Path, tmp_path: Path) -> None:
    out = export_dataset(open_run(finished), tmp_path / "rows", stage=1)
    whole = pl.read_parquet(finished / "stage1/select/selection.parquet")
    labels = ["00-kind", "01-both", "02-brief"]
    for number, label in enumerate(labels):
        own = whole.filter(pl.col("preference") == number)
        assert pl.read_parquet(out / f"{label}.parquet").equals(own)
        read = {
            form: [json.loads(line) for line in (out / f"{label}.{form}.jsonl").open()]
            for form in ("trl", "alpaca", "sharegpt")
        }
        for i, (prompt, response) in enumerate(own.select("prompt", "response").rows()):
            assert read["trl"][i]["prompt"][-1]["content"] == prompt
            assert read["alpaca"][i] == {"instruction": prompt, "input": "", "output": response}
            assert [turn["value"] for turn in read["sharegpt"][i]["conversations"]] == [
                prompt,
                response,
            ]
    front = yaml.safe_load((out / "README.md").read_text().split("---\n")[1])
    assert [entry["config_name"] for entry in front["configs"]] == labels
    from datasets import load_dataset

    loaded = load_dataset("json", data_files=str(out / "00-kind.trl.jsonl"), split="train")
    assert loaded.column_names == ["prompt", "completion"]
    with pytest.raises(ValueError, match="no selection of stage 7"):
        export_dataset(open_run(finished), tmp_path / "other", stage=7)


def test_nothing_is_written_over(finished: Path, tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("x")
    policy = pq.policy(finished, "kind")
    for write in (export_adapter, export_merged):
        with pytest.raises(ValueError, match="is not empty"):
            write(policy, tmp_path)
        with pytest.raises(ValueError, match="is no folder"):
            write(policy, tmp_path / "mine.txt")
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


# ── gguf ─────────────────────────────────────────────────────────────────────────────────────


def test_gguf_by_the_converter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A stand-in with the converter's arguments: llama.cpp's own is not installed here."""
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ValueError, match="is not on the PATH"):
        export_gguf(tmp_path / "model", tmp_path / "out.gguf")
    program = tmp_path / CONVERTER
    program.write_text('#!/bin/sh\nprintf %s "$1" > "$3"\n')
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    made = export_gguf(tmp_path / "model", tmp_path / "out.gguf")
    assert made.read_text() == str(tmp_path / "model")
    with pytest.raises(ValueError, match="is there already"):
        export_gguf(tmp_path / "model", made)
    program.write_text("#!/bin/sh\necho no such architecture >&2\nexit 1\n")
    with pytest.raises(ValueError, match="failed: no such architecture"):
        export_gguf(tmp_path / "model", tmp_path / "other.gguf")


# ── the Hub ──────────────────────────────────────────────────────────────────────────────────


class Hub:
    """Takes what HfApi is told."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, dict[str, Any]]] = []

    def create_repo(self, **more: Any) -> str:
        self.calls.append(("create", more))
        return f"https://hub.test/{more['repo_id']}"

    def upload_folder(self, **more: Any) -> None:
        self.calls.append(("upload", more))


def on_the_hub(folder: Path) -> Path:
    """The adapter as if its base were a model of the Hub."""
    config = folder / "adapter_config.json"
    saved = json.loads(config.read_text())
    assert saved["base_model_name_or_path"] == "model"
    with pytest.raises(ValueError, match="'model', is no model of the Hub: others cannot load it"):
        push(folder, "me/kind", agreed=lambda text: True, api=Hub())
    config.write_text(json.dumps(saved | {"base_model_name_or_path": "someone/tiny"}))
    return folder


def test_what_is_pushed(finished: Path, tmp_path: Path) -> None:
    out = on_the_hub(export_adapter(pq.policy(finished, "kind"), tmp_path / "out"))
    (out / "answers.parquet").write_text("secret")
    hub, asked = Hub(), list[str]()
    with pytest.raises(ValueError, match="not agreed, and nothing was sent"):
        push(out, "me/kind", agreed=lambda text: bool(asked.append(text)), api=hub)
    assert hub.calls == []
    assert "adapter_model.safetensors" in asked[0]
    assert "answers" not in asked[0]
    assert "its owner alone" in asked[0]
    assert push(out, "me/kind", agreed=lambda text: True, api=hub) == "https://hub.test/me/kind"
    (_, made), (_, sent) = hub.calls
    assert (made["private"], made["exist_ok"]) == (True, False)
    assert sent["allow_patterns"] == [
        *("adapter_model.safetensors", "adapter_config.json", "README.md")
    ]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("hf_" + "a" * 34, "holds an access token"),
        ("github_pat_" + "b" * 40, "holds an access token"),
        ("https://me:word@host/x", "holds a URL with a user"),
        ("see /home/me/data", "holds a path of some machine"),
        ("see /scratch/x", "holds a path of some machine"),
        ("file:///data", "holds a path of some machine"),
        (r"C:\Users\me", "holds a path of some machine"),
    ],
)
def test_what_is_not_pushed(finished: Path, tmp_path: Path, text: str, message: str) -> None:
    out = export_adapter(pq.policy(finished, "kind"), tmp_path / "out")
    card = out / "README.md"
    card.write_text(card.read_text() + text)
    hub = Hub()
    with pytest.raises(ValueError, match=message):
        push(out, "me/kind", agreed=lambda text: True, api=hub)
    assert hub.calls == []


def test_where_nothing_is_pushed(
    finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = export_adapter(pq.policy(finished, "kind"), tmp_path / "out")
    for repo, message in (("kind", "expected OWNER/NAME"), ("../x", "no name on the hub")):
        with pytest.raises(ValueError, match=message):
            push(out, repo, agreed=lambda text: True, api=Hub())
    with pytest.raises(ValueError, match="is no exported adapter"):
        push(tmp_path, "me/kind", agreed=lambda text: True, api=Hub())
    monkeypatch.setenv("PARETOHQD_OFFLINE", "1")
    with pytest.raises(ValueError, match="PARETOHQD_OFFLINE=1 forbids it"):
        push(out, "me/kind", agreed=lambda text: True, api=Hub())


def test_the_command(finished: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = ["export", str(finished), "--device", "cpu"]
    assert main([*run, "--preference", "brief", "-o", str(tmp_path / "a")]) == 0
    assert "the model trained for brief" in capsys.readouterr().out
    assert main([*run, "--weights", "3", "1", "--merged", "-o", str(tmp_path / "b")]) == 0
    assert "were divided by that" in capsys.readouterr().out
    assert (tmp_path / "b" / "tokenizer.json").is_file()
    assert main([*run, "--model", "./gone", "--dataset", "-o", str(tmp_path / "c")]) == 0
    capsys.readouterr()
    assert main([*run, "--dataset", "--merged", "-o", str(tmp_path / "d")]) == 1
    assert "--dataset writes no model" in capsys.readouterr().err
    assert main([*run, "--preference", "brief", "--yes", "-o", str(tmp_path / "d")]) == 1
    assert "--public and --yes go with --push" in capsys.readouterr().err
    assert main([*run, "--preference", "brif", "-o", str(tmp_path / "d")]) == 1
    assert "did you mean 'brief'" in capsys.readouterr().err
    pushed = ["--preference", "brief", "--push", "me/brief", "-o", str(tmp_path / "e")]
    assert main([*run, *pushed]) == 1
    assert "is no model of the Hub" in capsys.readouterr().err
    assert os.path.isdir(tmp_path / "e")
