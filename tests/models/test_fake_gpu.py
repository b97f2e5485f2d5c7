"""What runs on a GPU, on tensors that are said to lie there: no device is mixed with another."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch._subclasses.fake_tensor import FakeTensorMode

from paretohqd.models.chat import pad_prompts
from paretohqd.models.nucleus import NucleusSampler


def test_drawing_stays_on_the_gpu() -> None:
    sampler = NucleusSampler(np.full((3, 5), 0.4), temperature=0.7, top_p=0.9)
    with FakeTensorMode(allow_non_fake_inputs=True):
        scores = torch.zeros(3, 700, device="cuda")
        rows = torch.arange(3, device="cuda")
        assert sampler.draw(scores, rows, 2).device.type == "cuda"


def test_prompts_are_padded_on_the_gpu(base: Any) -> None:
    _, tokenizer = base
    with FakeTensorMode(allow_non_fake_inputs=True):
        for tensor in pad_prompts([[1, 2, 3], [4]], tokenizer, torch.device("cuda")):
            assert (tensor.device.type, tuple(tensor.shape)) == ("cuda", (2, 3))
