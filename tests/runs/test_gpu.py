"""What only a CUDA device can show: `pytest -m gpu`."""

from pathlib import Path

import pytest
import torch

from helpers.small_run import do, settings

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device"),
]


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_a_run_on_a_gpu_ends_and_goes_on(precision: str, parts: Path, tmp_path: Path) -> None:
    """In either number format; a second call finds every stage done."""
    chosen = settings(parts, str(tmp_path / "run"), device="cuda", precision=precision)
    do(chosen)
    assert (tmp_path / "run" / "report.html").is_file()
    assert any("done before" in line for line in do(chosen))
