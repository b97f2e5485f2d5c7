from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
import torch

from helpers.small_sampling import sample
from paretohqd.models import base, embedded
from paretohqd.models.spec import Model


def load(name: Path | str, **more: Any) -> tuple[Any, Any]:
    return base.load_base(Model(name=str(name), **more), device="cpu", dtype=torch.float32)


@pytest.fixture
def copy(causal: Path, tmp_path: Path) -> Path:
    """A copy of the tiny model to damage."""
    return Path(shutil.copytree(causal, tmp_path / "model"))


def test_the_embedded_model_loads_and_answers(capfd: pytest.CaptureFixture[str]) -> None:
    model, tokenizer = load("embedded")
    assert sum(p.numel() for p in model.parameters()) == 134_515_008
    assert {p.dtype for p in model.parameters()} == {torch.float32}
    assert not getattr(model, "is_quantized", False)
    assert tokenizer.padding_side == "left"
    answers = sample(
        model, tokenizer, ["What is the capital of France?"], max_new_tokens=12, temperature=0
    )
    assert "Paris" in answers["response"][0]
    assert capfd.readouterr().err == "", "loading shows no bars of its own"
    folder = Path(base.find_base(Model()).place)
    written = {p.name: p.stat().st_mtime_ns for p in folder.iterdir()}
    assert base.unpack_gguf(embedded.model_file()) == folder
    assert {p.name: p.stat().st_mtime_ns for p in folder.iterdir()} == written


class FakeGguf:
    """Stands in for the conversion, which takes seconds for a real file."""

    def __init__(self, source: Path) -> None:
        self.source, self.calls, self.fail = source, 0, False
        self.missing: set[str] = set()

    base_model_prefix = ""

    def from_pretrained(self, *args: Any, output_loading_info: bool = False, **more: Any) -> Any:
        self.calls += 1
        report = {"missing_keys": self.missing, "unexpected_keys": set()}
        return (self, report) if output_loading_info else self

    def save_pretrained(self, folder: Path) -> None:
        shutil.copytree(self.source, folder, dirs_exist_ok=True)
        if self.fail:
            raise OSError(28, "No space left on device")


