"""What is asked before anybody is started: who we are, where the venues are, what they list, what the account has."""

import asyncio
import os
import time
from collections.abc import Sequence
from pathlib import Path

from reactor.config.assemble import symbols_by_venue
from reactor.config.schema import Config
from reactor.config.secrets import SIMULATED_KEY, read_credentials
from reactor.domain.errors import ConfigError, OutcomeUnknown
from reactor.domain.instrument import VENUE_NAMES, Instrument, Instruments
from reactor.exchanges.binance.rules import endpoints_at, endpoints_of
from reactor.exchanges.venue import Credentials, Endpoints, RateLimit
from reactor.loop.log import Log
from reactor.supervisor.cancel_all import confirm
from reactor.supervisor.venue_desk import VenueDesk

MEETINGS_MAX = 3
PAUSE_S = 0.5
JOURNALS_KEPT = 10  # Of earlier sessions on a simulated exchange.


def credentials_of(config: Config) -> Credentials:
    """Whose account it is.

    Raises:
        ConfigError: there is no key, or its file may be read by others.
    """
    binance = config.exchanges.binance
    keys = binance.credentials
    if binance.environment in ("simulated", "paper") and not keys.file and not os.environ.get(keys.api_key_variable):
        return SIMULATED_KEY
    return read_credentials(os.environ, keys.api_key_variable, keys.secret_variable, keys.file)


def endpoints_in(config: Config, venue_name: str, base_url: str) -> Endpoints:
    """Where a venue is reached: the config's own addresses, a simulated exchange's, or the environment's published ones.

    Raises:
        ConfigError: there are none.
    """
    binance = config.exchanges.binance
    venue = VENUE_NAMES.index(venue_name)
    own = binance.addresses.get(venue_name)
    if own is not None:
        return Endpoints(venue, own.rest_url, own.orders_url, own.public_url, own.market_url, own.private_url)
    if base_url:
        return endpoints_at(venue, _port_shifted(base_url, 0 if venue_name == "binance_spot" else 1))
    return endpoints_of(venue, binance.environment)


def _port_shifted(base_url: str, shift: int) -> str:
    head, colon, port = base_url.rstrip("/").rpartition(":")
    if not colon or not port.isdigit():
        raise ConfigError(f"exchanges.binance.simulated.base_url: {base_url!r}; write http://host:port")
    return f"{head}:{int(port) + shift}"


async def fetch_instruments(config: Config, desks: Sequence[VenueDesk]) -> tuple[Instruments, dict[int, tuple[RateLimit, ...]]]:
    """Every symbol of the session as its venue describes it, and by venue the limits on our requests.

    Raises:
        TradeError: a venue does not answer, or does not trade a symbol.
    """
    wanted = symbols_by_venue(config)
    instruments: list[Instrument] = []
    limits: dict[int, tuple[RateLimit, ...]] = {}
    for desk in desks:
        symbols = wanted[desk.name]
        await _meet(desk)
        fees = await desk.fees(symbols)
        info = await desk.exchange_info(symbols, len(instruments), fees)
        instruments += info.instruments
        limits[desk.line.venue] = info.rate_limits
    return Instruments(instruments), limits


async def _meet(desk: VenueDesk) -> None:
    """The first word with a venue: a busy host's own simulated exchange may need a moment."""
    for tries_left in reversed(range(MEETINGS_MAX)):
        try:
            await desk.synchronise()
        except OutcomeUnknown:
            if not tries_left:
                raise
            await asyncio.sleep(PAUSE_S)
        else:
            return


async def show_account(desks: Sequence[VenueDesk], log: Log) -> None:
    """The start-up page: what the account has, before the first order may go out."""
    for desk in desks:
        balances = [each for each in await desk.balances() if each.free_e8 or each.locked_e8]
        orders = await confirm([desk])
        if orders.problems:
            raise OutcomeUnknown(orders.problems[0])
        positions = await desk.positions()
        log.info(
            "account",
            venue=desk.name,
            balances=", ".join(f"{each.asset} {(each.free_e8 + each.locked_e8) / 1e8:g}" for each in balances) or "nothing",
            positions=", ".join(f"{each.symbol} {each.quantity_e8 / 1e8:g}" for each in positions) or "none",
            open_orders_ours=len(orders.ours),
            open_orders_foreign=len(orders.foreign),
            clock_offset_ms=desk.clock_offset_ms,
        )


def put_journal_aside(path: Path) -> None:
    """A simulated exchange that has just been started knows nothing of yesterday: yesterday's journal is kept beside."""
    if not path.exists():
        return
    stamp = time.strftime("%Y%m%d-%H%M%S", time.gmtime(path.stat().st_mtime))
    for each in path.parent.glob(path.name + "*"):
        if each.name[len(path.name) :] in ("", "-wal", "-shm"):
            each.replace(each.with_name(f"journal.{stamp}.sqlite{each.name[len(path.name) :]}"))
    kept = sorted(path.parent.glob("journal.*-*.sqlite"))
    for old in kept[:-JOURNALS_KEPT]:
        for suffix in ("", "-wal", "-shm"):
            old.with_name(old.name + suffix).unlink(missing_ok=True)
