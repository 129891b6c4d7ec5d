"""The learning rate: warm-up, constant, linear decay to 0."""

from training.train.config import TrainConfig


def learning_rate_factor(step: int, config: TrainConfig) -> float:
    """Return the factor on the learning rate for optimiser step `step`, counted from 0.

    Before the decay it does not depend on max_steps: a run may be given another length until then.
    """
    if step < config.warmup_steps:
        return (step + 1) / config.warmup_steps
    return min(1.0, max(0, config.max_steps - step) / max(1, decay_steps(config)))


def decay_steps(config: TrainConfig) -> int:
    """Return the number of steps at the end over which the learning rate falls."""
    if config.decay_steps is None:
        return max(1, config.max_steps - config.warmup_steps)
    return min(config.decay_steps, config.max_steps)


def first_decay_step(config: TrainConfig) -> int:
    """Return the step at which the last phase begins."""
    return config.max_steps - decay_steps(config)
