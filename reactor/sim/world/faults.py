"""What goes wrong and when: each seed draws its own mixture of kinds, and its own moments.

A seed does not suffer everything: about half of the kinds are left out, because one loud fault hides the quiet ones.
Whatever strikes is counted by its name (`Cloud.tally`): a fault that never strikes tests nothing.
"""

from collections.abc import Callable
from dataclasses import replace
from random import Random
from typing import TYPE_CHECKING, Any, Final

from reactor.domain.messages import ControlKind
from reactor.sim.events import Placed, Refusal
from reactor.sim.faces.streams import Frame
from reactor.sim.faults import GOOD_REQUEST, FaultParameters, FaultPlan, RequestFate
from reactor.sim.venue import Fields, VenueCore
from reactor.sim.world.checks import Violation
from reactor.sim.world.house import LOGON_KEY, plan_of
from reactor.sim.world.time import MS, SECOND

if TYPE_CHECKING:
    from reactor.sim.world.world import World

SHARE: Final = 0.5  # of all kinds that a seed suffers
LEAVE_NS: Final = 4_500 * MS  # See reactor/loop/shard.py: ORPHAN_TIME_MAX_NS.
FOREIGN_ID: Final = "stranger-1"
# The market took it, or, where the price fell through it, the venue ended its rest against an order of ours (self-trade
# prevention, EXPIRE_MAKER): the venue's rule for two orders of one account, which no client can decline.
UNTOUCHED: Final = ("NEW", "PARTIALLY_FILLED", "FILLED", "EXPIRED_IN_MATCH")
EXCUSE_NS: Final = 4 * SECOND  # After a request about an order was struck: its outcome is asked for, its hedge tried again.
LOGON_NS: Final = 10 * SECOND
FAULTS: Final = (
    "spikes", "drops", "duplicates", "reorders", "stale_snapshots", "cuts", "refused", "lost_answers",
    "executes_without_answer", "busy", "bans", "slow", "rejects", "drift", "stranger",
    "kill_feed", "kill_collector", "kill_prepost", "kill_engine", "kill_journal", "kill_two", "cut_all", "outage", "pause",
    "clock_jump", "listen_key", "logon_expiry", "symbol_halt", "price_gap", "funding_flip", "reload", "operator", "power_cut",
    "supervisor_death", "liquidation", "deleveraging",
)  # fmt: skip
COUNTED_LATER: Final = ("liquidation", "deleveraging", "power_cut")  # when there is something to lose
POWER_NS_MAX: Final = 3 * SECOND
BESIDE: Final = ("rotation", "torn_journal")  # also counted: every seed has the first, power cuts bring the second
RELOADS: Final = (
    (),
    ("risk_control.cooldown_s=0.4",),
    ("strategy.triggers.mt.percentile_min=0.6", "risk_control.cooldown_s=0.2"),
)
TALKING: Final = ("prepost", "collector")
STREAM_ENDED: Final = b'{"event":{"e":"eventStreamTerminated","E":1790000000000}}'

