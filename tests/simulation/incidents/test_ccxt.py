"""Incidents of ccxt (ccxt/ccxt) and clients built on it."""

from scenario import SPOT, USDM, scenario

from reactor.sim.world.time import MS, SECOND


def test_a_listen_key_that_expires_is_replaced() -> None:
    # ccxt #6760: nobody refreshed the listen key; after an hour the stream was silent and orders were never resolved.
    with scenario(("exchanges.binance.order_sessions.keepalive_ns=1800000000000",)) as world:
        world.run_for(11.0)  # The key of this world lives ten seconds.
        before = world.fills(USDM)
        world.until(lambda: world.fills(USDM) > before)
        world.until(lambda: world.booked() == world.fills(SPOT) + world.fills(USDM), 1.0)


def test_a_keep_alive_that_fails_does_not_end_the_stream() -> None:
    # ccxt #9856: a network error during the keep-alive set the key to None, and the stream could not be opened again.
    with scenario() as world:
        world.cloud.outages[USDM] = world.time.now_ns + 4 * SECOND  # Every keep-alive of these seconds fails.
        world.run_for(6.0)
        before = world.fills(USDM)
        world.until(lambda: world.fills(USDM) > before)
        world.until(lambda: world.booked() == world.fills(SPOT) + world.fills(USDM), 1.0)


def test_the_clock_is_measured_again_and_again() -> None:
    # ccxt #2281 and sammchardy/python-binance #746: the offset was measured once; -1021 for every order of the day after.
    with scenario() as world:
        world.until(world.has_position)
        world.house.clock.jump(-7_000 * MS)
        world.run_for(6.0)
        before = world.fills(SPOT)
        world.until(lambda: world.fills(SPOT) > before)