@pytest.fixture
def gguf(causal: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeGguf:
    fake = FakeGguf(causal)
    monkeypatch.setenv("PARETOHQD_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(base, "AutoModelForCausalLM", fake)
    monkeypatch.setattr(base, "AutoTokenizer", fake)
    return fake


def test_a_gguf_file_is_unpacked_once(gguf: FakeGguf, tmp_path: Path) -> None:
    file = tmp_path / "small.gguf"
    file.write_bytes(b"one")
    folder = base.unpack_gguf(file)
    assert folder.parent == tmp_path / "cache"
    assert (folder / "config.json").is_file()
    calls = gguf.calls
    assert base.unpack_gguf(file) == folder
    assert gguf.calls == calls
    file.write_bytes(b"two")
    assert base.unpack_gguf(file) != folder, "another content is another model"


def test_unpacking_is_whole_or_not_at_all(gguf: FakeGguf, tmp_path: Path) -> None:
    file = tmp_path / "small.gguf"
    file.write_bytes(b"one")
    gguf.fail = True
    with pytest.raises(ValueError, match=r"small\.gguf: cannot be loaded: .*No space left"):
        base.unpack_gguf(file)
    assert list((tmp_path / "cache").iterdir()) == []
    gguf.fail = False
    assert (base.unpack_gguf(file) / "config.json").is_file()


def test_two_processes_may_unpack_at_once(
    gguf: FakeGguf, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "small.gguf"
    file.write_bytes(b"one")
    save = FakeGguf.save_pretrained
    others: list[Path] = []

    def overtaken(fake: FakeGguf, folder: Path) -> None:
        save(fake, folder)
        if not others:
            others.append(folder)
            base.unpack_gguf(file)

    monkeypatch.setattr(FakeGguf, "save_pretrained", overtaken)
    folder = base.unpack_gguf(file)
    assert (folder / "config.json").is_file()
    assert [p.name for p in folder.parent.iterdir()] == [folder.name], "nothing is left beside it"


def test_a_missing_gguf_file() -> None:
    with pytest.raises(ValueError, match=r"^model /nowhere/x\.gguf: no such file$"):
        load("/nowhere/x.gguf")


@pytest.mark.parametrize("name", ["no-such/model", "/nowhere/model", "a/b/c", "my model!"])
def test_a_missing_model_is_one_line(name: str) -> None:
    with pytest.raises(ValueError, match=f"^model {name}: cannot be loaded: ") as caught:
        load(name)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("error", [MemoryError(), torch.OutOfMemoryError("CUDA out of memory")])
def test_full_memory_is_not_the_models_fault(
    causal: Path, monkeypatch: pytest.MonkeyPatch, error: BaseException
) -> None:
    def full(*given: Any, **more: Any) -> Any:
        raise error

    monkeypatch.setattr(base.AutoModelForCausalLM, "from_pretrained", full)
    with pytest.raises(type(error)):
        load(causal)


@pytest.mark.parametrize("file", ["config.json", "tokenizer.json", "model.safetensors"])
def test_a_damaged_model_is_one_line(copy: Path, file: str) -> None:
    (copy / file).write_bytes((copy / file).read_bytes()[:50])
    with pytest.raises(ValueError, match=f"^model {copy}: cannot be loaded: ") as caught:
        load(copy)
    assert "\n" not in str(caught.value)


def test_a_tokenizer_without_a_chat_template(copy: Path) -> None:
    (copy / "chat_template.jinja").unlink()
    with pytest.raises(ValueError, match=r"no chat template: set model\.chat_template"):
        load(copy)
    template = "{% for m in messages %}{{ m['content'] }}<|im_end|>{% endfor %}"
    _, tokenizer = load(copy, chat_template=template)
    assert tokenizer.chat_template == template
    (copy / "own.jinja").write_text(template)
    _, tokenizer = load(copy, chat_template=str(copy / "own.jinja"))
    assert tokenizer.chat_template == template


@pytest.mark.parametrize("template", ["{% for", "{{ raise_exception('no users here') }}"])
def test_a_chat_template_that_fails(causal: Path, template: str) -> None:
    with pytest.raises(ValueError, match="the chat template fails: "):
        load(causal, chat_template=template)


def test_a_tokenizer_without_an_end_token(copy: Path) -> None:
    file = copy / "tokenizer_config.json"
    file.write_text(file.read_text().replace('"eos_token": "<|im_end|>",', ""))
    with pytest.raises(ValueError, match="no end-of-text token"):
        load(copy)


def test_a_tokenizer_without_a_pad_token_pads_with_its_end_token(copy: Path) -> None:
    file = copy / "tokenizer_config.json"
    file.write_text(file.read_text().replace('"pad_token": "<|pad|>"', '"pad_token": null'))
    _, tokenizer = load(copy)
    assert tokenizer.pad_token == tokenizer.eos_token == "<|im_end|>"


def test_identity_goes_with_the_content_of_a_folder(copy: Path, tmp_path: Path) -> None:
    first = base.identity(Model(name=str(copy)))
    elsewhere = shutil.copytree(copy, tmp_path / "elsewhere")
    assert base.identity(Model(name=str(elsewhere))) == first
    weights = elsewhere / "model.safetensors"
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    weights.write_bytes(content)
    assert base.identity(Model(name=str(elsewhere))) != first


def test_identity_goes_with_the_chat_template(copy: Path) -> None:
    file = copy.parent / "own.jinja"
    file.write_text("one")
    spec = Model(name=str(copy), chat_template=str(file))
    first = base.identity(spec)
    file.write_text("two")
    assert base.identity(spec) != first
    assert base.identity(Model(name=str(copy), chat_template="two")) == base.identity(spec)


def test_identity_of_a_gguf_file_outlives_its_cache(gguf: FakeGguf, tmp_path: Path) -> None:
    file = tmp_path / "small.gguf"
    file.write_bytes(b"one")
    first = base.identity(Model(name=str(file)))
    shutil.rmtree(tmp_path / "cache")
    assert base.identity(Model(name=str(file))) == first
    file.write_bytes(b"two")
    assert base.identity(Model(name=str(file))) != first


def test_identity_of_a_hub_name_needs_no_network() -> None:
    spec = Model(name="someone/model", revision="abc")
    assert base.identity(spec) == {
        "name": "someone/model",
        "revision": "abc",
        "chat_template": None,
    }
