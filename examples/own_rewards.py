"""A reward function for own_rewards.yaml, called as TRL's trainers call theirs."""


def variety(completions: list[str], **more: object) -> list[float]:
    """How many different words an answer has; more is better."""
    return [float(len(set(text.lower().split()))) for text in completions]
