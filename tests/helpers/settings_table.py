"""The tables of docs/settings.md, written from the lists that are enforced.

PYTHONPATH=tests:python python -m helpers.settings_table
"""

from __future__ import annotations

from pathlib import Path

from paretohqd.models.adapter_keys import LORA
from paretohqd.models.setting_rules import Keys
from paretohqd.trainers.keys import DPO, GRPO, HEADS, JOINT, SFT

PAGE = Path(__file__).resolve().parents[2] / "docs" / "settings.md"

SECTIONS: dict[str, Keys] = {
    "`train` and `train_stage2`: SFTConfig": SFT,
    "`pairs`: DPOConfig": DPO,
    "`reinforcement`: GRPOConfig": GRPO,
    "`train` under the method `ham`: SFTConfig": JOINT,
    "`pairs` under the method `mahdpo`: DPOConfig": HEADS,
    "`lora`: LoraConfig": LORA,
}

HEAD = """# Settings of a run's trainers

`train`, `train_stage2`, `pairs` and `reinforcement` are settings of TRL's trainers, `lora` those of
PEFT's LoRA: these keys, verbatim, and no others. Their values are numbers, true, false, null and
the words that stand here (of `lora` also names of modules). Other keys are one of three:

- **the run's own** (where results go, seeds, number format): set elsewhere or not at all;
- **not followed**: it would have no effect in a run, or break what is built on it;
- **not a setting of a run**: it sends data out, or came with a new version of a library and nobody
  has judged it. No configuration can turn these on. Who starts the run can, by `paretohqd run
  CONFIG.yaml --unsafe-settings` or `pq.run(..., unsafe_settings=True)`: what passed is printed and
  kept in the run folder (`consent.json`).

Each says so by its name, with the reason, before any work. With `--unsafe-settings` `report_to` may
be another tracker too.
"""


def page() -> str:
    """The whole page."""
    return HEAD + "".join(_section(title, keys) for title, keys in SECTIONS.items())


def _section(title: str, keys: Keys) -> str:
    rows = "".join(f"| `{key}` | {_value(keys, key)} |\n" for key in sorted(keys.followed))
    others = "".join(
        f"\n{words}: {', '.join(f'`{key}`' for key in sorted(names))}.\n"
        for words, names in (
            ("Only with `--unsafe-settings`", keys.unsafe),
            ("The run's own", keys.own),
            ("Not followed", keys.refused),
        )
        if names
    )
    return f"\n## {title}\n\n| key | value |\n|---|---|\n{rows}{others}"


def _value(keys: Keys, key: str) -> str:
    rule = keys.followed[key]
    words = f"{rule.kind} {rule.within}".strip()
    return f"{words} ({rule.why})" if rule.why else words


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
