"""No configuration makes a trainer send data out, load code or write elsewhere."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
import yaml
from peft import LoraConfig
from trl import DPOConfig, GRPOConfig, SFTConfig

from helpers import settings_table, small_run
from paretohqd.cli.main import main
from paretohqd.models.adapter_keys import LORA
from paretohqd.models.adapter_settings import check_lora
from paretohqd.models.consent import consenting
from paretohqd.models.setting_rules import Keys, number
from paretohqd.runs import config, layout
from paretohqd.trainers import dpo, grpo, ham, heads, keys, sft

Check = Callable[[dict[str, Any]], None]

SECTIONS: dict[str, Check] = {
    "train": lambda given: sft.check_settings(given, {}),
    "train_stage2": lambda given: sft.check_settings(given, {}, "train_stage2"),
    "pairs": lambda given: dpo.check_settings(given, {}),
    "reinforcement": lambda given: grpo.check_settings(given, {}, "reinforcement"),
    "lora": check_lora,
}
TRAINERS = [name for name in SECTIONS if name != "lora"]

SENDS: list[tuple[str, Any]] = [
    ("push_to_hub", True),
    ("hub_model_id", "someone/loot"),
    ("hub_token", "a token"),
    ("hub_strategy", "all_checkpoints"),
    ("hub_private_repo", False),
    ("hub_always_push", True),
    ("hub_revision", "loot"),
    ("project", "loot"),
    ("trackio_space_id", "someone/loot"),
    ("trackio_bucket_id", "someone/loot"),
    ("trackio_static_space_id", "someone/loot"),
]
"""What sends adapters or logs away, in the settings of every trainer."""

SENDS_ANSWERS: list[tuple[str, Any]] = [
    ("log_completions", True),
    ("log_multimodal", False),
    ("log_unique_prompts", True),
    ("num_completions_to_print", 3),
    ("log_completions_hub_repo", "someone/loot"),
]
"""What prints or sends answers away, in those of reinforcement learning."""

TRACKERS: list[Any] = ["wandb", "all", "mlflow", "comet_ml", ["tensorboard", "wandb"], ["all"]]

HOSTILE: list[tuple[str, str, Any]] = [
    *((section, key, value) for section in TRAINERS for key, value in SENDS),
    *((section, "report_to", value) for section in TRAINERS for value in TRACKERS),
    *(("reinforcement", key, value) for key, value in SENDS_ANSWERS),
    *(
        (section, key, value)
        for section in TRAINERS
        for key, value in (
            ("output_dir", "/"),
            ("resume_from_checkpoint", "/tmp/theirs"),
            ("deepspeed", "theirs.json"),
            ("fsdp_config", {"xla": True}),
            ("accelerator_config", "theirs.json"),
            ("model_init_kwargs", {"trust_remote_code": True}),
            ("trust_remote_code", True),
            ("torch_compile_backend", "theirs"),
            ("optim", "adamw_anyprecision"),
            ("optim_args", "a=b"),
            ("lr_scheduler_kwargs", {"num_cycles": {"a": 1}}),
            ("lr_scheduler_kwargs", {"num_cycles": "__import__('os')"}),
            ("run_name", "../../etc/passwd"),
            ("run_name", "x" * 101),
            ("run_name", "a\x1b[2Jb"),
            ("learning_rate", "__import__('os').system('id')"),
            ("learning_rate", [1]),
            ("__class__", "x"),
            ("_n_gpu", 3),
        )
    ),
    ("train", "chat_template_path", "/etc/passwd"),
    ("train", "dataset_kwargs", {"skip_prepare_dataset": True}),
    ("train", "eos_token", "x"),
    ("reinforcement", "use_vllm", True),
    ("reinforcement", "vllm_server_base_url", "http://their.host"),
    ("reinforcement", "vllm_server_host", "their.host"),
    ("reinforcement", "generation_kwargs", {"custom_generate": "theirs"}),
    ("reinforcement", "chat_template_kwargs", {"a": 1}),
    ("lora", "megatron_core", "os"),
    ("lora", "megatron_config", {"a": 1}),
    ("lora", "auto_mapping", {"base_model_class": "x", "parent_library": "os"}),
    ("lora", "base_model_name_or_path", "someone/else"),
    ("lora", "revision", "main"),
    ("lora", "corda_config", {"cache_file": "/tmp/x"}),
    ("lora", "eva_config", {"rho": 2}),
    ("lora", "loftq_config", {"loftq_bits": 4}),
    ("lora", "runtime_config", {"ephemeral_gpu_offload": True}),
    ("lora", "init_lora_weights", "corda"),
    ("lora", "peft_type", "XLORA"),
    ("lora", "target_modules", "(.*)*x"),
    ("lora", "target_modules", "(a|a)+$"),
    ("lora", "target_modules", "(a+){9}"),
    ("lora", "target_modules", ".*.*.*.*.*.*.*x"),
    ("lora", "target_modules", "a?a?a?a?a?a?a?b"),
    ("lora", "exclude_modules", "(.+)+x"),
    ("lora", "layers_pattern", "(x*)*"),
    ("lora", "rank_pattern", {"(.*)*x": 2}),
    ("lora", "alpha_pattern", {"(.*)+x": 2}),
]


@pytest.mark.parametrize(("section", "key", "value"), HOSTILE, ids=str)
def test_a_hostile_setting_is_refused_by_its_name(section: str, key: str, value: Any) -> None:
    start = time.monotonic()
    with pytest.raises(ValueError, match=rf"^(unknown key )?{section}\.{key}[: ]"):
        SECTIONS[section]({key: value})
    assert time.monotonic() - start < 30


@pytest.mark.parametrize(("section", "key", "value"), HOSTILE, ids=str)
def test_a_word_of_the_starter_opens_no_more_than_it_says(
    section: str, key: str, value: Any
) -> None:
    """What would break a run, or loads code, stays refused; what sends data is the starter's."""
    sends = (key, value) in [*SENDS, *SENDS_ANSWERS] or key == "report_to"
    with consenting(unsafe_settings=True) as allowed:
        if not sends:
            with pytest.raises(ValueError, match=rf"^(unknown key )?{section}\.{key}[: ]"):
                SECTIONS[section]({key: value})
            assert allowed.settings == []
        elif key != "report_to":
            beside = {"log_completions": True} if key == "log_completions_hub_repo" else {}
            SECTIONS[section]({key: value, **beside})
            assert allowed.settings == [f"{section}.{name}" for name in {key: value, **beside}]
        else:  # another tracker passes, and then has to be installed
            with pytest.raises(ValueError, match=r"report_to: \w+ is not installed"):
                SECTIONS[section]({key: value})
    with pytest.raises(ValueError, match=section):
        SECTIONS[section]({key: value})


