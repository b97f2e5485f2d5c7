"""What pages share: prompts drawn with a seed, files of a finished folder, numbers."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("jinja2")

from paretohqd.plots.page import file_of, number, sample_prompts, script


@pytest.mark.parametrize("total", [0, 1, 5, 200])
def test_prompts_are_drawn_in_order_and_alike_for_a_seed(total: int) -> None:
    drawn = sample_prompts(total, 4, seed=3)
    assert len(set(drawn)) == len(drawn) == min(4, total)
    assert drawn == sorted(drawn)
    assert set(drawn) <= set(range(total))
    assert drawn == sample_prompts(total, 4, seed=3)
    assert total < 200 or drawn != sample_prompts(total, 4, seed=4)


def test_a_file_that_is_missing_is_named_with_what_makes_it(tmp_path: Path) -> None:
    (tmp_path / "there.json").write_text("{}")
    assert file_of(tmp_path, "there.json", kind="run", command="run") == tmp_path / "there.json"
    message = "is not a finished comparison: no.json is missing; finish it with `paretohqd compare`"
    with pytest.raises(ValueError, match=message):
        file_of(tmp_path, "no.json", kind="comparison", command="compare")


def test_numbers_have_three_decimals_and_no_negative_zero() -> None:
    assert number(-0.0001) == "0.000"
    assert number(-1234.56) == "\N{MINUS SIGN}1,234.6"
    assert number(float("nan")) == "\N{EN DASH}"


def test_json_cannot_close_its_script() -> None:
    assert "<" not in script({"name": "</script><!--"})
