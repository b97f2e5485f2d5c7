"""No model runs code that lies beside it, is read from pickles, or is another than it was."""

from __future__ import annotations

import ast
import io
import json
import pickle
import shutil
import sys
from collections.abc import Callable
from itertools import count
from pathlib import Path
from typing import Any

import huggingface_hub
import pytest
import torch
import yaml
from huggingface_hub import constants
from safetensors.torch import load_file

import paretohqd
from helpers import hub_cache, small_run
from helpers.hub_cache import FIRST, SECOND
from helpers.small_configs import ONE, minimal, write
from helpers.small_configs import load as load_file_of_settings
from helpers.tiny import tiny_causal, tiny_classifier
from paretohqd.cli.main import main
from paretohqd.models import base, hub
from paretohqd.models.adapters import load_adapter
from paretohqd.models.consent import consenting
from paretohqd.models.names import check_hub_name, is_local
from paretohqd.models.spec import Model
from paretohqd.plots.progress import Screen
from paretohqd.rewards.classifier import ClassifierReward
from paretohqd.runs import layout
from paretohqd.runs.context import RunContext
from paretohqd.runs.data import load_source
from paretohqd.runs.sections import Data

# ── code beside the weights ─────────────────────────────────────────────────────────────────────

EVIL = """
from pathlib import Path
from transformers import LlamaConfig, LlamaForCausalLM, LlamaForSequenceClassification
from transformers import PreTrainedTokenizerFast

Path({mark!r}).touch()

class OwnConfig(LlamaConfig):
    model_type = {kind!r}

class OwnModel(LlamaForCausalLM):
    config_class = OwnConfig

class OwnReward(LlamaForSequenceClassification):
    config_class = OwnConfig

class OwnTokenizer(PreTrainedTokenizerFast):
    pass
"""

OWN_MODEL = {
    "AutoConfig": "evil.OwnConfig",
    "AutoModelForCausalLM": "evil.OwnModel",
    "AutoModelForSequenceClassification": "evil.OwnReward",
}


_numbers = count()


def poison(folder: Path, mark: Path, *, kind: str = "", tokenizer: bool = False) -> Path:
    """Put code beside a model that leaves a mark when it runs, as a kind that no library knows."""
    kind = kind or f"own{next(_numbers)}"  # the library remembers kinds that it has once run
    (folder / "evil.py").write_text(EVIL.format(mark=str(mark), kind=kind))
    name = "tokenizer_config.json" if tokenizer else "config.json"
    given = json.loads((folder / name).read_text())
    if tokenizer:
        given["auto_map"] = {"AutoTokenizer": [None, "evil.OwnTokenizer"]}
        given["tokenizer_class"] = "OwnTokenizer"
    else:
        given |= {"auto_map": OWN_MODEL, "model_type": kind}
    (folder / name).write_text(json.dumps(given))
    return folder


def language_model(folder: Path) -> Any:
    return base.load_base(Model(name=str(folder)), device="cpu", dtype=torch.float32)


def reward_model(folder: Path) -> Any:
    reward = ClassifierReward(name="r", model=str(folder), template="{prompt} {response}")
    return reward.score(["Hi"], ["Hello"])


LOADS: dict[str, tuple[Callable[[Path], Any], Callable[[Path], Path]]] = {
    "language model": (language_model, tiny_causal),
    "tokenizer": (lambda folder: base.load_tokenizer(Model(name=str(folder))), tiny_causal),
    "configuration": (lambda folder: base.load_config(Model(name=str(folder))), tiny_causal),
    "skeleton": (lambda folder: base.skeleton(Model(name=str(folder))), tiny_causal),
    "template": (lambda folder: base.check_trainable(Model(name=str(folder))), tiny_causal),
    "day": (lambda folder: base.dated(Model(name=str(folder))), tiny_causal),
    "reward model": (reward_model, tiny_classifier),
}


