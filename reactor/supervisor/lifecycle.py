"""In which order the house starts, restarts and stops. Pure: it is told what happened and answers what to do next.

Start. A role is started when every role that it needs is ready.

    sim (if any), journal ─▶ engine ─▶ prepost ─▶ collector ─▶ feeds ─▶ live bots

Life of one role:

    DOWN ──start──▶ STARTING ──ready──▶ READY
      ▲                │  │ died            │ died, hung
      │ backoff over   │  ▼                 ▼
      └───────────── BACKOFF ◀──────────────┘         too many deaths ──▶ FAILED

What a death means for the rest is design §6: a dead feed, collector or journal writer is restarted; a dead prepost too
(the engine meanwhile cancels what is ours); a dead engine makes the supervisor cancel ours over REST at once. A role that
exceeds its restarts ends the session in order, except a feed while another feed still lives.

Stop. Each step ends when its condition holds or its time is over; the next step does not depend on the one before having
worked.

    DRAINING    prepost and the engine alive: REDUCE_ONLY, cancel ours, hedge, reconcile, confirm with the venue; one that has
                died is started again and waited for, within the same time: fills nobody heard are then still booked
    CONFIRMING  the supervisor asks the venue itself, cancels what is left, asks again
    LEAVING     live bots → feeds → collector → prepost → engine → journal: SIGTERM, then SIGKILL
    CLOSING     the simulated exchange leaves last, so that it can be asked until the end
    STOPPED
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import IntEnum, auto
from typing import Final

from reactor.config.system import RestartParameters, StopParameters

MS = 1_000_000
SECOND_NS = 1_000_000_000


class RoleState(IntEnum):
    """Where one role's process stands, as the supervisor sees it."""

    DOWN = auto()
    STARTING = auto()
    READY = auto()
    BACKOFF = auto()
    FAILED = auto()
    STOPPED = auto()


class RoleEvent(IntEnum):
    """What can happen to a role's process."""

    START = auto()
    BECAME_READY = auto()
    DIED = auto()
    BACKOFF_OVER = auto()
    LIMIT_REACHED = auto()
    STOP = auto()


S, E = RoleState, RoleEvent

TRANSITIONS: Final[Mapping[tuple[RoleState, RoleEvent], RoleState]] = {
    (S.DOWN, E.START): S.STARTING,
    (S.STARTING, E.BECAME_READY): S.READY,
    (S.STARTING, E.DIED): S.BACKOFF,
    (S.READY, E.DIED): S.BACKOFF,
    (S.BACKOFF, E.BACKOFF_OVER): S.DOWN,
    (S.BACKOFF, E.LIMIT_REACHED): S.FAILED,
    (S.DOWN, E.STOP): S.STOPPED,
    (S.STARTING, E.STOP): S.STOPPED,
    (S.READY, E.STOP): S.STOPPED,
    (S.BACKOFF, E.STOP): S.STOPPED,
    (S.FAILED, E.STOP): S.FAILED,  # It stays visible why the session ended.
    (S.STOPPED, E.STOP): S.STOPPED,
    (S.STOPPED, E.DIED): S.STOPPED,  # A death that was asked for.
}

NEEDS: Final[Mapping[str, tuple[str, ...]]] = {
    "sim": (),
    "journal": (),
    "engine": ("sim", "journal"),
    "prepost": ("engine",),
    "collector": ("prepost",),
    "feed": ("collector",),
    "live_bot": ("feed",),
}
"""By kind: every role of these kinds must be ready first. A kind that the plan does not have counts as ready."""

DRAINERS: Final = ("engine", "prepost")
RESTARTED_IN_STOP: Final = ("journal", *DRAINERS)
"""Kinds that a stop starts again: nothing opens any more, but what was filled is still to be heard, booked and written."""
STOP_ORDER: Final = ("live_bot", "feed", "collector", "prepost", "engine", "journal")


class Consequence(IntEnum):
    """What a death asks of the supervisor besides the restart."""

    NOTHING = auto()
    CANCEL_OURS = auto()  # over REST, at once, by itself
    END_SESSION = auto()


