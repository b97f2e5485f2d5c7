"""Folders of comparisons go on under later versions: what stages are named by stays."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import polars as pl

from paretohqd.compare.policy import Policy
from paretohqd.compare.sampling import answered


def test_keys_call_the_system_prompt_as_older_folders_do(bench: Callable[..., Any]) -> None:
    b = bench()
    rows = pl.DataFrame({"prompt": ["a"], "response": ["b"], "system_prompt": ["c"]})
    older = rows.rename({"system_prompt": "before"})
    assert b.hash_rows(rows) == b.context.folder.hash_frame(older)
    plain = rows.drop("system_prompt")
    assert b.hash_rows(plain) == b.context.folder.hash_frame(plain)
    made = answered(b, Policy(system_prompt="x"), b.prompts(1), label="one", seed=0)
    names = "before bfloat16 max_new_tokens sampler samples seed temperature top_p weights"
    assert sorted(made.manifest.settings) == names.split()
    assert made.manifest.settings["before"] == "x"
    prompts = b.prompts(1).with_columns(system_prompt=pl.lit("y"))
    made = answered(b, Policy(), prompts, label="one", seed=0)
    older = prompts.rename({"system_prompt": "before"})
    assert made.manifest.inputs["prompts"] == b.context.folder.hash_frame(older)