@pytest.mark.parametrize("section", TRAINERS)
def test_the_message_says_what_lets_it_pass(section: str) -> None:
    message = (
        rf"^{section}\.hub_token: not a setting of a run \(a run sends nothing anywhere\); "
        r"--unsafe-settings on the command line lets it pass$"
    )
    with pytest.raises(ValueError, match=message):
        SECTIONS[section]({"hub_token": "x"})
    with pytest.raises(ValueError, match=r"elsewhere\); --unsafe-settings on the command line"):
        SECTIONS[section]({"report_to": "wandb"})


def test_a_key_of_a_new_version_waits_for_its_judgement() -> None:
    from paretohqd.models.setting_rules import check_judged

    known, defaults = Keys({"rate": number(0)}, {}, {}), {"rate": 1.0, "upload_all": False}
    with pytest.raises(ValueError, match=r"^train\.upload_all: not a setting of a run \(nobody"):
        check_judged({"upload_all": True}, known, defaults, "train")
    check_judged({"upload_all": False}, known, defaults, "train")
    with consenting(unsafe_settings=True):
        check_judged({"upload_all": True}, known, defaults, "train")


@pytest.mark.parametrize(
    ("library", "judged"),
    [
        (SFTConfig, keys.SFT),
        (SFTConfig, keys.JOINT),
        (DPOConfig, keys.DPO),
        (DPOConfig, keys.HEADS),
        (GRPOConfig, keys.GRPO),
        (LoraConfig, LORA),
    ],
    ids=["train", "train of ham", "pairs", "pairs of mahdpo", "reinforcement", "lora"],
)
def test_every_key_of_the_installed_libraries_is_judged(library: type, judged: Keys) -> None:
    there = {f.name for f in fields(library) if f.init}
    groups = [judged.followed, judged.own, judged.refused, judged.unsafe]
    assert sorted(key for group in groups for key in group) == sorted(there), "each once"
    assert all(reason for group in (judged.refused, judged.unsafe) for reason in group.values())


def test_all_trainers_follow_the_lists() -> None:
    kinds = [sft.KIND.keys, dpo.KIND.keys, grpo.KIND.keys, ham.KIND.keys, heads.KIND.keys]
    assert kinds == [keys.SFT, keys.DPO, keys.GRPO, keys.JOINT, keys.HEADS]


