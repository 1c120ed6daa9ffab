"""The whole simulated exchange without IO: both venues, the market that feeds them, and one clock handed in.

    source (generator | replay) ──updates──▶ spot  ──events──▶ the faces
                                  ──updates──▶ usdm ──events──▶

Use: `exchange.advance(now_ns)` every few ms (and before answering a request), then `exchange.spot.take_events()` and
`exchange.usdm.take_events()`; `exchange.notices.take()` for the operator.
"""

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from reactor.sim.events import Notices
from reactor.sim.funding import FundingParameters
from reactor.sim.generator import Generator, GeneratorParameters
from reactor.sim.replay import Replay
from reactor.sim.spot import SpotVenue
from reactor.sim.symbols import SPOT_SYMBOLS, USDM_SYMBOLS
from reactor.sim.updates import MarketSource
from reactor.sim.usdm import UsdmVenue
from reactor.sim.venue import USDM_PARAMETERS, AccountParameters, VenueCore, VenueParameters

# A sleeping host must not be answered with minutes of market in one go: about 100 ms of work, then let others run.
UPDATES_PER_ADVANCE_MAX: Final = 5_000


class SimulatedExchange:
    """See the module's drawing."""

    def __init__(
        self,
        source: MarketSource,
        now_ns: int,
        spot_parameters: VenueParameters | None = None,
        usdm_parameters: VenueParameters = USDM_PARAMETERS,
        funding: FundingParameters | None = None,
    ) -> None:
        rules = source.symbols()
        spot_rules = [row for row in rules if not row.is_futures] or list(SPOT_SYMBOLS.values())
        usdm_rules = [row for row in rules if row.is_futures] or list(USDM_SYMBOLS.values())
        self.notices: Notices = source.notices
        self.spot: VenueCore = SpotVenue(spot_rules, spot_parameters or VenueParameters(), now_ns)
        self.usdm: VenueCore = UsdmVenue(usdm_rules, usdm_parameters, now_ns, funding, self.spot.mid_e8)
        self._source = source
        self._is_started = False

    @classmethod
    def open(
        cls,
        now_ns: int,
        *,
        symbols: Sequence[str] = ("BTCUSDT", "ETHUSDT"),
        replay: Sequence[Path] = (),
        seed: int = 1,
        speed: float = 1.0,
        loops: bool = True,
        generator: GeneratorParameters | None = None,
        funding: FundingParameters | None = None,
    ) -> "SimulatedExchange":
        """An exchange on captures if `replay` names any, else on the generator with `symbols`.

        `seed` and `speed` win over those in `generator`; `funding` gives the funding model of either.

        Raises:
            ConfigError: a symbol that the generator does not know.
            DataError: the captures hold nothing that can be played.
        """
        source: MarketSource
        if replay:
            source = Replay(replay, speed, loops=loops)
        else:
            parameters = dataclasses.replace(generator or GeneratorParameters(), symbols=tuple(symbols), seed=seed, speed=speed)
            source = Generator(parameters)
        funding = dataclasses.replace(funding or FundingParameters(), seed=seed)
        return cls(source, now_ns, funding=funding)

    def add_account(self, parameters: AccountParameters, now_ns: int) -> int:
        """Opens the account on both venues; the same id and key on both."""
        account_id = self.spot.add_account(parameters, now_ns)
        same = self.usdm.add_account(parameters, now_ns)
        assert account_id == same, "both venues open the same accounts in the same order"
        return account_id

    def advance(self, now_ns: int) -> int:
        """Brings market and venues up to `now_ns`. Returns how many market updates it took."""
        source, spot, usdm = self._source, self.spot, self.usdm
        if not self._is_started:
            self._is_started = True
            source.start(now_ns)
        taken = 0
        while taken < UPDATES_PER_ADVANCE_MAX:
            due_ns = source.next_due_ns()
            if due_ns > now_ns:
                break
            if due_ns >= spot.next_close_ns:
                spot.advance(due_ns)
            if due_ns >= usdm.next_close_ns:
                usdm.advance(due_ns)
            update = source.take()
            (usdm if update.product == "usdm" else spot).on_market(update, due_ns)
            taken += 1
        if taken < UPDATES_PER_ADVANCE_MAX:
            spot.advance(now_ns)
            usdm.advance(now_ns)
        return taken

    def next_due_ns(self) -> int:
        """When the market speaks next; for a sleeping shell."""
        return self._source.next_due_ns()