# How the venues word a refusal of a new order (facts of the two APIs), by venue: every reason that the rules map.
SPOT_REFUSALS: Final = (
    (-1000, "An unknown error occurred while processing the request."),
    (-1001, "Internal error; unable to process your request. Please try again."),
    (-1003, "Too much request weight used; current limit is 6000 request weight per 1 MINUTE."),
    (-1006, "An unexpected response was received from the message bus. Execution status unknown."),
    (-1007, "Timeout waiting for response from backend server. Send status unknown; execution status unknown."),
    (-1008, "Server is currently overloaded with other requests. Please try again in a few minutes."),
    (-1013, "Filter failure: LOT_SIZE"),
    (-1013, "Filter failure: PRICE_FILTER"),
    (-1013, "Filter failure: NOTIONAL"),
    (-1013, "Filter failure: PERCENT_PRICE_BY_SIDE"),
    (-1013, "Filter failure: MAX_NUM_ORDERS"),
    (-1015, "Too many new orders; current limit is 50 orders per TEN_SECONDS."),
    (-1016, "This service is no longer available."),
    (-1021, "Timestamp for this request is outside of the recvWindow."),
    (-1111, "Parameter 'quantity' has too much precision."),
    (-2010, "Account has insufficient balance for requested action."),
    (-2010, "Order would immediately match and take."),
    (-2010, "Market is closed."),
    (-2010, "This symbol is not permitted for this account."),
)
USDM_REFUSALS: Final = (
    (-1000, "An unknown error occurred while processing the request."),
    (-1001, "Internal error; unable to process your request. Please try again."),
    (-1003, "Too many requests; current limit is 2400 requests per minute."),
    (-1006, "An unexpected response was received from the message bus. Execution status unknown."),
    (-1007, "Timeout waiting for response from backend server. Send status unknown; execution status unknown."),
    (-1008, "Request throttled by system-level protection."),
    (-1015, "Too many new orders; current limit is 300 orders per TEN_SECONDS."),
    (-1021, "Timestamp for this request is outside of the recvWindow."),
    (-1111, "Precision is over the maximum defined for this asset."),
    (-2019, "Margin is insufficient."),
    (-2022, "ReduceOnly Order is rejected."),
    (-2025, "Reach max open order limit."),
    (-2027, "Exceeded the maximum allowable position at current leverage."),
    (-4131, "The counterparty's best price does not meet the PERCENT_PRICE filter limit."),
    (-4140, "Invalid symbol status for opening position."),
    (-4164, "Order's notional must be no smaller than 100 (unless you choose reduce only)."),
    (-5021, "Due to the order could not be filled immediately, the FOK order has been rejected."),
    (-5022, "Due to the order could not be executed as maker, the Post Only order will be rejected."),
    (-5028, "The requests' timestamp is outside of the recvWindow of the matching engine."),
)


NAME_OF_FATE: Final = {"ok": "slow", "busy": "busy", "banned": "bans"}


class SwitchableFaults(FaultPlan):
    """The exchange's own misbehaviour, off until the world switches it on."""

    def __init__(self, seed: int) -> None:
        super().__init__(FaultParameters(seed=seed))
        self.on_struck: Callable[[str], None] = lambda name: None

    def request(self, *, is_order: bool, is_exempt: bool = False) -> RequestFate:
        """As FaultPlan.request, and told to who counts."""
        fate = super().request(is_order=is_order, is_exempt=is_exempt)
        if fate is not GOOD_REQUEST:
            name = NAME_OF_FATE.get(fate.kind, "executes_without_answer")
            if fate.kind != "ok" or fate.delay_ns:
                self.on_struck(name)
        return fate

    def switch(self, parameters: FaultParameters) -> None:
        """From now on."""
        market, user, requests, delays = self._market, self._user, self._requests, self._delays
        super().__init__(parameters)
        self._market, self._user, self._requests, self._delays = market, user, requests, delays


class Refusals:
    """Stands before a venue's matching and refuses some new orders without effect, or a symbol altogether."""

    def __init__(
        self, core: VenueCore, rows: tuple[tuple[int, str], ...], dice: Random, on_struck: Callable[[str], None]
    ) -> None:
        self.place_unhindered = core.place
        self._on_struck = on_struck
        self._rows = rows
        self._dice = dice
        self.rate = 0.0
        self.is_halted = False
        setattr(core, "place", self.place)  # noqa: B010  # The one door that both kinds of request come through.

    def place(self, account_id: int, fields: Fields, now_ns: int, *, is_test: bool = False) -> Placed | Refusal:
        """As VenueCore.place."""
        if self.is_halted:
            self._on_struck("symbol_halt")
            return Refusal(-1013 if self._rows is SPOT_REFUSALS else -4140, "Market is closed.")
        if self.rate and self._dice.random() < self.rate:
            self._on_struck("rejects")
            code, text = self._rows[int(self._dice.random() * len(self._rows))]
            status = 503 if code in (-1001, -1008) else 429 if code in (-1003, -1015) else 400
            return Refusal(code, text, status)
        return self.place_unhindered(account_id, fields, now_ns, is_test=is_test)


