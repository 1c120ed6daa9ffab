"""How a shard waits when nothing is to be done: spin, hybrid or block.

    SPIN     never sleeps: for a core of its own, isolated from the scheduler
    HYBRID   spins for a bounded time after the last work, then sleeps
    BLOCK    sleeps at once: for cores that others need too

A pure decision; the shard does the sleeping.
"""

from enum import IntEnum

HYBRID_SPIN_NS = 50_000  # About ten wake-ups' worth: bridges the gap between the messages of one burst.


class WaitPolicy(IntEnum):
    """role_metrics_t.wait_policy."""

    BLOCK = 0
    HYBRID = 1
    SPIN = 2


class Waiter:
    """Decides after every pass whether the shard may sleep."""

    __slots__ = ("_idle_since_ns", "_spin_ns", "policy")

    def __init__(self, policy: WaitPolicy, spin_ns: int = HYBRID_SPIN_NS) -> None:
        self.policy = policy
        self._spin_ns = {WaitPolicy.BLOCK: 0, WaitPolicy.HYBRID: spin_ns, WaitPolicy.SPIN: 1 << 62}[policy]
        self._idle_since_ns = 0

    def may_sleep(self, work: int, now_ns: int) -> bool:
        """`work` is what the last pass did; `now_ns` its time (CLOCK_MONOTONIC)."""
        if work:
            self._idle_since_ns = now_ns
            return False
        if self._idle_since_ns == 0:
            self._idle_since_ns = now_ns
        return now_ns - self._idle_since_ns >= self._spin_ns
