"""Incidents of QuantDinger (OpenByteInc/QuantDinger)."""

from scenario import SPOT, USDM, scenario

from reactor.sim.world.time import MS


def test_a_fill_booked_before_a_restart_is_not_booked_after_it() -> None:
    # QuantDinger #232: a worker restarted between a fill and its marker; the same execution doubled the position in the books.
    with scenario() as world:
        for down_ms in (50, 300):
            before = world.fills(USDM)
            world.until(lambda before=before: world.fills(USDM) > before)  # type: ignore[misc]
            world.supervisor.crash("prepost", "kill -9", down_ms * MS)
            world.run_for(2.0)
        assert world.booked() == world.fills(SPOT) + world.fills(USDM)
