"""A world with a script: the test says what happens, the checks say what must still be true.

with scenario(settings) as world:
    world.until(world.has_position)         something to lose
    world.supervisor.crash("prepost", …)    the accident
    world.run_for(1.0)
                                            leaving the block: fine weather, agreement, stop, the whole account
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from reactor.sim.world.house import Supervisor
from reactor.sim.world.time import SECOND
from reactor.sim.world.world import World, WorldParameters

OURS = "ct"
MAKER = ("strategy.pair_terms.opens_as_maker=true", "strategy.pair_terms.maker_ttl_ms=4000")
SPOT, USDM = "spot", "usdm"


class Scenario(World):
    """One world under a test's hands."""

    @property
    def supervisor(self) -> Supervisor:
        """Who kills and restarts."""
        return self.house.supervisor

    @property
    def desk(self) -> Any:
        """Prepost's books; prepost must be alive."""
        return self.house.role("prepost").desk

    def core(self, venue: str) -> Any:
        """The truth about one venue."""
        return self.exchange.spot if venue == SPOT else self.exchange.usdm

    def account(self, venue: str) -> Any:
        """Our account there."""
        return self.core(venue)._accounts[1]

    def run_for(self, seconds: float) -> None:
        """Lets time pass."""
        self.run_until(self.time.now_ns + int(seconds * SECOND))

    def until(self, condition: Callable[[], bool], seconds: float = 25.0) -> None:
        """Lets time pass until it is true."""
        assert self.run_while(lambda: not condition(), int(seconds * SECOND)), f"did not happen within {seconds} s"

    def fills(self, venue: str) -> int:
        """Fills of ours, as the exchange counts them."""
        return sum(fill.client_order_id.startswith(OURS) for fill in self.account(venue).fills)

    def booked(self) -> int:
        """Fills, as we count them."""
        return int(self.desk.fills_booked)

    def has_position(self) -> bool:
        """Both legs of a pair stand."""
        pair = self.desk.pairs[0]
        return bool(pair.open_position.base_e8 > 100_000 and pair.hedge_position.base_e8 < 0 and not pair.orders)

    def resting(self, venue: str = SPOT) -> list[Any]:
        """Our open orders at the venue."""
        return [order for order in self.account(venue).open_orders.values() if order.client_order_id.startswith(OURS)]

    def next_place(self, venue: str, then: Callable[[], None]) -> None:
        """Calls `then` right after the venue has taken the next order of ours."""
        core = self.core(venue)
        place = core.place
        done: list[bool] = []

        def placed(account_id: int, fields: Any, now_ns: int, *, is_test: bool = False) -> Any:
            answer = place(account_id, fields, now_ns, is_test=is_test)
            if not done and str(fields.get("newClientOrderId", "")).startswith(OURS):
                done.append(True)
                then()
            return answer

        core.place = placed

    def all_client_ids(self) -> list[str]:
        """Every id that we have ever used there."""
        orders = [order for venue in (SPOT, USDM) for order in self.account(venue).orders.values()]
        return [order.original_client_order_id or order.client_order_id for order in orders]


@contextmanager
def scenario(settings: tuple[str, ...] = (), seed: int = 5, *, flattens: bool = False) -> Iterator[Scenario]:
    """A world that trades; at the end everything must add up."""
    world = Scenario(seed, WorldParameters(faults=("none",), settings=settings))
    try:
        world.begin()
        yield world
        world.finish(is_flattening=flattens)
    finally:
        world.close()
