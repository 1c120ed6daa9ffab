"""What a role promises to the shard that hosts it: a duty cycle, as in Agrona.

A role never blocks, never waits, never starts a thread or a task. It does a bounded amount of work per call and says how
much. Sockets call it back between passes (see reactor/net/network.py); time is an argument.
"""

from typing import Protocol


class Role(Protocol):
    """One room's door."""

    name: str

    def on_start(self, now_ns: int) -> None:
        """Opens what must be open before the first pass (sessions, subscriptions). Called once."""

    def do_work(self, now_ns: int) -> int:
        """One bounded pass over everything that may have come in. Returns how much was done; 0 lets the shard wait."""

    def deadline_ns(self, now_ns: int) -> int:
        """When the role wants its next pass although nothing came in (CLOCK_MONOTONIC). The shard caps it at 5 ms, or 20."""

    def is_ready(self) -> bool:
        """True when the next role may be started (the readiness gate)."""

    def on_stop(self, now_ns: int) -> None:
        """Closes what is open. Called once, after the last pass."""


class Glances(Protocol):
    """Optional: how a role keeps warm what its next decision will read.

    The shard looks for this method and calls it when a pass had nothing to do (shard.py says how often).
    """

    def glance(self) -> None:
        """Reads and computes what the next decision would, with the objects that it would use. Changes nothing that anybody
        could notice, writes into no ring and no socket."""


class Drains(Protocol):
    """Optional second half of a role: how it ends in order when its supervisor has died (the engine cancels what is ours).

    The shard looks for these two methods; a role without them simply leaves.
    """

    def on_orphaned(self, now_ns: int) -> None:
        """The supervisor is gone: start ending. Passes go on."""

    def is_drained(self) -> bool:
        """True when nothing is left to do. The shard leaves at the latest 4.5 s after on_orphaned."""
