"""Everything that the collector may be told, composed from the parts that use it."""

from dataclasses import dataclass, field
from typing import Final

from reactor.collector.external import ExternalParameters
from reactor.collector.triggers.registry import TriggersParameters

MESSAGES_PER_PASS_MAX: Final = 64  # Per ring: about 200 µs of work, so that a hedge never waits longer for its turn.


@dataclass(frozen=True)
class CollectorParameters:
    """What the collector shall do."""

    pairs: tuple[tuple[int, int], ...] = ()  # by pair_id: (open leg, hedge leg) as instrument indexes
    triggers: TriggersParameters = field(default_factory=TriggersParameters)
    external: ExternalParameters = field(default_factory=ExternalParameters)
    messages_per_pass_max: int = MESSAGES_PER_PASS_MAX