def test_the_page_of_settings_is_written_from_the_lists() -> None:
    assert settings_table.PAGE.read_text(encoding="utf-8") == settings_table.page()


# ── who may say so ──────────────────────────────────────────────────────────────────────────────

IN_A_FILE: list[dict[str, Any]] = [
    {"unsafe_settings": True},
    {"unsafe-settings": True},
    {"trust_remote_code": ["someone/model@" + "0" * 40]},
    {"model": {"trust_remote_code": True}},
    {"data": {"source": "x", "trust_remote_code": True}},
    {"train": {"unsafe_settings": True}},
    {"train": {"trust_remote_code": True}},
    {"lora": {"unsafe_settings": True}},
    {"consent": {"unsafe_settings": True}},
]


@pytest.mark.parametrize("more", IN_A_FILE, ids=str)
@pytest.mark.parametrize("by", ["file", "set"])
def test_no_file_and_no_set_can_say_so(
    parts: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    more: dict[str, Any],
    by: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    given = small_run.mapping(parts, "run") | {"run": "run"}
    words = []
    ((section, value),) = more.items()
    if by == "set":
        words = ["--set", f"{section}={json.dumps(value)}"]
    else:
        given |= more
    (tmp_path / "it.yaml").write_text(yaml.safe_dump(given))
    assert main(["run", str(tmp_path / "it.yaml"), *words]) == 1
    assert not (tmp_path / "run").exists()
    said = capsys.readouterr().err
    assert "unknown key" in said or "train.trust_remote_code is not followed" in said, said


def test_what_passed_is_printed_and_kept(parts: Path, tmp_path: Path) -> None:
    import io

    from paretohqd.plots.progress import Screen
    from paretohqd.runs.context import RunContext

    chosen = small_run.settings(
        parts, str(tmp_path / "run"), train__hub_model_id="someone/it", train__max_steps=1
    )
    with pytest.raises(ValueError, match=r"train\.hub_model_id: not a setting"):
        RunContext(chosen)
    assert not (tmp_path / "run").exists()
    screen = io.StringIO()
    with consenting(unsafe_settings=True):
        RunContext(chosen, screen=Screen(file=screen)).folder.close()
    assert "--unsafe-settings: train.hub_model_id, train_stage2.hub_model_id" in screen.getvalue()
    record = json.loads((tmp_path / "run" / layout.CONSENT).read_text())
    assert record["unsafe_settings"] == ["train.hub_model_id", "train_stage2.hub_model_id"]
    with pytest.raises(ValueError, match=r"train\.hub_model_id: not a setting"):
        RunContext(chosen)  # what a folder says of itself allows nothing


@pytest.mark.parametrize("command", ["run", "compare"])
def test_the_flag_reaches_the_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    from paretohqd.compare import comparison
    from paretohqd.runs import pipeline

    module = pipeline if command == "run" else comparison
    given: list[dict[str, Any]] = []

    def noted(settings: config.Config, **more: Any) -> Path:
        given.append(more)
        raise ValueError("enough")

    monkeypatch.setattr(module, command, noted)
    monkeypatch.chdir(tmp_path)
    text = small_run.mapping(tmp_path, "run")
    text |= {"run": "run", "model": {"name": "embedded"}}
    text["objectives"] = [{"name": n, "scorer": f"embedded:{n}"} for n in ("harmless", "relevance")]
    if command == "compare":
        text["methods"] = ["base", "paretohqd"]
    (tmp_path / "it.yaml").write_text(yaml.safe_dump(text))
    trusted = "someone/model@" + "1" * 40
    words = [command, str(tmp_path / "it.yaml")]
    assert main([*words, "--unsafe-settings", "--trust-remote-code", trusted]) == 1
    assert main(words) == 1
    assert [(more["unsafe_settings"], more["trust_remote_code"]) for more in given] == [
        (True, [trusted]),
        (False, []),
    ]


def test_python_says_so_by_an_argument(parts: Path, tmp_path: Path) -> None:
    import paretohqd as pq

    chosen = small_run.settings(parts, str(tmp_path / "run"), train__push_to_hub=True)
    with pytest.raises(ValueError, match=r"train\.push_to_hub: not a setting of a run"):
        pq.run(chosen)
    with pytest.raises(ValueError, match=r"--trust-remote-code a/b: expected MODEL@COMMIT"):
        pq.run(chosen, unsafe_settings=True, trust_remote_code=["a/b"])
