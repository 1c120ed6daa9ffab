"""What the configuration says of the network."""

from dataclasses import dataclass


@dataclass(frozen=True)
class RateBudgetParameters:
    """How much of the venue's limits is ours."""

    share: float = 0.7  # of the host's budget: feeds, recorder and the supervisor's emergency cancel live on the rest
    reserve: float = 0.2  # of our share, kept for cancels, queries and hedges
    ceiling: float = 1.0  # of the host's budget, used by whomever: above that only what is urgent goes