class Faults:
    """The mixture of one seed."""

    def __init__(self, world: "World", dice: Random, names: tuple[str, ...]) -> None:
        self._world = world
        self._dice = dice
        self.tally = world.cloud.tally
        spot, usdm = world.exchange.spot, world.exchange.usdm
        self._refusals = tuple(
            Refusals(core, rows, dice, self._struck_an_order) for core, rows in ((spot, SPOT_REFUSALS), (usdm, USDM_REFUSALS))
        )
        world.fault_plan.on_struck = self._struck_a_request
        world.cloud.excuse = self._excuse
        self._exchange_faults = FaultParameters(seed=world.seed)
        self._until_ns = 0
        self._is_over = True
        self._is_liquidated = False
        self._moments: dict[str, Callable[[], None]] = {
            "kill_feed": lambda: self._kill("feed-0"),
            "kill_collector": lambda: self._kill("collector"),
            "kill_prepost": lambda: self._kill("prepost"),
            "kill_engine": lambda: self._kill("engine"),
            "kill_journal": lambda: self._kill("journal"),
            "kill_two": self._kill_two,
            "cut_all": self._cut_all,
            "outage": self._outage,
            "pause": self._pause,
            "clock_jump": self._clock_jump,
            "listen_key": self._listen_key,
            "logon_expiry": self._logon_expiry,
            "symbol_halt": self._symbol_halt,
            "price_gap": self._price_gap,
            "funding_flip": self._funding_flip,
            "reload": self._reload,
            "operator": self._operator,
            "power_cut": self._power_cut,
            "supervisor_death": self._supervisor_death,
            "liquidation": lambda: self._force_close(has_fee=True),
            "deleveraging": lambda: self._force_close(has_fee=False),
        }
        self._states: dict[str, Callable[[], None]] = {
            "spikes": lambda: self._weather("spike_rate", 0.002, 0.05),
            "drops": lambda: self._weather("drop_rate", 0.001, 0.05),
            "duplicates": lambda: self._weather("duplicate_rate", 0.01, 0.3),
            "reorders": lambda: self._weather("reorder_rate", 0.001, 0.05),
            "stale_snapshots": lambda: self._weather("stale_rate", 0.1, 1.0),
            "cuts": lambda: self._weather("cut_rate", 0.0002, 0.003),
            "refused": lambda: self._weather("refuse_rate", 0.01, 0.3),
            "lost_answers": lambda: self._weather("lose_rate", 0.01, 0.3),
            "executes_without_answer": lambda: self._exchange("answer_lost_rate", 0.05, 0.6),
            "busy": lambda: self._exchange("busy_rate", 0.05, 0.6),
            "bans": lambda: self._exchange("ban_rate", 0.001, 0.03),
            "slow": lambda: self._exchange("latency_ms_mean", 1.0, 2_000.0),  # Up to what a starved host makes of a venue.
            "rejects": self._rejects,
            "drift": self._drift,
            "stranger": self._stranger,
        }
        assert (*self._states, *self._moments) == FAULTS, "every fault has its name in the list"
        self.names = self._choose(names)
        if "logon_expiry" in self.names:
            world.house.key = LOGON_KEY

    def _choose(self, names: tuple[str, ...]) -> tuple[str, ...]:
        if names in ((), ("none",)):
            return ()
        if "all" in names:
            return tuple(name for name in FAULTS if self._dice.random() < SHARE)
        return tuple(name for name in FAULTS if name in names)

    # -- the course

    def begin(self, until_ns: int) -> None:
        """States are switched on, moments are spread over the time until `until_ns`."""
        self._until_ns = until_ns
        self._is_over = False
        now_ns = self._world.time.now_ns
        self._tell("faults: " + (", ".join(self.names) or "none"))
        for name in self.names:
            if name in self._states:
                self._states[name]()
                continue
            for _ in range(1 + int(self._dice.random() * 2.5)):
                at_ns = now_ns + int(self._dice.random() ** 0.8 * (until_ns - now_ns))
                self._world.time.at(at_ns, self._strike, name)
        self._world.fault_plan.switch(self._exchange_faults)

    def end(self) -> None:
        """Fine weather again; what is broken is repaired by its owners."""
        world = self._world
        self._is_over = True
        world.cloud.weather.calm()
        world.cloud.outages.clear()
        world.fault_plan.switch(FaultParameters(seed=world.seed))
        for refusals in self._refusals:
            refusals.rate = 0.0
            refusals.is_halted = False
        world.house.clock.drift_ppm = 0.0
        for shard in world.house.shards.values():
            shard.resume()
        if world.operator_restricted:
            world.operator_restricted = False
            world.house.supervisor.control(ControlKind.RESUME, ("prepost",))
        self._tell("faults are over")

    def check_foreign(self) -> None:
        """Somebody else's orders are as they were, or the market has filled them. Raises Violation."""
        if "stranger" not in self.names:
            return
        world = self._world
        for core in (world.exchange.spot, world.exchange.usdm):
            if core is world.exchange.usdm and self._is_liquidated:
                continue  # A liquidation cancels what is open: the venue did it.
            orders = core._accounts[1].orders.values()
            if not any(order.client_order_id == FOREIGN_ID and order.status in UNTOUCHED for order in orders):
                raise Violation(f"the stranger's order on {core.product} is gone")

    def _strike(self, name: str) -> None:
        if not self._is_over:
            if name not in COUNTED_LATER:
                self.tally[name] += 1
            self._tell(f"fault: {name}")
            self._moments[name]()

    def _tell(self, text: str) -> None:
        self._world.story.tell("world", f"** {text}")

    def _between(self, low: float, high: float) -> float:
        """Small values as likely as large ones."""
        return float(low * (high / low) ** self._dice.random())

    def _excuse(self) -> None:
        self._world.checks.excuse(EXCUSE_NS)

    def _struck_a_request(self, name: str) -> None:
        self.tally[name] += 1
        if name != "slow":
            self._excuse()

    def _struck_an_order(self, name: str) -> None:
        self.tally[name] += 1
        self._excuse()

    # -- states

    def _weather(self, name: str, low: float, high: float) -> None:
        setattr(self._world.cloud.weather, name, self._between(low, high))

    def _exchange(self, name: str, low: float, high: float) -> None:
        changes: dict[str, Any] = {name: self._between(low, high)}
        self._exchange_faults = replace(self._exchange_faults, **changes)
        if name == "ban_rate":
            self._exchange_faults = replace(self._exchange_faults, ban_ms=self._between(200, 3_000))

    def _rejects(self) -> None:
        for refusals in self._refusals:
            refusals.rate = self._between(0.02, 0.5)

    def _drift(self) -> None:
        self.tally["drift"] += 1
        self._world.house.clock.drift_ppm = (self._dice.random() - 0.5) * 2_000

    def _stranger(self) -> None:
        """Somebody else trades on the same account: orders far from the market, with ids that are not ours."""
        world = self._world
        self.tally["stranger"] += 1
        now_ns = world.time.exchange_ns()
        symbol = world.parameters.symbols[0]
        for core, refusals in zip((world.exchange.spot, world.exchange.usdm), self._refusals, strict=True):
            price = core.symbols[symbol].price_text(int(core.mid_e8(symbol) * 0.97) // core.symbols[symbol].tick_e8)
            fields = {"symbol": symbol, "side": "BUY", "type": "LIMIT", "timeInForce": "GTC"}
            fields |= {"quantity": "0.01", "price": price, "newClientOrderId": FOREIGN_ID}
            answer = refusals.place_unhindered(1, fields, now_ns)
            assert isinstance(answer, Placed), f"the stranger's order was refused: {answer}"
        world.cloud.settle()

    # -- moments

    def _kill(self, name: str) -> None:
        down_ns = int(self._between(50, 4_000) * MS)
        self._world.house.supervisor.crash(name, "kill -9", down_ns)

    def _kill_two(self) -> None:
        names = list(self._world.house.shards)
        self._kill(names[int(self._dice.random() * len(names))])
        second = names[int(self._dice.random() * len(names))]
        self._world.time.after(int(self._dice.random() * 400 * MS), self._kill_later, second)

    def _kill_later(self, name: str) -> None:
        if not self._is_over:
            self._kill(name)

    def _cut_all(self) -> None:
        host = ("spot", "usdm", "")[int(self._dice.random() * 3)]
        kind = ("", "ws-api", "ws-fapi", "private", "stream")[int(self._dice.random() * 5)]
        count = self._world.cloud.cut(host, kind)
        self._tell(f"{count} connections to {host or 'everybody'} {kind} are cut")

    def _outage(self) -> None:
        hosts = (("spot",), ("usdm",), ("spot", "usdm"))[int(self._dice.random() * 3)]
        length_ns = int(self._between(50, 6_000) * MS)
        for host in hosts:
            self._world.cloud.outages[host] = self._world.time.now_ns + length_ns
        self._tell(f"nobody reaches {', '.join(hosts)} for {length_ns // MS} ms")

    def _pause(self) -> None:
        names = list(self._world.house.shards)
        name = names[int(self._dice.random() * len(names))]
        length_ns = int(self._between(2, 3_000) * MS)
        self._tell(f"{name} is not scheduled for {length_ns // MS} ms")
        self._world.house.shards[name].pause(length_ns)

    def _clock_jump(self) -> None:
        ns = int((self._dice.random() - 0.5) * 2 * self._between(10, 10_000) * MS)
        self._tell(f"the host's wall clock jumps by {ns // MS} ms")
        self._world.house.clock.jump(ns)

    def _listen_key(self) -> None:
        self._world.usdm.listen_keys.stop(1)

    def _logon_expiry(self) -> None:
        """A venue forgets who has logged on (a key's rights changed, a server was replaced); perhaps it ends the events too."""
        # The next request on each session finds out, and a question about an unknown order waits up to 5 s for its turn again.
        self._world.checks.excuse(LOGON_NS)
        ends_events = self._dice.random() < 0.5
        for face in (self._world.spot, self._world.usdm):
            for session in list(face.messages.sessions.values()):
                if session.key is None:
                    continue
                session.key = None
                session.authorized_ns = 0
                if ends_events and session.subscriptions:
                    session.subscriptions.clear()
                    session.socket.send(STREAM_ENDED, Frame.USER)

    def _price_gap(self) -> None:
        """The market opens somewhere else: through resting orders, stops and collars; now and then on one venue first."""
        share = self._between(0.001, 0.04) * (1 if self._dice.random() < 0.5 else -1)
        source: Any = self._world.exchange._source
        for pair in source._pairs:
            pair._price *= 1.0 + share
            if self._dice.random() < 0.3:
                pair._swing += share * 1e4  # The perpetual has gone twice as far, and comes back.
        self._tell(f"the price jumps by {share * 100:.2f} %")

    def _funding_flip(self) -> None:
        """Who was paid, pays."""
        world: Any = self._world
        now_ns = world.time.exchange_ns()
        for model in world.exchange.usdm._funding.values():
            positive_share = 0.0 if model.rate_e8(now_ns) > 0 else 1.0
            model._parameters = replace(model._parameters, positive_share=positive_share)

    def _symbol_halt(self) -> None:
        refusals = self._refusals[int(self._dice.random() * 2)]
        length_ns = int(self._between(100, 5_000) * MS)
        refusals.is_halted = True

        def over() -> None:
            refusals.is_halted = False

        self._world.time.after(length_ns, over)

    def _reload(self) -> None:
        """Other settings, for everybody at once; as a supervisor does it, roles that start later have them too."""
        world = self._world
        settings = world.settings + RELOADS[int(self._dice.random() * len(RELOADS))]
        world.house.read_parameters(plan_of(world.parameters.symbols, settings))
        feeds = tuple(name for name in world.house.shards if name.startswith("feed"))
        world.house.supervisor.control(ControlKind.RELOAD, (*TALKING, *feeds), "world", self.tally["reload"])

    def _operator(self) -> None:
        world = self._world
        kind = (ControlKind.HALT, ControlKind.REDUCE_ONLY, ControlKind.CANCEL_ALL)[int(self._dice.random() * 3)]
        world.house.supervisor.control(kind, ("prepost",))
        if kind != ControlKind.CANCEL_ALL:
            world.operator_restricted = True
            world.operator_halted = world.operator_halted or kind == ControlKind.HALT
            world.time.after(int(self._between(100, 5_000) * MS), self._resume)

    def _resume(self) -> None:
        self._world.house.supervisor.control(ControlKind.RESUME, ("prepost",))

    def _power_cut(self) -> None:
        """Everything of ours goes dark; of the journal's last second only a part has reached the disk, perhaps a torn one."""
        world = self._world
        path = world.house.journal_path
        if any(shard.role is None for shard in world.house.shards.values()):
            return
        kept = {}
        for suffix in ("", "-wal"):
            file = path.with_name(path.name + suffix)
            if file.exists():
                kept[suffix] = file.read_bytes()
        starts = world.house.shards["prepost"].incarnation
        self._await_news(kept, starts, world.time.now_ns + POWER_NS_MAX)

    def _await_news(self, kept: dict[str, bytes], starts: int, until_ns: int) -> None:
        """The cut comes while the journal is being written, if it is: a quiet journal has nothing to lose."""
        world = self._world
        path = world.house.journal_path
        wal = path.with_name(path.name + "-wal")
        size = wal.stat().st_size if wal.exists() else 0
        if size == len(kept.get("-wal", b"")) and world.time.now_ns < until_ns:
            world.time.after(10 * MS, self._await_news, kept, starts, until_ns)
            return
        world.time.after(int(self._dice.random() ** 2 * 500 * MS), self._go_dark, kept, starts)

    def _go_dark(self, kept: dict[str, bytes], starts: int) -> None:
        world = self._world
        shards = world.house.shards
        if self._is_over or shards["prepost"].incarnation != starts or any(shard.role is None for shard in shards.values()):
            return
        path = world.house.journal_path
        wal = path.with_name(path.name + "-wal")
        now_wal = wal.read_bytes() if wal.exists() else b""
        world.supervise_nothing()
        old_wal = kept.get("-wal", b"")
        if now_wal.startswith(old_wal) and path.read_bytes() == kept[""]:
            size = len(old_wal) + int(self._dice.random() * (len(now_wal) - len(old_wal) + 1))
            old_wal = now_wal[:size]
        path.write_bytes(kept[""])
        wal.write_bytes(old_wal)
        shm = path.with_name(path.name + "-shm")
        shm.unlink(missing_ok=True)
        self.tally["power_cut"] += 1
        self.tally["torn_journal"] += len(now_wal) > len(old_wal)
        self._tell(f"power cut: {len(now_wal) - len(old_wal)} bytes of the journal's log are lost")
        world.time.after(int(self._between(300, 3_000) * MS), world.house.supervisor.revive)

    def _supervisor_death(self) -> None:
        """Its children notice: the engine cancels ours and leaves, the others just leave. Somebody starts it again."""
        world = self._world
        engine = world.house.shards["engine"]
        if engine.role is None:
            return
        for name, shard in world.house.shards.items():
            if name != "engine" and shard.role is not None:
                shard.crash("the supervisor is gone")
        role: Any = engine.role
        role.on_orphaned(world.time.now_ns)
        self._leave(engine.incarnation, world.time.now_ns + LEAVE_NS)

    def _leave(self, incarnation: int, until_ns: int) -> None:
        world = self._world
        engine = world.house.shards["engine"]
        role: Any = engine.role
        if role is None or engine.incarnation != incarnation:
            world.time.after(300 * MS, world.house.supervisor.revive)
            return
        if role.is_drained() or world.time.now_ns >= until_ns:
            engine.crash("drained: leaves")
            world.time.after(300 * MS, world.house.supervisor.revive)
            return
        world.time.after(5 * MS, self._leave, incarnation, until_ns)

    def _force_close(self, *, has_fee: bool) -> None:
        """The venue closes a futures position of ours by force: a liquidation, or auto-deleveraging, which costs no fee."""
        world = self._world
        core: Any = world.exchange.usdm
        account = core._accounts[1]
        positions = [position for position in account.positions.values() if position.amount_lots]
        if self._is_over:
            return
        if not positions:
            world.time.after(50 * MS, lambda: self._force_close(has_fee=has_fee))
        else:
            self._is_liquidated = True
            self.tally["liquidation" if has_fee else "deleveraging"] += 1
            rules = positions[0].rules
            fee_e6 = rules.liquidation_fee_e6
            if not has_fee:
                object.__setattr__(rules, "liquidation_fee_e6", 0)
            core._liquidate(account, positions[:1], world.time.exchange_ns())
            object.__setattr__(rules, "liquidation_fee_e6", fee_e6)
            world.cloud.settle()
