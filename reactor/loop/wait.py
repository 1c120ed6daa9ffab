"""How a shard waits when nothing is to be done: spin, hybrid or block.

    SPIN     never sleeps: for a core of its own, isolated from the scheduler
    HYBRID   spins for a bounded time after the last work, then sleeps; at once while others wait for cores
    BLOCK    sleeps at once: for cores that others need too

A pure decision; the shard does the sleeping.
"""

from enum import IntEnum
from typing import Final

HYBRID_SPIN_NS: Final = 3_000_000  # Bridges the gap between two ticks of a busy pair: who sleeps in it wakes with cold caches.
CROWDED_RATIO: Final = 0.25  # Of the last second somebody waited for a core: a paper session alone on two makes 0.02 to 0.1.
SECOND_NS: Final = 1_000_000_000


class WaitPolicy(IntEnum):
    """role_metrics_t.wait_policy."""

    BLOCK = 0
    HYBRID = 1
    SPIN = 2


class Waiter:
    """Decides after every pass whether the shard may sleep."""

    __slots__ = ("_idle_since_ns", "_is_crowded", "_looked_ns", "_spin_ns", "_waited_us", "policy")

    def __init__(self, policy: WaitPolicy, spin_ns: int = HYBRID_SPIN_NS) -> None:
        self.policy = policy
        self._spin_ns = {WaitPolicy.BLOCK: 0, WaitPolicy.HYBRID: spin_ns, WaitPolicy.SPIN: 1 << 62}[policy]
        self._idle_since_ns = 0
        self._is_crowded = policy == WaitPolicy.HYBRID  # until a second has shown that it is not
        self._looked_ns = 0
        self._waited_us = 0

    @property
    def sleeps_at_once(self) -> bool:
        """It will not spin after the next work."""
        return self._is_crowded or self._spin_ns == 0

    def wants_pressure(self, now_ns: int) -> bool:
        """Once a second, where it matters: call `heed` next."""
        return self.policy == WaitPolicy.HYBRID and now_ns - self._looked_ns >= SECOND_NS

    def heed(self, waited_us: int, now_ns: int) -> None:
        """`waited_us`: how long, since boot, some task of the host had no core (loop/pressure.py). Hybrid gives way to it."""
        if self._looked_ns:
            self._is_crowded = (waited_us - self._waited_us) * 1000 > CROWDED_RATIO * (now_ns - self._looked_ns)
        self._looked_ns = now_ns
        self._waited_us = waited_us

    def may_sleep(self, work: int, now_ns: int) -> bool:
        """`work` is what the last pass did; `now_ns` its time (CLOCK_MONOTONIC)."""
        if work:
            self._idle_since_ns = now_ns
            return False
        if self._idle_since_ns == 0:
            self._idle_since_ns = now_ns
        return self._is_crowded or now_ns - self._idle_since_ns >= self._spin_ns
