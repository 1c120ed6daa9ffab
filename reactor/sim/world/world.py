"""One seed of the world: the exchange, the house, the faults, the end; then the verdict."""

import shutil
import tempfile
import time
import traceback
from dataclasses import dataclass, replace
from pathlib import Path
from random import Random
from typing import Any, Final

from reactor.domain.messages import ControlKind, KillSwitch
from reactor.prepost.orders import IS_TERMINAL
from reactor.sim.faces.face import Face
from reactor.sim.faces.spot import SpotFace
from reactor.sim.faces.usdm import UsdmFace
from reactor.sim.funding import FundingParameters
from reactor.sim.parameters import SimParameters
from reactor.sim.server import open_exchange
from reactor.sim.world.checks import Checks, Violation
from reactor.sim.world.faults import Faults, SwitchableFaults
from reactor.sim.world.house import FINE_TIMER_NS, TIMER_NS, House, Shard, plan_of
from reactor.sim.world.network import Cloud
from reactor.sim.world.story import Story
from reactor.sim.world.time import BIRTHDAY_NS, BOOT_NS, MS, SECOND, VirtualTime

PUMP_NS_MIN: Final = 2 * MS
PUMP_NS_MAX: Final = 20 * MS
WARM_NS_MAX: Final = 5 * SECOND  # Until the house may trade in fine weather; then the faults begin.
CALM_NS_MAX: Final = 60 * SECOND  # After the faults: until both sides agree again (recv windows, bans and backoffs are in it).
STOP_NS_MAX: Final = 60 * SECOND
SETTINGS: Final = (
    # A world of seconds: cooldowns, holding times, lives and keys are shorter than a trader's day, nothing else is.
    "risk_control.cooldown_s=0.1",
    "risk_control.signal_age_ms_max=100",
    "strategy.signals.adaptive_spread.samples_min=10",
    "strategy.signals.adaptive_spread.window_samples=100",
    "strategy.signals.position_close.age_s_max=0.7",
    "strategy.triggers.mt.percentile_min=0.3",
    "strategy.signals.funding_direction.enter_rate=0.00002",
    "strategy.signals.funding_direction.exit_rate=0.00001",
    "strategy.triggers.mt.funding_rate_min=0.00001",
    "strategy.settlement.period_s=4.0",
    "strategy.external.poll_us=2000",
    "exchanges.binance.order_sessions.life_ns=11000000000",
    "exchanges.binance.order_sessions.keepalive_ns=3000000000",
    "exchanges.binance.order_sessions.clock_ns=4000000000",
    "exchanges.binance.order_sessions.drain_ns=2000000000",
)


@dataclass(frozen=True)
class WorldParameters:
    """What a world is made of."""

    seconds: float = 20.0  # with faults; the beginning and the end in fine weather come on top
    density: float = 0.05  # of the market: 0.05 is about 20 messages/s for a pair, 1.0 the captures' 390
    symbols: tuple[str, ...] = ("BTCUSDT",)
    faults: tuple[str, ...] = ("all",)  # names of faults.py; "all", or none
    settings: tuple[str, ...] = ()  # as --set takes them, over the world's own
    is_told: bool = False  # keep a story


@dataclass(frozen=True)
class Verdict:
    """What became of a seed."""

    seed: int
    violation: str  # empty: none
    digest: int
    story: tuple[str, ...]
    fills: int
    orders: int
    pairs_opened: int
    struck: tuple[tuple[str, int], ...]  # how often each fault has struck
    suffered: tuple[str, ...]  # the kinds that the seed drew
    naked_ns_max: int  # the longest that a leg was naked although it could have been hedged
    steps: int
    simulated_s: float
    real_s: float