@pytest.fixture(autouse=True)
def answers_yes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever is asked says yes: nobody must be asked."""
    monkeypatch.setattr("builtins.input", lambda *question: "y")
    monkeypatch.setattr("sys.stdin", io.StringIO("y\n" * 100))


@pytest.fixture(autouse=True)
def no_modules_of_models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Code that models bring is copied below the test's own folder, and forgotten."""
    from transformers import dynamic_module_utils

    monkeypatch.setattr(dynamic_module_utils, "HF_MODULES_CACHE", str(tmp_path / "modules"))
    monkeypatch.setattr(sys, "path", list(sys.path))


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


class Bomb:
    """Leaves a mark when it is read from a pickle."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> Any:
        return (open, (str(self.mark), "w"))


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


# ── names ───────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "name", ["./tiny", "../tiny", "/models/tiny", "~/tiny", ".", "..", "~", "C:\\tiny", "./a.gguf"]
)
def test_paths(name: str) -> None:
    assert is_local(name)


NO_NAMES = [
    "",
    "a/b/c",
    "my model",
    "a/../b",
    "a/b..c",
    "a--b",
    ".a/b",
    "-a/b",
    "a/-b",
    "a/b-",
    "a/b.",
    "a\\b",
    "a/b\n",
    "https://their.host/a",
    "file:///a",
    "hf://a/b",
    "a/b@main",
    "a/b.git",
    "tiny.gguf",
    "a/\u0430",
    "x" * 97,
]


@pytest.mark.parametrize("name", NO_NAMES, ids=repr)
def test_no_names(name: str) -> None:
    assert not is_local(name)
    with pytest.raises(ValueError, match=r"name on the hub"):
        check_hub_name(name, "model")
    with pytest.raises(ValueError, match=r"cannot be loaded: "):
        hub.find(name)


@pytest.mark.parametrize("name", ["gpt2", "someone/model", "Some-one/model_1.0-x", "a/b.c"])
def test_names_on_the_hub(name: str) -> None:
    assert not is_local(name)
    check_hub_name(name, "model")


@pytest.mark.parametrize("place", ["beside", "here"])
@pytest.mark.parametrize("name", ["tiny", "someone/tiny", "tiny.gguf", "no name"])
def test_a_folder_does_not_take_the_place_of_a_hub_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str, name: str
) -> None:
    for folder in ("beside", "here"):
        (tmp_path / folder).mkdir()
    (tmp_path / place / name).mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "here")
    message = rf"model.*: {name} is no path, which begins .*: write \./{name} for it"
    for mapping in (
        minimal(model={"name": name}),
        minimal(objectives=[ONE, {"name": "two", "model": name}]),
    ):
        with pytest.raises(ValueError, match=message):
            load_file_of_settings(write(tmp_path / "beside", mapping))
    if place == "here":
        with pytest.raises(ValueError, match=message):
            base.load_tokenizer(Model(name=name))
        with pytest.raises(ValueError, match=message):
            ClassifierReward(name="r", model=name).load()


def test_a_path_is_found_beside_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    beside, here = tmp_path / "beside", tmp_path / "here"
    for folder in (beside / "both", here / "both", here / "alone", tmp_path / "above"):
        folder.mkdir(parents=True)
    monkeypatch.chdir(here)
    monkeypatch.setenv("HOME", str(tmp_path))

    def named(name: str) -> str:
        return load_file_of_settings(write(beside, minimal(model={"name": name}))).model.name

    assert named("./both") == str(beside / "both")
    assert named("./alone") == str(here / "alone")
    assert Path(named("../above")).resolve() == tmp_path / "above"
    assert named("~/above") == str(tmp_path / "above")
    assert named(str(here / "alone")) == str(here / "alone")
    with pytest.raises(ValueError, match=r"^model\.name: \./none: no such file or folder in "):
        named("./none")


@pytest.mark.parametrize(
    "name",
    ["../x", "/etc", "a/b/c", "https://their.host/x", "", "here", "text", "imagefolder", "pandas"],
)
def test_data_of_the_hub_have_a_name_of_the_hub(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import datasets

    monkeypatch.setattr(datasets, "load_dataset", lambda *given, **more: pytest.fail("was read"))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "here").mkdir()
    spec = Data(source=f"hub:{name}")
    with pytest.raises(ValueError, match=f"^hub:{name}: .*(name on the hub|write ./here)"):
        load_source(spec, spec.source)


# ── commits ─────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache of the hub; nothing is remembered of others."""
    import transformers.utils.hub as library

    folder = tmp_path / "hub"
    folder.mkdir()
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(folder))
    for module in (library, huggingface_hub.file_download):
        if hasattr(module, "HF_HUB_CACHE"):
            monkeypatch.setattr(module, "HF_HUB_CACHE", str(folder))
    forget()
    return folder


