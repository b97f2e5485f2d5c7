"""A comparison whose objective is a function that reads a column of the data."""

from __future__ import annotations

import io
from pathlib import Path

import polars as pl
import pytest

from helpers.small_comparison import comparison
from helpers.tiny import sentences
from paretohqd.compare.comparison import compare
from paretohqd.plots.progress import Screen

pytestmark = pytest.mark.slow

CODE = """
def shared(prompts, completions, solution):
    assert solution == [prompt[::-1] for prompt in prompts]
    return [len(set(a) & set(b)) / 10 for a, b in zip(completions, solution)]
"""


def test_answers_of_all_methods_are_scored_with_their_prompts_columns(
    parts: Path, tmp_path: Path
) -> None:
    """Sampled, trained on by GRPO, and held out."""
    texts = sentences()
    prompts = [texts[i // 4 * 7] for i in range(60)]
    pl.DataFrame(
        {
            "prompt": prompts,
            "response": [texts[(i * 31 + 3) % 588] for i in range(60)],
            "solution": [prompt[::-1] for prompt in prompts],
        }
    ).write_parquet(tmp_path / "data.parquet")
    (tmp_path / "mine.py").write_text(CODE)
    scorer = f"{tmp_path / 'mine.py'}:shared"
    chosen = comparison(
        parts,
        str(tmp_path / "run"),
        methods=["base", "paretohqd", {"method": "morlhf", "steps": 1}],
        budgets=["own"],
        data__source=str(tmp_path / "data.parquet"),
        objectives=[
            {"name": "shared", "scorer": scorer, "columns": ["solution"]},
            {"name": "brief", "model": str(parts / "brief")},
        ],
        selection__k=2,
        train__max_steps=1,
        generation__max_new_tokens=4,
    )
    file = io.StringIO()
    with pytest.raises(ValueError, match="is code"):
        compare(chosen)
    compare(chosen, screen=Screen(file=file), allow_code=[scorer])
    assert "failed" not in file.getvalue()
    held = pl.read_parquet(tmp_path / "run" / "data" / "held_out.parquet")
    measured = list((tmp_path / "run" / "measured").glob("*/answers.parquet"))
    assert len(measured) >= 4
    for one in measured:
        answered = pl.read_parquet(one)
        assert answered["solution"].to_list() == held["solution"].to_list()
        assert answered["shared"].is_finite().all()