@dataclass
class RoleLife:
    """One role's place in the table, with what the restart policy remembers."""

    name: str
    kind: str
    state: RoleState = RoleState.DOWN
    incarnation: int = 0
    since_ns: int = 0
    due_ns: int = 0
    deaths_ns: list[int] = field(default_factory=list)
    deaths: int = 0

    def apply(self, event: RoleEvent, now_ns: int) -> bool:
        """Changes the state as TRANSITIONS says; False: the table has no such line, nothing changed."""
        target = TRANSITIONS.get((self.state, event))
        if target is None:
            return False
        if target != self.state:
            self.since_ns = now_ns
        self.state = target
        return True


class Lifecycle:
    """All roles of the plan."""

    def __init__(self, roles: Sequence[tuple[str, str]], parameters: RestartParameters) -> None:
        """`roles` are (name, kind) in any order."""
        self.roles = {name: RoleLife(name, kind) for name, kind in roles}
        self._parameters = parameters

    def due_starts(self, now_ns: int) -> list[str]:
        """Roles that may be started now. After starting one, call `on_started`."""
        for life in self.roles.values():
            if life.state == RoleState.BACKOFF and now_ns >= life.due_ns:
                life.apply(RoleEvent.BACKOFF_OVER, now_ns)
        return [life.name for life in self.roles.values() if life.state == RoleState.DOWN and self._is_unblocked(life)]

    def _is_unblocked(self, life: RoleLife) -> bool:
        if life.incarnation:
            return True  # The gate is for the first start; a restarted role finds the others alive or waits for them itself.
        return all(other.state == RoleState.READY for need in self._needs(life.kind) for other in self._of_kind(need))

    def _needs(self, kind: str) -> Iterable[str]:
        """The nearest kinds that the plan has: a missing kind hands its own needs on."""
        for need in NEEDS[kind]:
            if any(True for _ in self._of_kind(need)):
                yield need
            else:
                yield from self._needs(need)

    def _of_kind(self, kind: str) -> Iterable[RoleLife]:
        return (life for life in self.roles.values() if life.kind == kind)

    def on_started(self, name: str, now_ns: int) -> None:
        """The process runs."""
        life = self.roles[name]
        life.incarnation += 1
        assert life.apply(RoleEvent.START, now_ns), f"{name} was started from state {life.state.name}"

    def on_ready(self, name: str, now_ns: int) -> bool:
        """The readiness gate is open. True the first time of this incarnation."""
        return self.roles[name].apply(RoleEvent.BECAME_READY, now_ns)

    def on_died(self, name: str, now_ns: int, *, is_config: bool = False) -> Consequence:
        """The process is gone, or was killed because it hung. Arms the backoff or gives up.

        `is_config`: it says that its configuration is the reason. At its first start it will say so every time.
        """
        life = self.roles[name]
        if life.state in (RoleState.STOPPED, RoleState.FAILED) or not life.apply(RoleEvent.DIED, now_ns):
            return Consequence.NOTHING
        parameters = self._parameters
        life.deaths += 1
        life.deaths_ns = [then for then in life.deaths_ns if now_ns - then <= parameters.window_s * SECOND_NS] + [now_ns]
        count = len(life.deaths_ns)
        is_hopeless = is_config and life.incarnation == 1
        if life.kind == "sim" or count > parameters.deaths_max or is_hopeless:  # A market that restarts is another market.
            life.apply(RoleEvent.LIMIT_REACHED, now_ns)
            others = [other for other in self._of_kind(life.kind) if other.state in (RoleState.READY, RoleState.STARTING)]
            if life.kind == "live_bot" and not is_hopeless:
                return Consequence.NOTHING  # Its orders are gone (prepost watches); the others trade on.
            if life.kind != "feed" or not others:
                return Consequence.END_SESSION
            return Consequence.NOTHING
        life.due_ns = now_ns + min(parameters.backoff_ms << (count - 1), parameters.backoff_ms_max) * MS
        return Consequence.CANCEL_OURS if life.kind == "engine" else Consequence.NOTHING

    def hung(self, heartbeats_ns: Mapping[str, int], now_ns: int) -> list[str]:
        """Roles that must be killed: no heartbeat for too long, or not ready in time."""
        parameters = self._parameters
        found = []
        for life in self.roles.values():
            if life.kind == "sim":
                continue
            if life.state == RoleState.READY:
                beat_ns = max(heartbeats_ns.get(life.name, 0), life.since_ns)
                if now_ns - beat_ns > parameters.heartbeat_age_ms_max * MS:
                    found.append(life.name)
            elif life.state == RoleState.STARTING and now_ns - life.since_ns > parameters.start_time_max_s * SECOND_NS:
                found.append(life.name)
        return found

    def is_running(self) -> bool:
        """Every role is ready."""
        return all(life.state == RoleState.READY for life in self.roles.values())

    def is_alive(self, kind: str) -> bool:
        """Some role of this kind is ready."""
        return any(life.state == RoleState.READY for life in self._of_kind(kind))

    def is_returning(self, kind: str) -> bool:
        """A role of this kind has died and will be ready again, unless it gives up."""
        states = (RoleState.BACKOFF, RoleState.DOWN, RoleState.STARTING)
        return any(life.deaths > 0 and life.state in states for life in self._of_kind(kind))

    def can_drain(self) -> bool:
        """Who brings our books to the end is there."""
        return all(self.is_alive(kind) for kind in DRAINERS)

    def may_drain(self) -> bool:
        """Who brings our books to the end is there, or will be."""
        return all(self.is_alive(kind) or self.is_returning(kind) for kind in DRAINERS)

    def stop_order(self) -> list[str]:
        """Names in the order of leaving, the simulated exchange excepted. `on_stop` makes each death one that was asked for."""
        return [life.name for kind in STOP_ORDER for life in self._of_kind(kind)]

    def on_stop(self, name: str, now_ns: int) -> None:
        """The role is told to leave."""
        self.roles[name].apply(RoleEvent.STOP, now_ns)


