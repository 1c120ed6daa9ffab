"""What goes wrong and when: each seed draws its own mixture."""

from random import Random
from typing import TYPE_CHECKING, Any

from reactor.sim.faults import FaultParameters, FaultPlan

if TYPE_CHECKING:
    from reactor.sim.world.world import World


class SwitchableFaults(FaultPlan):
    """The exchange's own misbehaviour, off until the world switches it on."""

    def __init__(self, seed: int) -> None:
        super().__init__(FaultParameters(seed=seed))
        self._seed = seed


class Faults:
    def __init__(self, world: "World", dice: Random, names: tuple[str, ...]) -> None:
        self.count = 0
        self.notes: list[str] = []

    def begin(self, until_ns: int) -> None: ...
    def end(self) -> None: ...
    def check_foreign(self) -> None: ...
