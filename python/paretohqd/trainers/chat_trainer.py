"""TRL's trainer of GRPO as a run uses it."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import torch
import trl
from accelerate.utils import gather_object

from paretohqd.frames.conversations.prompts import write_prompt
from paretohqd.models.chat import encode_prompts
from paretohqd.models.finite import StopsAtNan
from paretohqd.trainers.credit import Credit
from paretohqd.trainers.rollouts import Rollouts


class ChatTrainer(StopsAtNan, trl.GRPOTrainer):  # type: ignore[misc]
    """TRL's, which reads prompts as sampling does, and stops where a number is not finite."""

    def __init__(
        self, *args: Any, rollouts: Rollouts, credit: Credit | None = None, **more: Any
    ) -> None:
        """Take what GRPOTrainer takes, what scores its answers, and how these are credited."""
        self.rollouts, self.credit = rollouts, credit
        super().__init__(*args, **more)

    def _generate_and_score_completions(self, inputs: list[Any]) -> dict[str, Any]:
        """TRL's own, with other advantages where they are asked for."""
        output: dict[str, Any] = super()._generate_and_score_completions(inputs)
        if self.credit is None:
            return output
        # A prompt's answers may lie on several processes.
        mine = torch.from_numpy(self.rollouts.standard).to(output["advantages"].device)
        every = self.accelerator.gather(mine).cpu().numpy()
        prompts = gather_object(self.rollouts.prompts)
        credited = self.credit(every, self.num_generations, prompts)
        self.rollouts.steps[-1]["credit"] = credited.facts
        first = self.accelerator.process_index * len(mine)
        own = torch.from_numpy(credited.advantages)[first : first + len(mine)]
        output["advantages"] = own.to(output["advantages"])
        return output

    def _tokenize_prompts(self, prompts: list[Any]) -> tuple[list[list[int]], None, dict[str, Any]]:
        """Ids of the prompts; no images, nothing of other modes."""
        texts = [write_prompt(talk) for talk in prompts]
        return encode_prompts(self.processing_class, texts), None, {}

    def train(self, *args: Any, **more: Any) -> Any:
        """TRL's own, which says of scores that are not finite what `finite` says of a loss."""
        with _diverged():
            return super().train(*args, **more)


@contextlib.contextmanager
def _diverged() -> Iterator[None]:
    """What torch's draw says of scores that are not finite, as `finite` says it."""
    try:
        yield
    except RuntimeError as error:
        if "probability tensor" not in str(error):
            raise
        raise ValueError(
            "the scores of the next token are not finite: the training diverged, and nothing of it "
            "is kept: lower the learning rate"
        ) from error