class StopStep(IntEnum):
    """Steps of the stop sequence, in order."""

    DRAINING = auto()
    CONFIRMING = auto()
    LEAVING = auto()
    CLOSING = auto()
    STOPPED = auto()


SETTLE_MS: Final = 100  # Until prepost has surely heard that an engine that came back has its sessions up.


@dataclass
class StopSequence:
    """Where the stop stands. `advance` is told the facts and answers the step to be in."""

    parameters: StopParameters
    is_flatten: bool
    started_ns: int
    step: StopStep = StopStep.DRAINING
    is_drained: bool = False  # prepost itself confirmed in time
    settled_ns: int = 0  # from when on prepost's word is one of now; later than `started_ns` where somebody was missing

    @property
    def limit_ms(self) -> int:
        """How long DRAINING may take."""
        return self.parameters.flatten_ms if self.is_flatten else self.parameters.drain_ms

    def advance(self, can_drain: bool, is_clean: bool, now_ns: int, *, may_drain: bool = False) -> StopStep:
        """Leaves DRAINING when prepost says that the venue confirmed, cannot say so any more, or its time is over.

        `can_drain`: prepost and the engine are there; `may_drain`: who is missing of them is being started again. The later
        steps are actions of the supervisor and are ended by `done`.
        """
        if self.step == StopStep.DRAINING:
            if not can_drain:
                self.settled_ns = now_ns + SETTLE_MS * MS
            self.is_drained = can_drain and is_clean and now_ns >= self.settled_ns
            is_hopeless = not can_drain and not may_drain
            if self.is_drained or is_hopeless or now_ns - self.started_ns > self.limit_ms * MS:
                self.step = StopStep.CONFIRMING
        return self.step

    def done(self, step: StopStep) -> StopStep:
        """The supervisor has carried out `step`."""
        assert step == self.step, f"step {step.name} ended while in {self.step.name}"
        assert step != StopStep.STOPPED, "nothing follows the last step"
        self.step = StopStep(step + 1)
        return self.step
