"""No model runs code that lies beside it or is read from pickles."""

from __future__ import annotations

import ast
import io
import json
import pickle
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

import paretohqd
from helpers import small_run
from helpers.hub_cache import FIRST
from helpers.tiny import tiny_causal
from paretohqd.models import base
from paretohqd.models.adapters import load_adapter
from paretohqd.models.consent import consenting
from paretohqd.models.spec import Model
from paretohqd.plots.progress import Screen
from paretohqd.runs import layout
from paretohqd.runs.context import RunContext
from safety.own_code import (
    LOADS,
    Bomb,
    language_model,
    poison,
)

pytestmark = pytest.mark.usefixtures("answers_yes", "no_modules_of_models")


@pytest.mark.parametrize("what", LOADS)
@pytest.mark.parametrize("kind", ["", "llama"])
def test_code_beside_a_model_never_runs(what: str, kind: str, tmp_path: Path) -> None:
    load, make = LOADS[what]
    mark = tmp_path / "it-ran"
    folder = poison(make(tmp_path / "model"), mark, kind=kind)
    if kind == "llama" or what in ("tokenizer", "day"):
        load(folder)  # the library's own class reads it
    else:
        with pytest.raises(ValueError, match=r"cannot be loaded: it needs code of its own .*"):
            load(folder)
    assert not mark.exists()


@pytest.mark.parametrize("what", ["language model", "tokenizer", "template", "day", "reward model"])
def test_code_beside_a_tokenizer_never_runs(what: str, tmp_path: Path) -> None:
    load, make = LOADS[what]
    mark = tmp_path / "it-ran"
    folder = poison(make(tmp_path / "model"), mark, tokenizer=True)
    try:
        load(folder)
    except ValueError as error:
        assert "it needs code of its own" in str(error)  # noqa: PT017 - either end is right
    assert not mark.exists()


def test_the_message_says_what_lets_it_run(tmp_path: Path) -> None:
    folder = poison(tiny_causal(tmp_path / "model"), tmp_path / "it-ran")
    with pytest.raises(ValueError, match=r"--trust-remote-code MODEL@COMMIT on the command line"):
        language_model(folder)


def test_a_folder_that_is_trusted_by_its_path_runs_its_code(tmp_path: Path) -> None:
    mark = tmp_path / "it-ran"
    folder = poison(tiny_causal(tmp_path / "model"), mark)
    other = poison(tiny_causal(tmp_path / "other"), mark)
    with consenting(trust_remote_code=[str(folder)]):
        with pytest.raises(ValueError, match="it needs code of its own"):
            language_model(other)
        assert not mark.exists()
        model, _ = language_model(folder)
        assert type(model).__name__ == "OwnModel"
        assert mark.exists()
        assert base.identity(Model(name=str(folder)))["own_code"] is True
    assert "own_code" not in base.identity(Model(name=str(folder)))


@pytest.mark.parametrize("file", ["config.json", "tokenizer_config.json"])
def test_code_of_another_model_is_not_trusted_along(file: str, tmp_path: Path) -> None:
    folder = tiny_causal(tmp_path / "model")
    given = json.loads((folder / file).read_text())
    given["auto_map"] = {"AutoConfig": "their/loot--evil.OwnConfig"}
    (folder / file).write_text(json.dumps(given))
    with (
        consenting(trust_remote_code=[str(folder)]),
        pytest.raises(ValueError, match=r"takes code from their/loot, of which no commit is given"),
    ):
        language_model(folder)


TRUST: list[tuple[str, str]] = [
    ("someone/model", "expected MODEL@COMMIT with all 40 digits"),
    ("someone/model@", "expected MODEL@COMMIT"),
    ("someone/model@main", "expected MODEL@COMMIT"),
    ("someone/model@" + "1" * 39, "expected MODEL@COMMIT"),
    ("someone/model@" + "1" * 41, "expected MODEL@COMMIT"),
    ("someone/model@" + "G" * 40, "expected MODEL@COMMIT"),
    ("someone/model@v1.0", "expected MODEL@COMMIT"),
    ("model", "expected MODEL@COMMIT"),
    ("", "expected MODEL@COMMIT"),
    ("@" + "1" * 40, "no name on the hub"),
    ("a/b/c@" + "1" * 40, "no name on the hub"),
    ("a b@" + "1" * 40, "no name on the hub"),
]


@pytest.mark.parametrize(("text", "message"), TRUST)
def test_trust_takes_a_whole_commit(text: str, message: str) -> None:
    with (
        pytest.raises(ValueError, match=f"^--trust-remote-code {text}: {message}"),
        consenting(trust_remote_code=[text]),
    ):
        pass


