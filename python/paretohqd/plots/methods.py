"""How methods are drawn in all charts of a comparison.

Every method has a colour and a shape that no other has together, and its number `p`: the page's
legend picks by it, and a picked method keeps its strength while the others fade. Where there are
many methods, those that train alike share their colour.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import altair as alt

from paretohqd.plots.theme import PICKED

if TYPE_CHECKING:
    from paretohqd.compare.measures import MethodResult

SHAPES = (
    "M0,-1A1,1,0,1,1,0,1A1,1,0,1,1,0,-1Z",  # circle
    "M-.86,-.86H.86V.86H-.86Z",  # square
    "M0,-1.1L1.05,.8H-1.05Z",  # triangle up
    "M-.4,-1H.4V-.4H1V.4H.4V1H-.4V.4H-1V-.4H-.4Z",  # cross
    "M0,1.1L1.05,-.8H-1.05Z",  # triangle down
    "M0,-1.15L1,-.35L.62,.95H-.62L-1,-.35Z",  # pentagon
    "M-1.05,-1L0,-.42L1.05,-1L.5,0L1.05,1L0,.42L-1.05,1L-.5,0Z",  # four-pointed star
    "M1.1,0L-.8,1.05V-1.05Z",  # triangle right
    "M1.05,0L.53,.91H-.53L-1.05,0L-.53,-.91H.53Z",  # hexagon
    "M-1.1,0L.8,1.05V-1.05Z",  # triangle left
    "M-1,-.57L-.57,-1L0,-.43L.57,-1L1,-.57L.43,0L1,.57L.57,1L0,.43L-.57,1L-1,.57L-.43,0Z",  # x
    "M-.95,-1H.95L-.95,1H.95Z",  # hourglass
)
"""SVG paths in a box from -1 to 1: Vega draws them, and so does the page's legend."""
HUES = {
    "light": ["#0072b2", "#d55e00", "#00865f", "#b3538b", "#8a6d00", "#6a4fc0", "#5c5c5c"],
    "dark": ["#56b4e9", "#f5904a", "#2fcf9f", "#e79cc8", "#e5d34a", "#ab9df2", "#b8b8b8"],
}
"""Colours with enough contrast on either page; the shapes differ too."""
DIAMOND = "M0,-1.2L1,0L0,1.2L-1,0Z"


MANY = 12
"""More methods than these are put together by families."""

_FAINT = 0.18


@dataclass(frozen=True, kw_only=True)
class MethodStyle:
    """How a method is drawn: its number, its shape, and whether it is the base."""

    p: int
    name: str
    hue: int
    """Place of its colour among `HUES`."""
    shape: str
    base: bool
    ablation: bool
    marks: str = ""
    """What stands behind its name in tables, see `MethodResult.marks`."""


Styles = Mapping[str, MethodStyle]


def method_styles(methods: Sequence[MethodResult], reference: str) -> dict[str, MethodStyle]:
    """A number and a shape for each method name; under several budgets it keeps them.

    Seven colours and twelve shapes give 84 pairs. The reference method is first, a blue circle; the
    base is a diamond in the colour of the text. Of many methods each family has a colour, unless
    one has more members than there are shapes.
    """
    first: dict[str, MethodResult] = {}
    for entry in methods:
        first.setdefault(entry.method, entry)
    # Stable: the reference, the other methods, the ablations.
    names = sorted(first, key=lambda name: (name != reference, first[name].ablation))
    looks = _looks([first[name] for name in names if first[name].kind != "base"])
    return {
        name: MethodStyle(
            p=p,
            name=name,
            hue=looks.get(name, (0, 0))[0],
            shape=SHAPES[looks[name][1]] if name in looks else DIAMOND,
            base=first[name].kind == "base",
            ablation=first[name].ablation,
            marks=first[name].marks,
        )
        for p, name in enumerate(names)
    }


def _looks(methods: Sequence[MethodResult]) -> dict[str, tuple[int, int]]:
    """Places of each method's colour and shape."""
    hues = len(HUES["light"])
    each = {entry.method: (p % hues, p % len(SHAPES)) for p, entry in enumerate(methods)}
    if len(methods) <= MANY:
        return each
    families = list(dict.fromkeys(entry.family for entry in methods))
    together: dict[str, tuple[int, int]] = {}
    count = [0] * hues
    for entry in methods:
        hue = families.index(entry.family) % hues
        together[entry.method] = (hue, count[hue])
        count[hue] += 1
    return together if max(count) <= len(SHAPES) else each


def colours(styles: Styles) -> dict[str, list[str]]:
    """One colour per method by its number, for light and for dark pages."""
    return {
        scheme: ["var(--ink)" if style.base else row[style.hue] for style in _in_order(styles)]
        for scheme, row in HUES.items()
    }


def channels(styles: Styles, strength: float = 1.0, *, shape: bool = True) -> dict[str, Any]:
    """Colour, shape, and how strong a mark is while its method, all or another is picked."""
    order = _in_order(styles)
    numbers = [style.p for style in order]
    hues = alt.Scale(domain=numbers, range=[f"var(--p{p})" for p in numbers])
    encoded = {
        "color": alt.Color("p:N", scale=hues, legend=None),
        "opacity": alt.condition(PICKED, alt.value(strength), alt.value(strength * _FAINT)),
    }
    if shape:
        forms = alt.Scale(domain=numbers, range=[style.shape for style in order])
        encoded["shape"] = alt.Shape("p:N", scale=forms, legend=None)
    return encoded


def measured(entries: Sequence[MethodResult]) -> list[MethodResult]:
    """Those that did not fail with every seed."""
    return [entry for entry in entries if entry.utility is not None]


def _in_order(styles: Styles) -> list[MethodStyle]:
    return sorted(styles.values(), key=lambda style: style.p)
