"""What an operator may turn at the simulated exchange. Who only checks the settings of one brings no exchange into memory."""

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from pydantic import ConfigDict, TypeAdapter, ValidationError, create_model

from reactor.domain.errors import ConfigError
from reactor.sim.faces.face import FaceParameters
from reactor.sim.faults import FaultParameters
from reactor.sim.funding import FundingParameters
from reactor.sim.generator import GeneratorParameters
from reactor.sim.live import LiveParameters
from reactor.sim.venue import USDM_PARAMETERS, AccountParameters, VenueParameters

PORT_DEFAULT: Final = 9080
FIRST_ACCOUNTS: Final = (
    AccountParameters(),
    AccountParameters(name="second", api_key="test-key-2", hmac_secret="test-secret-2"),
)


@dataclass(frozen=True)
class SimParameters:
    """What an operator may turn. `host:port` serves spot, `host:port+1` USD-M."""

    host: str = "127.0.0.1"
    port: int = PORT_DEFAULT  # 0: any free pair; the server tells which
    replay: tuple[Path, ...] = ()  # captures; none: the generator
    live: LiveParameters | None = None  # a venue's live public streams instead
    generator: GeneratorParameters = field(default_factory=GeneratorParameters)  # its seed, symbols, density …
    speed: float = 1.0  # of the market only
    spot: VenueParameters = field(default_factory=VenueParameters)
    usdm: VenueParameters = USDM_PARAMETERS
    funding: FundingParameters = field(default_factory=FundingParameters)
    duration_s: float = 0.0  # wall time; 0: until told to stop
    accounts: tuple[AccountParameters, ...] = FIRST_ACCOUNTS
    keys_file: Path | None = None  # more keys; see `keys_of_file`
    face: FaceParameters = field(default_factory=FaceParameters)
    faults: FaultParameters | None = None
    connection_life_s: float = 86_400.0  # "24 h": tests cut sooner
    ping_s: float = 0.0  # 0: the venue's own (20 s, 3 min)


def read_settings(settings: dict[str, Any]) -> SimParameters:
    """Settings as they come from a config → parameters.

    Raises:
        ConfigError: with everything that is wrong, at once.
    """
    holder = create_model("Simulated", __config__=ConfigDict(extra="forbid", frozen=True), simulated=(SimParameters, ...))
    try:
        checked: Any = TypeAdapter(holder).validate_json(json.dumps({"simulated": settings}))
    except ValidationError as error:
        raise ConfigError(
            [f"exchanges.binance.{'.'.join(map(str, each['loc']))}: {each['msg']}" for each in error.errors()]
        ) from None
    parameters: SimParameters = checked.simulated
    return parameters