class World:
    """See the module."""

    def __init__(self, seed: int, parameters: WorldParameters | None = None) -> None:
        self.seed = seed
        self.parameters = parameters = parameters or WorldParameters()
        self.time = VirtualTime()
        self.story = Story(self.time, is_told=parameters.is_told)
        self.dice = Random(f"{seed}:world")
        maker_like = ("opens_as_maker=true",) if seed % 3 == 0 else ()
        self.settings = SETTINGS + tuple(f"strategy.pair_terms.{text}" for text in maker_like) + parameters.settings
        plan = plan_of(parameters.symbols, self.settings)
        sim = SimParameters()
        sim = replace(
            sim,
            generator=replace(sim.generator, seed=seed, symbols=parameters.symbols, density=parameters.density, swing_bps=4.0),
            funding=FundingParameters(seed=seed, interval_s=15, rate_e8=30_000, positive_share=0.8, regime_s=8),
            face=replace(sim.face, listen_key_life_ms=10_000, lifted_limits=frozenset({"CONNECTIONS"})),
        )
        self.exchange, face = open_exchange(sim, BIRTHDAY_NS)
        self.fault_plan = SwitchableFaults(seed)
        self.spot = SpotFace(self.exchange.spot, face, self.fault_plan)
        self.usdm = UsdmFace(self.exchange.usdm, face, self.fault_plan)
        faces: dict[str, Face] = {"spot": self.spot, "usdm": self.usdm}
        life_ns = 14 * SECOND  # The venue's 24 h.
        self.cloud = Cloud(self.time, Random(f"{seed}:network"), self.exchange, faces, self.story, life_ns)
        self.home = Path(tempfile.mkdtemp(prefix="world-", dir=_fast_directory()))
        self.house = House(plan, self.time, self.dice, self.cloud, self.story, self.home)
        self.house.after_pass = self._after_pass
        self.house.timer_ns = TIMER_NS if seed % 8 else FINE_TIMER_NS
        cores = {"binance_spot": self.exchange.spot, "binance_usdm": self.exchange.usdm}
        self.checks = Checks(self.house, cores, 1)
        self.faults = Faults(self, Random(f"{seed}:faults"), parameters.faults)
        self.operator_halted = False  # at any time of this run
        self.operator_restricted = False
        self._pairs_opened = 0
        self._calm_ns = 0  # since when nothing goes wrong any more: agreement means one that was asked for after it

    # -- the clockwork

    def _pump(self) -> None:
        now_ns = self.time.exchange_ns()
        self.exchange.advance(now_ns)
        self.exchange.notices.take()
        self.cloud.settle()
        wait_ns = self.exchange.next_due_ns() - now_ns
        self.time.after(min(max(wait_ns, PUMP_NS_MIN), PUMP_NS_MAX), self._pump)

    def _after_pass(self, shard: Shard) -> None:
        if shard.plan.kind == "prepost":
            self.checks.after_prepost(shard.role)

    def run_until(self, until_ns: int) -> None:
        """Lets the world go on until that time."""
        self.time.run(until_ns)

    def run_while(self, condition: Any, limit_ns: int) -> bool:
        """Lets it go on while the condition holds. True: it has ceased to hold."""
        until_ns = self.time.now_ns + limit_ns
        while condition():
            if self.time.now_ns >= until_ns:
                return False
            self.run_until(min(self.time.now_ns + 20 * MS, until_ns))
        return True

    # -- the run

    def run(self) -> Verdict:
        """The whole life of this seed."""
        started = time.perf_counter()
        violation = ""
        try:
            self._live()
        except Violation as error:
            violation = str(error)
        except Exception as error:  # A role's mistake is a violation like any other.
            where = traceback.extract_tb(error.__traceback__)[-1]
            violation = f"{type(error).__name__}: {error} ({Path(where.filename).name}:{where.lineno})"
            self.story.tell("world", traceback.format_exc())
        finally:
            self.close()
        orders = sum(len(core._accounts[1].orders) for core in (self.exchange.spot, self.exchange.usdm))
        fills = sum(len(core._accounts[1].fills) for core in (self.exchange.spot, self.exchange.usdm))
        return Verdict(
            self.seed,
            violation,
            self.cloud.digest,
            tuple(self.story.lines),
            fills,
            orders,
            self._pairs_opened,
            tuple(sorted(self.cloud.tally.items())),
            self.faults.names,
            self.checks.naked_ns_max,
            self.time.steps,
            (self.time.now_ns - BOOT_NS) / 1e9,
            time.perf_counter() - started,
        )

    def _live(self) -> None:
        self.begin()
        length_ns = int(self.parameters.seconds * SECOND)
        self.faults.begin(self.time.now_ns + length_ns)
        self.run_until(self.time.now_ns + length_ns)
        self.finish(is_flattening=bool(self.seed % 2))

    def begin(self) -> None:
        """From nothing to trading, in fine weather. Raises Violation."""
        self._pump()
        self.house.start()
        if not self.run_while(lambda: not self._may_trade(), WARM_NS_MAX):
            raise Violation(f"the house does not trade after {WARM_NS_MAX / 1e9:g} s of fine weather: {self._state()}")

    def finish(self, *, is_flattening: bool) -> None:
        """Fine weather, agreement, the way out, and the whole account. Raises Violation."""
        house = self.house
        self.faults.end()
        self._calm_ns = self.time.now_ns
        house.supervisor.revive()
        role = house.role("prepost")
        if role is not None:
            for run in role.settlement.runs.values():
                run.next_ns = min(run.next_ns, self.time.now_ns)  # Its period is over sooner: a seed need not wait for it.
        if not self.run_while(lambda: not self._has_agreed(), CALM_NS_MAX):
            raise Violation(f"no agreement {CALM_NS_MAX / 1e9:g} s after the last fault: {self._state()}")
        self._check_switch()
        if is_flattening:
            house.supervisor.control(ControlKind.FLATTEN, ("prepost",), "world")
        house.supervisor.control(ControlKind.STOP, ("prepost",), "world")
        if not self.run_while(lambda: not self._is_clean(), STOP_NS_MAX):
            raise Violation(f"not clean {STOP_NS_MAX / 1e9:g} s after the stop: {self._state()}")
        self._pairs_opened = house.role("prepost").desk.pairs_opened
        self._await_quiescence()
        self.checks.at_quiescence()
        self.faults.check_foreign()

    def _await_quiescence(self) -> None:
        """What is on its way arrives, and the journal has it. Raises Violation.

        Where a gap came in between (a session lost, a minute's weight used up), the venue has not been asked since: what it did
        meanwhile is known at the next agreement. Without a gap there is nothing to wait for, and nobody is asked again. A
        funding that the venue charges in the last moment is on its way, too.
        """
        limit_ns = self.time.now_ns + CALM_NS_MAX
        while True:
            charged = self._fundings_charged()
            self.run_until(self.time.now_ns + 500 * MS)
            if self._is_quiet() and self._fundings_charged() == charged:
                return
            if not self.run_while(lambda: not self._is_quiet(), limit_ns - self.time.now_ns):
                raise Violation(f"no agreement {CALM_NS_MAX / 1e9:g} s after a gap on the way out: {self._state()}")

    def close(self) -> None:
        """Lets go of the journal and its directory."""
        for shard in self.house.shards.values():
            shard.crash("the end")
        shutil.rmtree(self.home, ignore_errors=True)

    def _check_switch(self) -> None:
        text = self.checks.is_halted_by_itself(self.operator_halted)
        if text:
            raise Violation(f"{text}: {self._state()}")

    def supervise_nothing(self) -> None:
        """Every process of ours is gone at once."""
        for shard in self.house.shards.values():
            shard.crash("power cut")

    # -- questions

    def _fundings_charged(self) -> int:
        exchange: Any = self.exchange
        return sum(len(model.history) for model in exchange.usdm._funding.values())

    def _may_trade(self) -> bool:
        role = self.house.role("prepost")
        return role is not None and role.desk.is_reconciled

    def _has_agreed(self) -> bool:
        role = self.house.role("prepost")
        if role is None or self.house.role("engine") is None:
            return False
        desk = role.desk
        if desk.kill_switch.state == KillSwitch.HALTED and not self.operator_halted:
            return True  # By itself: _check_switch says so. An operator's halt is lifted at the end of the faults.
        runs = role.settlement.runs.values()
        return bool(desk.is_reconciled) and all(run.agreed_ns >= self._calm_ns for run in runs)

    def _is_clean(self) -> bool:
        role = self.house.role("prepost")
        return role is not None and role.stop.is_clean

    def _is_quiet(self) -> bool:
        """Clean, and every venue's private session is up and has agreed with our books since it came up."""
        role = self.house.role("prepost")
        return self._is_clean() and bool(role.desk.is_reconciled)

    def _state(self) -> str:
        role = self.house.role("prepost")
        if role is None:
            return "prepost is dead"
        desk = role.desk
        runs = [
            f"venue {run.venue}: agreed {run.is_agreed} running {run.is_running} waiting {len(run.waiting)}"
            f" disputes {list(run.disputes)} last {[str(each) for each in run.last][:3]}"
            for run in role.settlement.runs.values()
        ]
        live = [
            f"{order.client_order_id.decode()} state {order.state} {order.filled_lots}/{order.venue_filled_lots}"
            f"/{order.quantity_lots}"
            for order in desk.orders.unsettled.values()
        ]
        open_there = sum(not IS_TERMINAL[order.state] for order in desk.orders.unsettled.values())
        return (
            f"switch {desk.kill_switch.state}, halted {desk.kill_switch.is_halted}, sessions {desk.is_session_up},"
            f" stop phase {role.stop.phase}, pairs {[pair.state for pair in desk.pairs]}, live {open_there} {live[:4]}, {runs}"
        )


def run_seed(seed: int, parameters: WorldParameters) -> Verdict:
    """One seed; a failing one is run again for its story."""
    verdict = World(seed, parameters).run()
    if verdict.violation and not parameters.is_told:
        return World(seed, replace(parameters, is_told=True)).run()
    return verdict


def _fast_directory() -> str | None:
    """Memory, where there is some: a journal of a world need not survive the power cut of a real host."""
    return "/dev/shm" if Path("/dev/shm").is_dir() else None
