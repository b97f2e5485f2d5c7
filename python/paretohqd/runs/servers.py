"""The servers that a run asks: judges, and one that samples; who allowed it, and what they said."""

from __future__ import annotations

from collections.abc import Sequence

from paretohqd.exceptions import check_keys
from paretohqd.models import consent
from paretohqd.models.endpoint import EndpointClient
from paretohqd.models.replies import Replies
from paretohqd.models.served_adapters import check_loading
from paretohqd.models.spec import Endpoint, SamplingServer
from paretohqd.rewards.judge import panels
from paretohqd.runs import layout
from paretohqd.runs.config import Config
from paretohqd.runs.folder import RunFolder
from paretohqd.runs.trusted import make_folders


class Servers:
    """The servers of one run under way."""

    def __init__(self, settings: Config, rewards: Sequence[object], models: Sequence[str]) -> None:
        """Refuse servers that nobody allowed, before any work.

        Args:
            settings: The run's.
            rewards: Its rewards.
            models: The names of its models.

        Raises:
            ValueError: A server on another machine that may not be sent to, or is allowed and not
                there; a key whose variable is not set; names of adapters that are not those of the
                run's models.
        """
        self.judges = panels(rewards)
        self.sampling = settings.generation.endpoint
        self._sampler: EndpointClient | None = None
        rows = settings.data.max_rows
        for panel in self.judges:
            panel.sends = _sends(
                f"objectives: {', '.join(panel.aspects)}: the judge",
                panel.judge,
                f"prompt and response of {f'up to {rows:,}' if rows else 'all'} rows of data.source"
                " and of every sampled answer",
            )
        if self.sampling is not None:
            _check_adapters(self.sampling, models)
            sends = _sends(
                "generation.endpoint: the server",
                self.sampling,
                f"up to {settings.generation.prompts:,} prompts of each model that samples for "
                "stage 2, and the held-out prompts",
            )
            self._sampler = EndpointClient(
                spec=self.sampling, sends=sends, purse=f"sampling-{self.sampling.model}"
            )
        hosts = [client.spec.host for client in self.clients()]
        consent.current().check_hosts(hosts)
        for client in self.clients():
            client.check()

    def clients(self) -> list[EndpointClient]:
        """One for each server."""
        sampler = [self._sampler] if self._sampler is not None else []
        return [*(panel.client for panel in self.judges), *sampler]

    @property
    def sampler(self) -> EndpointClient:
        """The client of the server that samples, where there is one."""
        assert self._sampler is not None
        return self._sampler

    def open(self, folder: RunFolder) -> None:
        """Go on with what servers said in this folder before, and keep what they say there."""
        if not self.clients():
            return
        place = folder.folder / layout.REPLIES
        make_folders(folder.folder, place)
        replies = Replies(place, name=str(folder.rank))
        for panel in self.judges:
            panel.keep(replies)
        if self._sampler is not None:
            self._sampler.replies = replies

    def probe(self) -> None:
        """Find out whether all servers are there and have their models.

        Raises:
            ValueError: One cannot be reached, refuses the key, has other models, or is to load
                adapters and cannot.
        """
        for panel in self.judges:
            panel.client.check_model()
        if self.sampling is None:
            return
        if self.sampling.lora == "path":  # the name of a folder that is not there yet
            self.sampler.names()
        else:
            self.sampler.check_model()
        check_loading(self.sampler, self.sampling)

    def begin(self) -> None:
        """Count judges' requests anew: a stage's manifest tells what it took itself."""
        for panel in self.judges:
            panel.begin()

    def judged(self) -> list[str]:
        """Lines for people on what judges were asked since `begin`."""
        return [f"  {panel.asked()}" for panel in self.judges if panel.client.counts.requests]


def _check_adapters(server: SamplingServer, models: Sequence[str]) -> None:
    """Refuse names that a server is said to have adapters by, unless they are one for each model.

    Training them takes hours, after which nothing could be sampled.
    """
    if server.lora != "names":
        return
    where, tuned = "generation.endpoint.adapters", [name for name in models if name != layout.BASE]
    check_keys(server.adapters, tuned, where)
    missing = [name for name in tuned if name not in server.adapters]
    if missing:
        raise ValueError(
            f"{where}: no name for {len(missing)} of {len(tuned)} models of the run, the first "
            f"{missing[0]}: with lora: names write what the server calls, or will call, each"
        )


def _sends(who: str, server: Endpoint, what: str) -> str:
    key = f", with the key in the variable {server.api_key_env}" if server.api_key_env else ""
    return f"{who} at {server.host} would get {what}{key}"
