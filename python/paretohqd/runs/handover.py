"""What a run gives away: where its adapters lie, and the lines that load one."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from paretohqd.models.names import EMBEDDED, absolute, is_local
from paretohqd.models.spec import Model
from paretohqd.runs import layout
from paretohqd.safety.places import shown_path
from paretohqd.selection.preferences import format_weights


def preference_labels(weights: Sequence[Sequence[float]], names: Sequence[str]) -> list[str]:
    """What people read of each preference: its weights, behind its name if it has one.

    Example:
        >>> preference_labels([(1, 0), (0.5, 0.5)], ["kind", "both"])
        ['kind (1, 0)', 'both (0.5, 0.5)']
    """
    shown = [format_weights(row) for row in weights]
    if not names:
        return shown
    return [f"{name} {text}" for name, text in zip(names, shown, strict=True)]


def adapter_folders(run: Path, stage: int, preferences: int) -> list[str]:
    """Where the adapters of a stage lie, seen from the run folder."""
    fits = (layout.find(run, layout.fit(stage, number)) for number in range(preferences))
    return [f"{fit.relative_to(run).as_posix()}/{layout.ADAPTER}" for fit in fits]


def loading_lines(model: Model, adapter: str) -> list[str]:
    """Python that loads the base and puts an adapter on it.

    Args:
        model: The base, at its commit if it is of the hub.
        adapter: Path of the adapter.

    Example:
        >>> base = Model(name="org/tiny", revision="1a2b3c")
        >>> print("\\n".join(loading_lines(base, "out/stage2/fit/00/adapter")))
        from peft import PeftModel
        from transformers import AutoModelForCausalLM
        model = AutoModelForCausalLM.from_pretrained('org/tiny', revision='1a2b3c')
        model = PeftModel.from_pretrained(model, 'out/stage2/fit/00/adapter')
    """
    name = shown_path(absolute(model.name), Path.cwd()) if is_local(model.name) else model.name
    put_on = f"model = PeftModel.from_pretrained(model, {adapter!r})"
    if name == EMBEDDED or name.endswith(".gguf"):  # unpacked by us, where transformers is not told
        given = "" if name == EMBEDDED else f"name={'./' + name!r}"
        return [
            "import torch",
            "from peft import PeftModel",
            "from paretohqd.models.base import Model, load_base",
            f"model, _ = load_base(Model({given}), device='cpu', dtype=torch.float32)",
            put_on,
        ]
    commit = "" if model.revision is None else f", revision={model.revision!r}"
    return [
        "from peft import PeftModel",
        "from transformers import AutoModelForCausalLM",
        f"model = AutoModelForCausalLM.from_pretrained({name!r}{commit})",
        put_on,
    ]
