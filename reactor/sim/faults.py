"""How the simulated exchange misbehaves: one seed, one plan, asked at each opportunity.

The shell asks before it sends or answers and does what the plan says; the plan itself touches nothing.
"""
from dataclasses import dataclass


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


@dataclass(frozen=True, slots=True)
class MessageFate:
    """What becomes of one outgoing WebSocket message."""

    delay_ns: int = 0
    copies: int = 1  # 0: dropped, 2: duplicated
    is_overtaken: bool = False  # Send it after the next one.
    disconnect: bool = False  # Cut the connection instead.


@dataclass(frozen=True, slots=True)
class RequestFate:
    """What becomes of one request. `kind`: "ok", "busy" (refuse, no effect), "lost_timeout" (execute, answer -1007/408),
    "lost_unknown" (execute, answer 503 "Unknown error…" / 5xx), "lost_cut" (execute, cut the connection), "banned" (418)."""

    delay_ns: int = 0
    kind: str = "ok"


class FaultPlan:
    """Deterministic: the same seed and the same sequence of questions give the same answers."""

    def __init__(self, parameters: FaultParameters) -> None:
        raise NotImplementedError

    def market_message(self) -> MessageFate:
        """Before sending one market-data frame to one connection."""
        raise NotImplementedError

    def user_message(self) -> MessageFate:
        """Before sending one user-data frame: delayed or duplicated or disconnected, never dropped or reordered silently."""
        raise NotImplementedError

    def request(self, *, is_order: bool, is_exempt: bool = False) -> RequestFate:
        """Before handling one request. `is_exempt`: reduce-only and cancels, which the busy fault spares."""
        raise NotImplementedError

    def skew_ns(self) -> int:
        """Add to the host's clock to get the exchange's."""
        raise NotImplementedError
