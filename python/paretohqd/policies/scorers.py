"""The scorers of a finished run, made again as its configuration names them."""

from __future__ import annotations

from paretohqd.models import consent
from paretohqd.policies.loaded import Run
from paretohqd.rewards.scoring import Reward
from paretohqd.runs import config, layout, rewards
from paretohqd.runs.origins import model_names


def scorers_of(opened: Run, *, device: str = "auto") -> list[Reward]:
    """The rewards that evaluated a run, by its objectives.

    Code runs only if whoever calls allows it (`consent.consenting`), and judges are not asked.

    Raises:
        ValueError: A scorer that is not to be found any more, code that is not allowed, a judge, or
            scores that are a column of the data.
    """
    run = opened.finished
    settings = config.load_settings(
        config.Config, run.folder / layout.CONFIG, {"run": str(run.folder)}
    )
    for objective in settings.objectives:
        if objective.judge is not None:
            raise ValueError(f"objective {objective.name}: a judge is not asked here")
        if objective.scorer is None and objective.model is None:
            raise ValueError(f"objective {objective.name}: its scores are a column of the data")
    consent.current().check_scorers(rewards.code_scorers(settings.objectives))
    consent.current().check_models(model_names(settings))
    made = rewards.make_rewards(settings.objectives, device)
    rewards.give_tokens(made, opened.spec)
    rewards.settle_messages(made, run.folder / layout.DATA)
    return made
