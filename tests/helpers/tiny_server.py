"""A server of a tiny model with OpenAI's interface and vLLM's routes for adapters.

A real server with a real model: it renders the messages with the chat template, samples with torch,
and puts adapters on the base that it is told to load.
"""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import torch

from helpers.servers import Got, Said, as_json, completion, failure
from paretohqd.models import base, chat
from paretohqd.models.adapters import load_adapter
from paretohqd.models.spec import Model


class TinyServer:
    """What answers a request; adapters are loaded while it runs, as vLLM does it."""

    def __init__(self, folder: Path, *, name: str = "base", routes: bool = True) -> None:
        self.spec = Model(name=str(folder))
        self.name, self.routes = name, routes
        self.loaded: dict[str, Path] = {}
        self.lock = threading.Lock()
        self.model, self.tokenizer = self.fresh()
        self.on: str | None = None

    def fresh(self) -> tuple[Any, Any]:
        return base.load_base(self.spec, device="cpu", dtype=torch.float32)

    def __call__(self, got: Got) -> Said:
        with self.lock:
            if got.path == "/v1/models":
                return as_json({"data": [{"id": name} for name in [self.name, *self.loaded]]})
            if got.path == "/v1/load_lora_adapter" and self.routes:
                return self.load(got.body["lora_name"], Path(got.body["lora_path"]))
            if got.path == "/v1/unload_lora_adapter" and self.routes:
                self.loaded.pop(got.body["lora_name"], None)
                return Said(body=b"Success")
            if got.path == "/v1/chat/completions":
                return self.complete(got.body)
        return failure(404, "no such route")

    def load(self, name: str, folder: Path) -> Said:
        if name in self.loaded:
            return failure(400, f"The lora adapter '{name}' has already been loaded.")
        if not (folder / "adapter_config.json").is_file():
            return failure(404, f"no adapter in {folder}")
        self.loaded[name] = folder
        return Said(body=f"Success: LoRA adapter '{name}' added successfully.".encode())

    def complete(self, body: dict[str, Any]) -> Said:
        wanted = body["model"]
        if wanted != self.name and wanted not in self.loaded:
            return failure(404, f"The model `{wanted}` does not exist.")
        self.put(None if wanted == self.name else wanted)
        text = chat.render(self.tokenizer, body["messages"], add_generation_prompt=True)
        ids = self.tokenizer(text, add_special_tokens=False, return_tensors="pt")
        torch.manual_seed(body["seed"])
        drawn = body["temperature"] > 0
        out = self.model.generate(
            **ids,
            do_sample=drawn,
            max_new_tokens=body["max_tokens"],
            pad_token_id=self.tokenizer.pad_token_id,
            **({"temperature": body["temperature"], "top_p": body["top_p"]} if drawn else {}),
        )
        width = ids["input_ids"].shape[1]
        made = out[0, width:].tolist()
        ended = made[-1] == self.tokenizer.eos_token_id
        answer = self.tokenizer.decode(made[:-1] if ended else made)
        return completion(
            answer,
            finish="stop" if ended else "length",
            read=width,
            written=len(made),
            model=wanted,
        )

    def put(self, name: str | None) -> None:
        """Have an adapter on the base, or none."""
        if name == self.on:
            return
        if name is None:
            self.model, _ = self.fresh()
        else:
            self.model = load_adapter(self.model, self.loaded[name])
        self.on = name
