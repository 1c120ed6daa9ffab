"""What a backtest is told: assets, costs, delays. Pure; a command or a config file fills it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from reactor.domain.errors import ConfigError

QUEUE_MODELS: Final[Mapping[str, float | None]] = {  # name → default exponent; None: takes none
    "risk-averse": None,
    "log-prob": None,
    "log-prob2": None,
    "power-prob": 3.0,
    "power-prob2": 3.0,
    "power-prob3": 3.0,
}


@dataclass(frozen=True)
class AssetParameters:
    """One instrument and its recorded days."""

    name: str
    files: tuple[str, ...]  # event files, oldest first
    tick_size: float = 0.0  # 0: told from the data
    lot_size: float = 0.0
    maker_fee: float = 0.0002  # of the notional; Binance USD-M, lowest tier
    taker_fee: float = 0.0005
    contract_size: float = 1.0  # base units per quantity 1; an inverse contract: quote units
    is_inverse: bool = False  # quoted in USD, settled in the coin
    parameters: Mapping[str, Any] = field(default_factory=dict)  # of its strategy, over the common ones


@dataclass(frozen=True)
class QueueModel:
    """How an order moves up in its queue; see hftbacktest's "Order Fill"."""

    name: str = "power-prob3"
    exponent: float = 3.0

    @classmethod
    def parse(cls, text: str) -> "QueueModel":
        """`risk-averse`, `log-prob2`, `power-prob3:2.5` …

        Raises:
            ConfigError: there is no such model.
        """
        name, _, exponent = text.partition(":")
        if name not in QUEUE_MODELS:
            raise ConfigError(f"--queue {text}: there is no such queue model; there are {', '.join(QUEUE_MODELS)}")
        default = QUEUE_MODELS[name]
        if default is None:
            if exponent:
                raise ConfigError(f"--queue {text}: {name} takes no number")
            return cls(name, 0.0)
        try:
            number = float(exponent) if exponent else default
        except ValueError:
            raise ConfigError(f"--queue {text}: {exponent!r} is no number") from None
        if not 0 < number < 100:
            raise ConfigError(f"--queue {text}: the exponent must be between 0 and 100")
        return cls(name, number)

    def __str__(self) -> str:
        return self.name if QUEUE_MODELS[self.name] is None else f"{self.name}:{self.exponent:g}"


@dataclass(frozen=True)
class BacktestParameters:
    """Everything about a run but its strategy."""

    assets: tuple[AssetParameters, ...]
    latency: str = "1"  # see latency.py
    queue: QueueModel = QueueModel()
    sample_interval_ms: int = 1000  # of the equity curve
    funding_rate: float | None = None  # per interval; None: no funding is booked
    funding_interval_h: float = 8.0  # from midnight UTC on
    funding_file: str = ""  # CSV: time, rate; wins over the rate
    keeps_decisions: bool = False  # every decision with its wishes, for comparisons
    is_interpreted: bool = False  # a strategy that could be compiled runs as plain Python
