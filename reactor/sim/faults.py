"""How the simulated exchange misbehaves: one seed, one plan, asked at each opportunity.

The shell asks before it sends or answers and does what the plan says; the plan itself touches nothing. Each kind of question
has a stream of dice of its own, so that switching one fault on does not move the others.
"""

import random
from dataclasses import dataclass
from typing import Final, Literal

MS: Final = 1_000_000

RequestKind = Literal["ok", "busy", "lost_timeout", "lost_unknown", "lost_cut", "banned"]
LOST_KINDS: Final[tuple[RequestKind, ...]] = ("lost_timeout", "lost_unknown", "lost_cut")


@dataclass(frozen=True)
class FaultParameters:
    """Probabilities per opportunity (0 … 1), times in ms. All zero: the exchange behaves."""

    seed: int = 1
    latency_ms_mean: float = 0.0  # Added to every answer and event; exponential.
    latency_ms_max: float = 1_000.0
    drop_rate: float = 0.0  # A market message vanishes (the session stays): a gap for its receiver.
    duplicate_rate: float = 0.0  # A market or user message is sent twice.
    reorder_rate: float = 0.0  # A market message is overtaken by its successor.
    answer_lost_rate: float = 0.0  # An order request executes, the answer is 5xx / -1007, or the connection closes.
    busy_rate: float = 0.0  # An order request is refused without effect: -1008 / 503.
    disconnect_rate: float = 0.0  # Per message sent: the connection is cut.
    ban_rate: float = 0.0  # Per REST request: 418 for `ban_ms`.
    ban_ms: float = 2_000.0
    clock_skew_ms: float = 0.0  # The exchange's clock minus the host's.

    def __post_init__(self) -> None:
        for name in ("drop", "duplicate", "reorder", "answer_lost", "busy", "disconnect", "ban"):
            rate = getattr(self, name + "_rate")
            if not 0.0 <= rate <= 1.0:
                raise ValueError(f"{name}_rate is a probability between 0 and 1, not {rate}")


@dataclass(frozen=True, slots=True)
class MessageFate:
    """What becomes of one outgoing WebSocket message."""

    delay_ns: int = 0
    copies: int = 1  # 0: dropped, 2: duplicated
    is_overtaken: bool = False  # Send it after the next one.
    disconnect: bool = False  # Cut the connection instead.


@dataclass(frozen=True, slots=True)
class RequestFate:
    """What becomes of one request.

    `kind`: "ok"; "busy": refuse, no effect; "lost_timeout": execute, answer -1007 / 408; "lost_unknown": execute, answer 503
    "Unknown error…"; "lost_cut": execute, cut the connection; "banned": 418, no effect, until `banned_for_ns` from now.
    """

    delay_ns: int = 0
    kind: RequestKind = "ok"
    banned_for_ns: int = 0


GOOD_MESSAGE: Final = MessageFate()
GOOD_REQUEST: Final = RequestFate()


class FaultPlan:
    """Deterministic: the same seed and the same sequence of questions give the same answers."""

    def __init__(self, parameters: FaultParameters) -> None:
        self._parameters = parameters
        self._market = random.Random(f"{parameters.seed}:market")
        self._user = random.Random(f"{parameters.seed}:user")
        self._requests = random.Random(f"{parameters.seed}:request")
        self._delays = random.Random(f"{parameters.seed}:delay")
        p = parameters
        has_latency = p.latency_ms_mean > 0.0
        self._market_misbehaves = has_latency or any((p.drop_rate, p.duplicate_rate, p.reorder_rate, p.disconnect_rate))
        self._user_misbehaves = has_latency or any((p.duplicate_rate, p.disconnect_rate))
        self._request_misbehaves = has_latency or any((p.answer_lost_rate, p.busy_rate, p.ban_rate))

    def market_message(self) -> MessageFate:
        """Before sending one market-data frame to one connection."""
        if not self._market_misbehaves:
            return GOOD_MESSAGE
        p, dice = self._parameters, self._market
        disconnects, drops, doubles, overtaken = dice.random(), dice.random(), dice.random(), dice.random()
        if disconnects < p.disconnect_rate:
            return MessageFate(disconnect=True)
        copies = 0 if drops < p.drop_rate else 2 if doubles < p.duplicate_rate else 1
        return MessageFate(self._delay_ns(), copies, overtaken < p.reorder_rate)

    def user_message(self) -> MessageFate:
        """Before sending one user-data frame: delayed, duplicated or disconnected, never dropped silently or out of order."""
        if not self._user_misbehaves:
            return GOOD_MESSAGE
        p, dice = self._parameters, self._user
        disconnects, doubles = dice.random(), dice.random()
        if disconnects < p.disconnect_rate:
            return MessageFate(disconnect=True)
        return MessageFate(self._delay_ns(), 2 if doubles < p.duplicate_rate else 1)

    def request(self, *, is_order: bool, is_exempt: bool = False) -> RequestFate:
        """Before handling one request. `is_exempt`: reduce-only and cancels, which the busy fault spares."""
        if not self._request_misbehaves:
            return GOOD_REQUEST
        p, dice = self._parameters, self._requests
        banned, busy, lost, which = dice.random(), dice.random(), dice.random(), dice.random()
        if banned < p.ban_rate:
            return RequestFate(0, "banned", int(p.ban_ms * MS))
        delay_ns = self._delay_ns()
        if is_order and not is_exempt and busy < p.busy_rate:
            return RequestFate(delay_ns, "busy")
        if is_order and lost < p.answer_lost_rate:
            return RequestFate(delay_ns, LOST_KINDS[int(which * len(LOST_KINDS))])
        return RequestFate(delay_ns)

    def skew_ns(self) -> int:
        """Add to the host's clock to get the exchange's."""
        return int(self._parameters.clock_skew_ms * MS)

    def _delay_ns(self) -> int:
        p = self._parameters
        if p.latency_ms_mean <= 0.0:
            return 0
        return int(min(self._delays.expovariate(1.0 / p.latency_ms_mean), p.latency_ms_max) * MS)