def forget() -> None:
    """As a new process knows nothing."""
    hub._asked.cache_clear()
    hub._check_repository.cache_clear()
    hub._download.cache_clear()


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str | None]]:
    """A hub that answers: every branch stands at the first commit."""
    calls: list[tuple[str, str | None]] = []

    def model_info(self: Any, name: str, *, revision: str | None = None, **more: Any) -> Any:
        calls.append((name, revision))
        return huggingface_hub.ModelInfo(id=name, sha=FIRST)

    monkeypatch.setattr(huggingface_hub.HfApi, "model_info", model_info)
    monkeypatch.setattr(hub, "_offline", lambda: False)
    return calls


def test_the_hub_is_asked_once(cache: Path, asked: list[Any]) -> None:
    for _ in range(3):
        assert hub.find_commit("someone/model") == FIRST
        assert hub.find_commit("someone/model", "v1") == FIRST
        assert hub.find_commit("someone/model", SECOND) == SECOND
    assert asked == [("someone/model", "main"), ("someone/model", "v1")]


def test_without_an_answer_the_cache_knows(
    cache: Path, causal: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub_cache.put(cache, "someone/model", causal)
    assert hub.find_commit("someone/model") == FIRST, "offline"

    def no_network(*given: Any, **more: Any) -> Any:
        raise ConnectionError("no route to the hub")

    forget()
    monkeypatch.setattr(hub, "_offline", lambda: False)
    monkeypatch.setattr(huggingface_hub.HfApi, "model_info", no_network)
    assert hub.find_commit("someone/model") == FIRST
    with pytest.raises(ValueError, match=r"other: cannot be loaded: .*no route to the hub"):
        hub.find_commit("someone/other")


@pytest.mark.parametrize("written", ["main", FIRST[:-1], f"{FIRST}\n{SECOND}", "../../x", ""])
def test_what_is_no_commit_in_the_cache_is_none(cache: Path, written: str) -> None:
    hub_cache.move(cache, "someone/model", written)
    with pytest.raises(ValueError, match="the commit of main is not in the local cache"):
        hub.find_commit("someone/model")


@pytest.mark.parametrize("revision", ["../../main", "/etc/passwd", "a/../../b"])
def test_a_revision_is_no_path(cache: Path, revision: str) -> None:
    hub_cache.move(cache, "someone/model", FIRST)
    with pytest.raises(ValueError, match="is not in the local cache"):
        hub.find_commit("someone/model", revision)


def test_models_of_the_hub_are_loaded_by_commit(
    cache: Path, causal: Path, classifier: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import transformers

    hub_cache.put(cache, "someone/model", causal)
    hub_cache.put(cache, "someone/reward", classifier)
    seen: list[tuple[str, Any]] = []
    for kind in (
        "AutoConfig",
        "AutoTokenizer",
        "AutoModelForCausalLM",
        "AutoModelForSequenceClassification",
    ):
        original = getattr(transformers, kind).from_pretrained

        def noted(*given: Any, _kind: str = kind, _original: Any = original, **more: Any) -> Any:
            assert more["trust_remote_code"] is False
            assert more.get("use_safetensors", True) is True
            seen.append((_kind, more["revision"]))
            return _original(*given, **more)

        monkeypatch.setattr(getattr(transformers, kind), "from_pretrained", noted)
    spec = Model(name="someone/model")
    base.load_base(spec, device="cpu", dtype=torch.float32)
    base.skeleton(spec)
    base.check_trainable(spec)
    base.dated(spec)
    reward = ClassifierReward(name="r", model="someone/reward", template="{prompt}{response}")
    reward.score(["Hi"], ["Hello"])
    assert reward.manifest()["commit"] == FIRST
    assert len(seen) >= 10
    assert {revision for _, revision in seen} == {FIRST}
    assert len({kind for kind, _ in seen}) == 4


def test_an_adapter_on_the_hub_is_no_model(cache: Path, causal: Path) -> None:
    snapshot = hub_cache.put(cache, "someone/adapter", causal)
    (snapshot / "adapter_config.json").write_text('{"base_model_name_or_path": "their/loot"}')
    with pytest.raises(ValueError, match=r"someone/adapter: is an adapter"):
        base.load_tokenizer(Model(name="someone/adapter"))


def test_pickles_on_the_hub(cache: Path, causal: Path, tmp_path: Path) -> None:
    snapshot = hub_cache.put(cache, "someone/model", causal)
    (snapshot / "model.safetensors").unlink()
    (snapshot / "pytorch_model.bin").write_bytes(pickle.dumps(Bomb(tmp_path / "it-ran")))
    with pytest.raises(ValueError, match=r"someone/model: cannot be loaded: .*safetensors"):
        base.load_base(Model(name="someone/model"), device="cpu", dtype=torch.float32)
    assert not (tmp_path / "it-ran").exists()


def test_code_on_the_hub_runs_at_the_trusted_commit_alone(cache: Path, tmp_path: Path) -> None:
    marks = {commit: tmp_path / f"it-ran-{commit[:1]}" for commit in (FIRST, SECOND)}
    for commit, mark in marks.items():
        folder = poison(tiny_causal(tmp_path / commit), mark)
        hub_cache.put(cache, "someone/model", folder, commit)
    spec = Model(name="someone/model", revision=FIRST)
    with pytest.raises(ValueError, match="it needs code of its own"):
        base.load_config(spec)
    with consenting(trust_remote_code=[f"someone/model@{FIRST}"]):
        with pytest.raises(ValueError, match=f"trusted at {FIRST}, and {SECOND} would be loaded"):
            base.load_config(Model(name="someone/model"))  # where the branch stands now
        assert not any(mark.exists() for mark in marks.values())
        assert type(base.skeleton(spec)).__name__ == "OwnModel"
        model, _ = base.load_base(spec, device="cpu", dtype=torch.float32)
        assert type(model).__name__ == "OwnModel"
    assert marks[FIRST].exists()
    assert not marks[SECOND].exists()


def on_hub(parts: Path, run: Path, **more: Any) -> Any:
    return small_run.settings(
        parts,
        str(run),
        model={"name": "someone/model"},
        objectives=[
            {"name": "kind", "model": "someone/reward"},
            {"name": "brief", "model": str(parts / "brief")},
        ],
        **more,
    )


def opened(chosen: Any) -> RunContext:
    forget()
    s = RunContext(chosen, screen=Screen(file=io.StringIO()))
    s.folder.close()
    return s


def test_a_run_keeps_to_the_commit_that_it_began_with(
    cache: Path, parts: Path, tmp_path: Path
) -> None:
    for commit, seed in ((SECOND, 5), (FIRST, 0)):
        hub_cache.put(cache, "someone/model", tiny_causal(tmp_path / commit, seed), commit)
    hub_cache.put(cache, "someone/reward", parts / "kind")
    chosen = on_hub(parts, tmp_path / "run")
    s = opened(chosen)
    assert s.settings.model.revision == FIRST
    assert json.loads(s.model_id)["revision"] == FIRST
    assert s.objective_settings["kind"]["revision"] == FIRST
    assert s.rewards[0].revision == FIRST
    assert s.objective_settings["brief"]["revision"] is None
    kept = json.loads((tmp_path / "run" / layout.COMMITS).read_text())
    assert kept["commits"] == {"someone/model@main": FIRST, "someone/reward@main": FIRST}
    written = yaml.safe_load((tmp_path / "run" / layout.CONFIG).read_text())
    assert written["model"]["revision"] == FIRST
    hub_cache.move(cache, "someone/model", SECOND)
    again = opened(chosen)
    assert (again.model_id, again.settings.model.revision) == (s.model_id, FIRST)
    other = opened(on_hub(parts, tmp_path / "other"))
    assert other.settings.model.revision == SECOND, "a new run takes what is there now"
    named = opened(on_hub(parts, tmp_path / "run", model__revision=FIRST))
    assert named.model_id == s.model_id, "the commit says the same as the branch did"
    moved = opened(on_hub(parts, tmp_path / "run", model__revision=SECOND))
    assert json.loads(moved.model_id)["revision"] == SECOND


def test_a_revision_that_is_named_later_is_kept_too(
    cache: Path, parts: Path, tmp_path: Path
) -> None:
    for branch, commit in (("main", FIRST), ("v2", SECOND)):
        hub_cache.put(cache, "someone/model", parts / "model", commit, branch)
    hub_cache.put(cache, "someone/reward", parts / "kind")
    opened(on_hub(parts, tmp_path / "run"))
    later = on_hub(parts, tmp_path / "run", model__revision="v2")
    assert opened(later).settings.model.revision == SECOND
    hub_cache.move(cache, "someone/model", FIRST, "v2")
    assert opened(later).settings.model.revision == SECOND


@pytest.mark.parametrize("commit", ["main", "../../x", FIRST[:-1], None, {}], ids=str)
def test_a_folder_that_remembers_no_commit(
    cache: Path, parts: Path, tmp_path: Path, commit: Any
) -> None:
    hub_cache.put(cache, "someone/model", parts / "model")
    hub_cache.put(cache, "someone/reward", parts / "kind")
    chosen = on_hub(parts, tmp_path / "run")
    opened(chosen)
    file = tmp_path / "run" / layout.COMMITS
    kept = json.loads(file.read_text())
    kept["commits"]["someone/model@main"] = commit
    file.write_text(json.dumps(kept))
    with pytest.raises(ValueError, match=r"commits\.json: someone/model@main: .* is no commit"):
        opened(chosen)


def test_a_folder_from_before_commits_were_kept_goes_on(
    cache: Path, parts: Path, tmp_path: Path
) -> None:
    hub_cache.put(cache, "someone/model", parts / "model")
    hub_cache.put(cache, "someone/reward", parts / "kind")
    chosen = on_hub(parts, tmp_path / "run")
    opened(chosen)
    (tmp_path / "run" / layout.COMMITS).unlink()
    s = opened(chosen)
    assert json.loads(s.model_id)["revision"] is None, "the key that its stages have"
    assert s.objective_settings["kind"]["revision"] is None
    assert s.settings.model.revision == FIRST, "and from now on one commit"
    hub_cache.move(cache, "someone/model", SECOND)
    assert opened(chosen).settings.model.revision == FIRST


def test_the_command_line_takes_no_bare_folder(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    classifier: Path,
) -> None:
    monkeypatch.chdir(tmp_path)
    shutil.copytree(classifier, "tiny")
    Path("rows.jsonl").write_text('{"prompt": "Hi", "response": "Hello"}\n')
    words = ["score", "rows.jsonl", "-o", "out.parquet", "--template", "{prompt}{response}"]
    assert main([*words, "--reward", "kind=tiny"]) == 1
    assert "write ./tiny for it" in capsys.readouterr().err
    assert main([*words, "--reward", "kind=./tiny"]) == 0
    assert main([*words, "--reward", "kind=./tiny", "--trust-remote-code", "./tinny"]) == 1
    assert "no model of this run has that name" in capsys.readouterr().err
