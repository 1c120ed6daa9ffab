"""Parameters of what stands around the roles: restarts, the stop, the log, the simulated exchange.

Frozen dataclasses with units and reasons, so that whoever uses them (supervisor, simulated exchange) needs no pydantic.
"""

from dataclasses import dataclass, field


@dataclass(frozen=True)
class RestartParameters:
    """How often a role may die."""

    backoff_ms: int = 100  # A restart takes about half a second itself; waiting longer gains nothing the first time.
    backoff_ms_max: int = 5_000
    deaths_max: int = 5  # Within `window_s`: more is a fault that a restart does not cure.
    window_s: int = 60
    start_time_max_s: int = 30  # Sessions and reconciliation are in it; without readiness until then it is stuck.
    heartbeat_age_ms_max: int = 3_000  # A pass takes microseconds; three seconds without one is hung, also on a busy host.


@dataclass(frozen=True)
class StopParameters:
    """How long each step of the stop sequence may take."""

    drain_ms: int = 3_000  # Cancels and hedges take round trips; the promise is 5 s in all.
    flatten_ms: int = 15_000  # Closing both legs of every pair takes fills.
    leave_ms: int = 1_000  # After that SIGKILL: nothing is lost, the journal is a log.


@dataclass(frozen=True)
class LogParameters:
    """What is written, and where."""

    level: str = "info"  # debug, info, warning, error
    file_size_mb_max: int = 100  # The file is renamed to .1 then; older ones go.


@dataclass(frozen=True)
class MetricsParameters:
    """The Prometheus page."""

    port: int = 0  # 0: none
    address: str = "127.0.0.1"
    token_variable: str = ""  # name of an environment variable; callers must then send `Authorization: Bearer <its value>`


@dataclass(frozen=True)
class SimulatedParameters:
    """The exchange that the supervisor starts beside the house, when the environment is `simulated`."""

    base_url: str = ""  # http://host:port of a `crypto-trade sim` that runs already (its spot port): none is started then
    source: str = "generator"  # generator, replay, live (a venue's public streams: paper trading)
    port: int = 0  # spot here, USD-M on the next one; 0: any free pair
    replay_paths: tuple[str, ...] = ()  # capture files or directories
    live_url: str = ""  # of source live: http://host:port of another simulated exchange; empty: the venue's own addresses
    speed: float = 1.0  # of the market, not of the clock
    seed: int = 1
    spot_balances: dict[str, str] = field(default_factory=lambda: {"USDT": "100000", "BTC": "1", "ETH": "20"})
    futures_usdt: str = "100000"
    generator: dict[str, float | int | str] = field(default_factory=dict)  # the generated market; `sim` names what it knows
    funding: dict[str, float | int] = field(default_factory=dict)  # the funding model
    faults: dict[str, float | int] = field(default_factory=dict)  # what the exchange does wrong; empty: it behaves
    has_limits: bool = True  # False: the venue's request limits are lifted (load tests)
    keys_file: str = ""  # more keys, for other people's clients on the same exchange
