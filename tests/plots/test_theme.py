"""Colours of preferences, as people with each kind of colour vision see them; numbers in charts."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

pytest.importorskip("altair")

from paretohqd.plots.theme import error_bar, palette


def lab(rgb: Any) -> Any:
    """CIELAB of linear sRGB, D65."""
    matrix = [[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]]
    xyz = rgb @ np.array(matrix).T / np.sum(matrix, axis=1)
    f = np.where(xyz > 0.008856, np.cbrt(xyz), 7.787 * xyz + 16 / 116)
    x, y, z = f.T
    return np.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)], axis=1)


# Machado, Oliveira and Fernandes (2009), full severity.
VISIONS = {
    "all": np.eye(3),
    "no red": [
        [0.152286, 1.052583, -0.204868],
        [0.114503, 0.786281, 0.099216],
        [-0.003882, -0.048116, 1.051998],
    ],
    "no green": [
        [0.367322, 0.860646, -0.227968],
        [0.280085, 0.672501, 0.047413],
        [-0.011820, 0.042940, 0.968881],
    ],
    "no blue": [
        [1.255528, -0.076749, -0.178779],
        [-0.078411, 0.930809, 0.147602],
        [0.004733, 0.691367, 0.303900],
    ],
}


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("vision", VISIONS)
def test_fifteen_preferences_can_be_distinguished(vision: str, scheme: str) -> None:
    weights = [(i / 4, j / 4, (4 - i - j) / 4) for i in range(5) for j in range(5 - i)]
    colours = palette(weights)[scheme]
    codes = [[int(c[at : at + 2], 16) / 255 for at in (1, 3, 5)] for c in colours]
    linear = ((np.array(codes) + 0.055) / 1.055) ** 2.4
    seen = lab(np.clip(linear @ np.array(VISIONS[vision]).T, 0, 1))
    apart = np.linalg.norm(seen[:, None] - seen[None], axis=2)
    # About 2 is the least difference that is seen at all.
    assert apart[~np.eye(15, dtype=bool)].min() > 9


def test_error_bars_with_and_without_an_error() -> None:
    assert error_bar("y", 1.23456789, None) == {"y": 1.2346, "y0": 1.2346, "y1": 1.2346}
    assert error_bar("x", -1.0, 0.5) == {"x": -1.0, "x0": -1.5, "x1": -0.5}
