"""Which base model a run trains, how answers are sampled, and servers that are asked.

Nothing heavy is imported.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from ipaddress import ip_address
from typing import Literal
from urllib.parse import urlsplit

Quantization = Literal["nf4", "fp4", "int8"]

BYTES = {"nf4": 0.55, "fp4": 0.55, "int8": 1.1}
"""What a weight takes where it is quantized, its scales and the layers that are left alone included
(reckoned)."""


@dataclass(frozen=True, kw_only=True)
class Kwargs:
    """How the base is loaded, in the words of `from_pretrained`: `model.kwargs`."""

    dtype: Literal["float32", "bfloat16", "float16"] | None = None
    """Number format of the weights that are not trained; by default that of the run's precision."""
    attn_implementation: (
        Literal["eager", "sdpa", "flash_attention_2", "flash_attention_3", "flex_attention"] | None
    ) = None
    """How attention is computed; flash attention needs its package and a GPU."""
    device_map: Literal["auto", "balanced", "balanced_low_0", "sequential"] | None = None
    """Spread the layers over the GPUs of one process."""
    quantization: Quantization | None = None
    """Hold the base in 4 or 8 bits by bitsandbytes: with LoRA on it, that is QLoRA."""

    def given(self) -> dict[str, str]:
        """What is not left to the library."""
        return {name: value for name, value in vars(self).items() if value is not None}


@dataclass(frozen=True, kw_only=True)
class Model:
    """The base model that every adapter is trained on: the section `model` of a configuration."""

    name: str = "embedded"
    """`embedded` (SmolLM2-135M-Instruct), a hub name, or a folder or GGUF file, whose path begins
    with ./, ../, ~/ or /."""
    revision: str | None = None
    """Branch, tag or commit of a hub name; a run keeps to the commit that it began with."""
    chat_template: str | None = None
    """Jinja text or a file with it; needed where the tokenizer has none."""
    date: str | None = None
    """The day that a template writes which asks for today's, as "YYYY-MM-DD": the first day of
    the run where it is not given, so that a run reads the same text on every day."""
    kwargs: Kwargs | None = None
    """How it is loaded, where that is not as usual."""


@dataclass(frozen=True, kw_only=True)
class Sampling:
    """How answers are sampled."""

    max_new_tokens: int = 128
    """An answer stops here at the latest."""
    temperature: float = 0.7
    """0 takes the likeliest token; larger is more random."""
    top_p: float = 0.9
    """The share of probability that may be drawn from."""
    batch_size: int = 64
    """Answers decoded side by side."""


@dataclass(frozen=True, kw_only=True)
class Endpoint:
    """A server with OpenAI's interface, and how it is asked."""

    url: str
    """The base URL, such as https://HOST/v1; http is for servers on this machine."""
    model: str
    """What the server calls the model."""
    api_key_env: str | None = None
    """The environment variable that holds the key; none is sent where it is not given."""
    concurrency: int = 8
    """Requests that are under way at a time."""
    timeout: float = 60.0
    """Seconds for which a server may be silent before a request counts as failed."""
    retries: int = 5
    """How often a request is sent again that failed for a reason that may pass."""
    max_requests: int | None = None
    """Stop before more requests than this, those of earlier attempts at a run included."""
    max_tokens: int | None = None
    """Stop once all replies together took this many tokens, read and written, likewise; what is
    under way then is still paid for."""

    def __post_init__(self) -> None:
        """Refuse a URL that is none, or that would send a key in the clear, and bad numbers."""
        if not self.model:
            raise ValueError(f"server {self.url}: its model must be named (model)")
        check_url(self.url)
        at_least = {"concurrency": 1, "retries": 0, "max_requests": 1, "max_tokens": 1}
        for name, least in at_least.items():
            value = getattr(self, name)
            if value is not None and value < least:
                raise ValueError(f"server {self.host}: {name} must be at least {least}")
        if not 0 < self.timeout < float("inf"):
            raise ValueError(f"server {self.host}: timeout must be a number of seconds above 0")

    @property
    def host(self) -> str:
        """The host's name, without the port."""
        return urlsplit(self.url).hostname or ""

    @property
    def place(self) -> str:
        """Host and port, for messages."""
        return urlsplit(self.url).netloc


BY_PATH = "path"
"""Stands for the name of a model that a server is given as a folder."""


@dataclass(frozen=True, kw_only=True)
class SamplingServer(Endpoint):
    """A server that samples answers of the base model and of adapters on it."""

    model: str = ""
    """What the server calls the base model; not needed with `lora: path`."""
    lora: Literal["runtime", "path", "names"] = "runtime"
    """How the server gets an adapter: `runtime`, it is told to load a folder (vLLM with
    VLLM_ALLOW_RUNTIME_LORA_UPDATING); `path`, a folder with base and adapter is what a request
    calls the model (`transformers serve`, on this machine); `names`, those of `adapters`."""
    adapters: Mapping[str, str] = field(default_factory=dict)
    """With `lora: names`, what the server calls each model of the run, such as stage1-00."""

    def __post_init__(self) -> None:
        """Refuse what does not go together."""
        if self.lora == "path":
            check_url(self.url)
            if not stays_here(self.host):
                raise ValueError(
                    f"server {self.host}: lora: path is for a server on this machine, which reads "
                    "the folders of a run"
                )
            if self.model not in ("", BY_PATH):
                raise ValueError(f"server {self.host}: with lora: path it is the run's own model")
            object.__setattr__(self, "model", BY_PATH)
        super().__post_init__()
        if self.adapters and self.lora != "names":
            raise ValueError(f"server {self.host}: adapters go with lora: names")


def check_url(url: str) -> None:
    """Refuse a base URL that no server of ours may have.

    Raises:
        ValueError: No http(s) URL with a host, plain http to another machine, or one with a user, a
            query or a fragment.

    Example:
        >>> check_url("localhost:8000")
        Traceback (most recent call last):
        ValueError: url 'localhost:8000': expected https://HOST/v1, as the server's pages show it
    """
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError as error:
        raise ValueError(f"url {url!r}: {error}") from None
    if parts.scheme not in ("http", "https") or not host:
        raise ValueError(f"url {url!r}: expected https://HOST/v1, as the server's pages show it")
    if parts.username is not None or parts.password is not None or parts.query or parts.fragment:
        raise ValueError(
            "url: has a user, a query or a fragment: a key belongs into the variable that "
            "api_key_env names"
        )
    if parts.scheme == "http" and not stays_here(host):
        raise ValueError(
            f"url {url}: https only, for others could read what is sent; http is for this machine "
            "(localhost)"
        )


def stays_here(host: str) -> bool:
    """Whether what is sent to a host never leaves this machine.

    Example:
        >>> [stays_here(host) for host in ("localhost", "127.0.0.1", "::1", "10.0.0.1")]
        [True, True, True, False]
    """
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"
