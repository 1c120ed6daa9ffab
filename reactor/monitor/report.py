"""What a session did: one object, readable as JSON and, by report_table.py, as text.

The trading figures are prepost's own; `open_orders`, balances and positions are the exchange's, asked over REST by the
supervisor after everybody has left. Where both are known, they are compared.
"""

from dataclasses import dataclass, field
from typing import Any

from reactor.domain.units import E8


@dataclass(frozen=True)
class Percentiles:
    """One latency histogram in microseconds."""

    p50: float = 0.0
    p99: float = 0.0
    p99_9: float = 0.0
    max: float = 0.0
    count: int = 0

    def json(self) -> dict[str, float | int]:
        """As the report file has it."""
        return {"p50": self.p50, "p99": self.p99, "p99_9": self.p99_9, "max": self.max, "count": self.count}


@dataclass(frozen=True)
class Comparison:
    """One quantity as we count it and as the exchange does, in 1e-8 of the asset."""

    what: str
    ours_e8: int
    theirs_e8: int

    @property
    def is_equal(self) -> bool:
        """To the last unit."""
        return self.ours_e8 == self.theirs_e8


@dataclass
class Report:
    """Everything that the end of a session says."""

    instance: str = ""
    profile: str = ""
    duration_s: float = 0.0
    orders: int = 0
    fills: int = 0
    rejects: int = 0
    refusals: int = 0
    pairs_opened: int = 0
    pairs_closed: int = 0
    open_orders: int | None = None  # as the exchange reports it; None: it could not be asked
    foreign_orders: int | None = None
    net_exposure_e8: int = 0
    equity_e8: int = 0
    realised_pnl_e8: int = 0
    unrealised_pnl_e8: int = 0
    fees_e8: int = 0
    funding_e8: int = 0
    latency_us: dict[str, Percentiles] = field(default_factory=dict)
    duplicates_detected: int = 0
    resyncs: int = 0
    restarts: dict[str, int] = field(default_factory=dict)
    comparisons: list[Comparison] = field(default_factory=list)
    balances: dict[str, dict[str, str]] = field(default_factory=dict)
    positions: dict[str, str] = field(default_factory=dict)
    counters: dict[str, dict[str, int]] = field(default_factory=dict)
    kill_switch: str = ""
    problems: list[str] = field(default_factory=list)
    notices: list[str] = field(default_factory=list)  # warnings of the simulated exchange: a damaged capture, for example
    exit: int = 0

    def json(self) -> dict[str, Any]:
        """The report file."""
        return {
            "instance": self.instance,
            "profile": self.profile,
            "duration_s": round(self.duration_s, 3),
            "orders": self.orders,
            "fills": self.fills,
            "rejects": self.rejects,
            "refusals": self.refusals,
            "pairs_opened": self.pairs_opened,
            "pairs_closed": self.pairs_closed,
            "open_orders": self.open_orders,
            "foreign_orders": self.foreign_orders,
            "net_exposure_usdt": self.net_exposure_e8 / E8,
            "equity_usdt": self.equity_e8 / E8,
            "realised_pnl_usdt": self.realised_pnl_e8 / E8,
            "unrealised_pnl_usdt": self.unrealised_pnl_e8 / E8,
            "fees_usdt": self.fees_e8 / E8,
            "funding_usdt": self.funding_e8 / E8,
            "latency_us": {stage: values.json() for stage, values in self.latency_us.items()},
            "duplicates_detected": self.duplicates_detected,
            "resyncs": self.resyncs,
            "restarts": self.restarts,
            "positions_and_balances_equal": all(each.is_equal for each in self.comparisons) if self.comparisons else None,
            "comparisons": [
                {"what": each.what, "ours": each.ours_e8 / E8, "exchange": each.theirs_e8 / E8} for each in self.comparisons
            ],
            "balances": self.balances,
            "positions": self.positions,
            "counters": self.counters,
            "kill_switch": self.kill_switch,
            "problems": self.problems,
            "notices": self.notices,
            "exit": self.exit,
        }
