"""How a server gets the adapter that it is to sample with.

Servers differ: vLLM loads a folder when it is told to, `transformers serve` loads whatever folder a
request names as its model, others know the adapters that they were started with. Folders that are
written here are temporary, this user's alone, and removed when the answers are there.
"""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from paretohqd.frames.new_files import write_new
from paretohqd.models import base, hub
from paretohqd.models.endpoint import EndpointClient
from paretohqd.models.endpoint_wire import post, refusal
from paretohqd.models.names import is_local
from paretohqd.models.spec import Model, SamplingServer

LOAD, UNLOAD = "/load_lora_adapter", "/unload_lora_adapter"
"""vLLM's routes, below the base URL."""

NOWHERE, NOBODY = "/paretohqd_no_route", "paretohqd-no-adapter"
"""A route and an adapter that no server has."""

OF_ADAPTER = ("adapter_config.json", "adapter_model.safetensors")


@contextmanager
def served_model(
    client: EndpointClient,
    server: SamplingServer,
    spec: Model,
    *,
    adapter: Path | None,
    content: str,
    name: str | None,
    sampled: bool,
) -> Iterator[str]:
    """What the server calls a model, from here on until the block ends.

    Args:
        client: The server's client.
        server: Its settings.
        spec: The base model.
        adapter: The folder of an adapter on it; None for the base alone.
        content: A hash of the adapter's content, which its name on the server is made of.
        name: What the run calls the model.
        sampled: Tokens are drawn, and not the likeliest taken.

    Raises:
        ValueError: The server cannot load the adapter, or no name is given for it.
    """
    if server.lora == "path":
        with _temporary_folder() as folder:
            write_whole(spec, adapter, folder, sampled=sampled)
            yield str(folder)
    elif adapter is None:
        yield server.model
    elif server.lora == "names":
        known = server.adapters.get(name or "")
        if known is None:
            raise ValueError(
                f"generation.endpoint.adapters: no name for {name or 'a sum of adapters'}, which "
                "is to be sampled from: with lora: names the server must have each adapter"
            )
        yield known
    else:
        loaded = f"{name or 'sum'}-{content[:16]}"
        _tell(client, LOAD, {"lora_name": loaded, "lora_path": str(adapter.absolute())})
        try:
            yield loaded
        finally:
            # It has to make room; a server that is gone has lost the adapter too.
            _tell(client, UNLOAD, {"lora_name": loaded}, must=False)


def check_loading(client: EndpointClient, server: SamplingServer) -> None:
    """Refuse a server that cannot be told to load adapters, as far as it shows before there is one.

    It shows where letting an unknown adapter go is answered like a route that nobody has; with the
    route the answer would be about the adapter.

    Raises:
        ValueError: Such a server, with `lora: runtime`.
    """
    if server.lora != "runtime":
        return
    status, said = _said(client, UNLOAD)
    if status in (404, 405) and (status, said) == _said(client, NOWHERE):
        raise _no_route(client, UNLOAD, status)


def write_whole(spec: Model, adapter: Path | None, folder: Path, *, sampled: bool) -> None:
    """Fill a folder with a base model and an adapter on it, as transformers loads both at once.

    Weights of the base are links, so that this takes next to no room. The tokenizer has the run's
    chat template, and of the checkpoint's own settings of sampling only the end tokens stay.

    Args:
        spec: The base model.
        adapter: The adapter's folder, if there is one.
        folder: An empty folder.
        sampled: Tokens are drawn; otherwise the likeliest are taken.
    """
    place = _files(spec)
    for file in sorted(place.iterdir()):
        if file.suffix == ".safetensors" and not file.name.startswith("adapter"):
            os.symlink(file.resolve(), folder / file.name)
        elif file.name == "config.json" or file.name.endswith(".safetensors.index.json"):
            shutil.copyfile(file, folder / file.name)
    tokenizer = base.load_tokenizer(spec)
    tokenizer.save_pretrained(folder)
    settings: dict[str, Any] = {
        "do_sample": sampled,
        "eos_token_id": _end_tokens(place, tokenizer),
        "pad_token_id": tokenizer.pad_token_id,
        "bos_token_id": tokenizer.bos_token_id,
        "top_k": 0,
    }
    write_new(folder / "generation_config.json", json.dumps(settings))
    for name in OF_ADAPTER if adapter is not None else ():
        assert adapter is not None
        shutil.copyfile(adapter / name, folder / name)


def _end_tokens(place: Path, tokenizer: Any) -> Any:
    """The end tokens that the checkpoint names."""
    for name in ("generation_config.json", "config.json"):
        file = place / name
        ends = json.loads(file.read_text("utf-8")).get("eos_token_id") if file.is_file() else None
        if ends is not None:
            return ends
    return tokenizer.eos_token_id


def _files(spec: Model) -> Path:
    """The folder of a base model's files on this machine."""
    origin = base.find_base(spec)
    if is_local(origin.place):
        return Path(origin.place)
    assert origin.commit is not None
    return Path(hub.download(origin.place, origin.commit))


@contextmanager
def _temporary_folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="paretohqd-served-") as folder:
        yield Path(folder)


def _tell(client: EndpointClient, route: str, body: dict[str, str], *, must: bool = True) -> None:
    """Tell a server about an adapter."""
    import openai

    try:
        post(client.check(), route, body)
    except openai.OpenAIError as error:
        status = getattr(error, "status_code", None)
        said = getattr(getattr(error, "response", None), "text", "")
        if not must or (status == 400 and "already been loaded" in said):
            return
        if status in (404, 405):
            raise _no_route(client, route, status) from error
        raise refusal(error, client.spec) from error


def _said(client: EndpointClient, route: str) -> tuple[int, str]:
    """What a server says to a route about an unknown adapter, without the route's own name."""
    import openai

    try:
        post(client.check(), route, {"lora_name": NOBODY})
    except openai.APIStatusError as error:
        return error.status_code, error.response.text.replace(route[1:], "")
    except openai.OpenAIError as error:
        raise refusal(error, client.spec) from error
    return 200, ""


def _no_route(client: EndpointClient, route: str, status: int) -> ValueError:
    return ValueError(
        f"server {client.spec.place}: HTTP {status} for {route}: it does not load adapters while "
        "it runs: start vLLM with --enable-lora and VLLM_ALLOW_RUNTIME_LORA_UPDATING=True, or see "
        "generation.endpoint.lora"
    )