def test_trust_in_a_model_that_the_run_has_not(parts: Path, tmp_path: Path) -> None:
    chosen = small_run.settings(parts, str(tmp_path / "run"))
    for name in ("someone/model@" + FIRST, str(tmp_path)):
        with (
            consenting(trust_remote_code=[name]),
            pytest.raises(ValueError, match="no model of this run has that name"),
        ):
            RunContext(chosen)
    assert not (tmp_path / "run").exists()


def test_trust_is_printed_and_kept(parts: Path, tmp_path: Path) -> None:
    chosen = small_run.settings(parts, str(tmp_path / "run"))
    file = io.StringIO()
    with consenting(trust_remote_code=[str(parts / "model"), str(parts / "kind")]):
        s = RunContext(chosen, screen=Screen(file=file))
        s.folder.close()
    assert f"--trust-remote-code: {parts / 'model'} (" in file.getvalue()
    record = json.loads((tmp_path / "run" / layout.CONSENT).read_text())["own_code"]
    assert record[str(parts / "model")] == base.fingerprint(parts / "model")
    assert json.loads(s.model_id)["own_code"] is True
    assert s.objective_settings["kind"]["own_code"] is True
    assert "own_code" not in s.objective_settings["brief"]


# ── pickles ─────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("name", ["pytorch_model.bin", "model.ckpt", "pytorch_model-1-of-2.bin"])
@pytest.mark.parametrize("what", ["language model", "reward model"])
def test_weights_that_are_pickles_alone(what: str, name: str, tmp_path: Path) -> None:
    load, make = LOADS[what]
    folder = make(tmp_path / "model")
    (folder / "model.safetensors").unlink()
    (folder / name).write_bytes(pickle.dumps(Bomb(tmp_path / "it-ran")))
    with pytest.raises(ValueError, match=rf"no weights as safetensors; .* \(there is {name}\)"):
        load(folder)
    assert not (tmp_path / "it-ran").exists()


@pytest.mark.parametrize("what", ["language model", "reward model"])
def test_honest_pickles_are_not_read_either(what: str, tmp_path: Path) -> None:
    load, make = LOADS[what]
    folder = make(tmp_path / "model")
    torch.save(load_file(folder / "model.safetensors"), folder / "pytorch_model.bin")
    load(folder)  # beside safetensors they are left alone
    (folder / "model.safetensors").unlink()
    with pytest.raises(ValueError, match="no weights as safetensors"):
        load(folder)


def test_an_adapter_that_is_a_pickle(tmp_path: Path, causal: Path) -> None:
    from peft import LoraConfig, get_peft_model

    model, _ = language_model(causal)
    adapter = tmp_path / "adapter"
    get_peft_model(model, LoraConfig(r=2, target_modules="all-linear")).save_pretrained(adapter)
    (adapter / "adapter_model.safetensors").unlink()
    (adapter / "adapter_model.bin").write_bytes(pickle.dumps(Bomb(tmp_path / "it-ran")))
    bare, _ = language_model(causal)
    with pytest.raises(ValueError, match=r"there is no adapter_model\.safetensors"):
        load_adapter(bare, adapter)
    assert not (tmp_path / "it-ran").exists()


@pytest.mark.parametrize("what", ["language model", "configuration", "tokenizer"])
def test_an_adapter_is_no_model(what: str, tmp_path: Path) -> None:
    """The library would follow it to whatever base it names."""
    load, make = LOADS[what]
    folder = make(tmp_path / "model")
    (folder / "adapter_config.json").write_text('{"base_model_name_or_path": "their/loot"}')
    with pytest.raises(ValueError, match="is an adapter, which names another model as its base"):
        load(folder)


def test_every_call_that_loads_names_where_it_decides() -> None:
    """No `from_pretrained`, `from_config` or `pipeline` without the options of `models.hub`."""
    source = Path(paretohqd.__file__).parent
    calls = [
        (path.relative_to(source).as_posix(), ast.unparse(node))
        for path in source.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call)
        and ast.unparse(node.func).split(".")[-1]
        in ("from_pretrained", "from_config", "pipeline", "snapshot_download", "hf_hub_download")
        and path.name != "hub.py"
    ]
    options = ("**origin.code", "**origin.weights", "**origin.files", "=origin.trusted")
    elsewhere = [(path, call) for path, call in calls if not any(o in call for o in options)]
    assert len(calls) > 10
    assert sorted(path for path, _ in elsewhere) == [
        "models/adapters.py",  # a configuration of PEFT, from a folder
        "models/base.py",  # a GGUF file, which has no code
        "models/base.py",
    ]
    assert all("gguf" in call or "**source" in call for path, call in elsewhere if "base" in path)
