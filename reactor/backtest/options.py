"""The options of `backtest` and `sweep`, and a config file's section `backtest`, made into parameters."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

from reactor.backtest.parameters import AssetParameters, BacktestParameters, QueueModel
from reactor.data.batch import find_inputs
from reactor.domain.errors import ConfigError

FEE_MAX = 0.1  # A tenth of the notional: beyond it somebody wrote percent.


@dataclass(frozen=True)
class Options:
    """As they stand on the command line or in the section `backtest`: underscores for dashes, lists for repeated ones."""

    data: tuple[str, ...] = ()  # FILE, GLOB or NAME=GLOB
    tick_size: tuple[str, ...] = ()  # NUMBER or NAME=NUMBER
    lot_size: tuple[str, ...] = ()
    maker_fee: tuple[str, ...] = ()
    taker_fee: tuple[str, ...] = ()
    contract_size: tuple[str, ...] = ()
    inverse: tuple[str, ...] = ()  # NAME, or "all"
    latency: str = "1"
    queue: str = "power-prob3"
    sample_ms: int = 1000
    funding_rate: float | None = None
    funding_interval: float = 8.0
    funding: str = ""
    interpreted: bool = False

    @classmethod
    def of(cls, section: Mapping[str, Any], where: str, given: Mapping[str, Any]) -> "Options":
        """The section of a config file with the options that were given laid over it.

        Raises:
            ConfigError: the section has a key that is no option, or a value that is none.
        """
        names = {each.name: each for each in fields(cls)}
        unknown = [str(key) for key in section if str(key) not in names]
        if unknown:
            raise ConfigError(f"{where}: backtest: no option is called {', '.join(unknown)}; there are {', '.join(names)}")
        merged = {**section, **{key: value for key, value in given.items() if value is not None}}
        values: dict[str, Any] = {}
        for key, value in merged.items():
            default = names[key].default
            try:
                values[key] = _as(default, value)
            except (TypeError, ValueError):
                raise ConfigError(f"{where}: backtest.{key}: {value!r} makes no sense") from None
        return cls(**values)


def _as(default: Any, value: Any) -> Any:
    if isinstance(default, tuple):
        return tuple(str(each) for each in value) if isinstance(value, list | tuple) else (str(value),)
    if isinstance(default, bool):
        if not isinstance(value, bool):
            raise ValueError(value)
        return value
    if default is None or isinstance(default, float):
        return float(value)
    return type(default)(value)


def parameters_of(options: Options) -> BacktestParameters:
    """The parameters of a run.

    Raises:
        ConfigError: an option makes no sense.
        DataError: there is no such file.
    """
    assets = _assets(options)
    if options.sample_ms <= 0:
        raise ConfigError(f"--sample-ms {options.sample_ms}: must be greater than 0")
    return BacktestParameters(
        assets,
        latency=options.latency,
        queue=QueueModel.parse(options.queue),
        sample_interval_ms=options.sample_ms,
        funding_rate=options.funding_rate,
        funding_interval_h=options.funding_interval,
        funding_file=options.funding,
        is_interpreted=options.interpreted,
    )


def _assets(options: Options) -> tuple[AssetParameters, ...]:
    groups: dict[str, list[str]] = {}
    for text in options.data:
        name, equals, pattern = text.partition("=")
        if not equals or Path(text).exists():
            name, pattern = "", text
        groups.setdefault(name, []).append(pattern)
    if not groups:
        raise ConfigError("--data: name the event files, or leave it out for a market of our own")
    if "" in groups and len(groups) > 1:
        raise ConfigError(f"--data {groups[''][0]}: with several assets each file needs its name: --data NAME=FILE")
    assets = []
    for name, patterns in groups.items():
        files = tuple(find_inputs(patterns))
        assets.append(AssetParameters(name or _name_of(files[0]), files))
    names = [each.name for each in assets]
    for option in ("tick_size", "lot_size", "maker_fee", "taker_fee", "contract_size"):
        given = _by_name(option, getattr(options, option), names)
        changes: list[dict[str, Any]] = [{option: given[each.name]} if each.name in given else {} for each in assets]
        assets = [replace(each, **change) for each, change in zip(assets, changes, strict=True)]
    inverse = names if "all" in options.inverse else list(options.inverse)
    unknown = sorted(set(inverse) - set(names))
    if unknown:
        raise ConfigError(f"--inverse {unknown[0]}: there is no such asset; there are {', '.join(names)}, and all")
    for each in assets:
        for option in ("maker_fee", "taker_fee"):
            if not abs(getattr(each, option)) < FEE_MAX:
                what = f"--{option.replace('_', '-')} {getattr(each, option):g}"
                raise ConfigError(f"{what}: is a share of the notional: 0.0002 is 2 bp")
        if not 0 < each.contract_size < 1e12:
            raise ConfigError(f"--contract-size {each.contract_size:g}: must be greater than 0")
    return tuple(replace(each, is_inverse=each.name in inverse) for each in assets)


def _name_of(path: str) -> str:
    """btcusdt_20240808.npz → BTCUSDT."""
    stem = Path(path).name.split(".")[0]
    words = [word for word in stem.split("_") if not word.isdigit()]
    return "_".join(words).upper() or stem


def _by_name(option: str, texts: Sequence[str], names: Sequence[str]) -> dict[str, float]:
    found: dict[str, float] = {}
    for text in texts:
        name, equals, number = text.rpartition("=")
        what = f"--{option.replace('_', '-')} {text}"
        if equals and name not in names:
            raise ConfigError(f"{what}: there is no asset {name}; there are {', '.join(names)}")
        try:
            value = float(number)
        except ValueError:
            raise ConfigError(f"{what}: {number!r} is no number") from None
        for each in [name] if equals else names:
            found[each] = value
    return found
