"""One trial: a strategy with its parameters on its markets, run and counted."""

from collections.abc import Sequence

from reactor.backtest.choice import Choice
from reactor.backtest.exchange import need_hftbacktest
from reactor.backtest.funding import funding_times
from reactor.backtest.host import run, scale_of
from reactor.backtest.ledger import account_of
from reactor.backtest.market import Market, open_market
from reactor.backtest.parameters import BacktestParameters
from reactor.backtest.report import Report
from reactor.domain.errors import ConfigError
from reactor.strategies.strategy import Strategy


def open_markets(parameters: BacktestParameters) -> list[Market]:
    """Loads and checks the data of every asset.

    Raises:
        DataError: they cannot be backtested.
    """
    return [open_market(asset) for asset in parameters.assets]


def strategies_of(chosen: Choice, markets: Sequence[Market]) -> list[Strategy]:
    """One fresh strategy per market.

    Raises:
        ConfigError: it does not take these parameters.
    """
    return [
        chosen.with_parameters(market.parameters.parameters).make(number, scale_of(market))
        for number, market in enumerate(markets)
    ]


def trial(chosen: Choice, parameters: BacktestParameters, markets: Sequence[Market]) -> Report:
    """Runs and counts.

    Raises:
        ConfigError: the strategy fails, or an option makes no sense.
        DataError: a file of latencies or funding is none.
    """
    need_hftbacktest()
    strategies = strategies_of(chosen, markets)
    first_ns, last_ns = min(each.first_ns for each in markets), max(each.last_ns for each in markets)
    funding = funding_times(parameters, first_ns, last_ns)
    result = run(strategies, markets, parameters)
    for market, samples in zip(markets, (result.samples["asset"] == number for number in range(len(markets))), strict=True):
        if not samples.any():
            raise ConfigError(f"{market.parameters.name}: the book never has both sides: nothing can be traded on it")
    accounts = [
        account_of(instrument, market.parameters, number, result.fills, result.samples, funding)
        for number, (instrument, market) in enumerate(zip(result.instruments, markets, strict=True))
    ]
    return Report(chosen.name, chosen.parameters, chosen.complete(), parameters, result, accounts, remarks=_remarks(markets))


def _remarks(markets: Sequence[Market]) -> list[str]:
    remarks = []
    for market in markets:
        own = market.parameters
        if market.is_tick_told:
            steps = f"ticks of {own.tick_size:g} and lots of {own.lot_size:g}"
            remarks.append(f"{own.name}: the steps were told from the data, {steps}.")
        if not market.has_snapshot:
            remarks.append(f"{own.name}: no snapshot in the data: the book completes itself as its levels change.")
    return remarks
