"""Names on the hub are resolved to a commit once, loaded by it and kept."""

from __future__ import annotations

import io
import json
import pickle
import shutil
from pathlib import Path
from typing import Any

import huggingface_hub
import pytest
import torch
import yaml
from huggingface_hub import constants

from helpers import hub_cache, small_run
from helpers.hub_cache import FIRST, SECOND
from helpers.tiny import tiny_causal
from paretohqd.cli.main import main
from paretohqd.models import base, hub
from paretohqd.models.consent import consenting
from paretohqd.models.spec import Model
from paretohqd.plots.progress import Screen
from paretohqd.rewards.classifier import ClassifierReward
from paretohqd.runs import layout
from paretohqd.runs.context import RunContext
from safety.own_code import (
    Bomb,
    poison,
)

pytestmark = pytest.mark.usefixtures("answers_yes", "no_modules_of_models")


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
    hub.download.cache_clear()


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
