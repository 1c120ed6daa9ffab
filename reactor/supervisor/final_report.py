"""The end of a session in figures: what prepost counted, what the exchange says, and whether the two agree.

Written when every role has left, from the last picture, the journal and the venues' own answers.
"""

from collections.abc import Mapping, Sequence
from typing import Final

from reactor.config.plan import Plan
from reactor.domain.errors import TradeError
from reactor.domain.instrument import VENUE_NAMES, Instruments
from reactor.loop.log import Log
from reactor.monitor.reader import Picture, duplicates_of
from reactor.monitor.report import Comparison, Report
from reactor.supervisor.books import booked_funding, read_books
from reactor.supervisor.cancel_all import Confirmation
from reactor.supervisor.venue_desk import ListedFunding, VenueDesk

FUNDING_SAME_MS = 5_000  # Two payments of one instrument within that are one: they come every hour at most.
EXIT_OK = 0
EXIT_NOT_CLEAN = 1  # something of ours may be open
EXIT_FAILED = 3  # a role gave up, but nothing of ours is open
EXIT_DIFFERENT = 4  # nothing of ours is open, but whether we own what we believe to own is not confirmed
EXIT_WORDS: Final[Mapping[int, str]] = {
    EXIT_OK: "the venue confirmed that nothing of ours is open, and our books are its books",
    EXIT_NOT_CLEAN: "orders of ours may still be open; look at the report",
    EXIT_FAILED: "a role gave up; nothing of ours is open",
    EXIT_DIFFERENT: "nothing of ours is open, but positions or balances differ from the venue's or could not be compared",
}
"""What the end of a session means, for who reads a number."""


def fill_figures(report: Report, picture: Picture) -> None:
    """What the roles have counted."""
    risk = picture.risk
    for name in ("orders", "fills", "rejects", "refusals", "pairs_opened", "pairs_closed"):
        setattr(report, name, risk[name])
    for name in ("net_exposure_e8", "equity_e8", "realised_pnl_e8", "unrealised_pnl_e8", "fees_e8", "funding_e8"):
        setattr(report, name, risk[name])
    duplicates, report.resyncs = duplicates_of(picture.tops)
    report.duplicates_detected = duplicates + risk["duplicates_detected"]
    report.latency_us = picture.latency_us
    report.kill_switch = picture.kill_switch
    report.counters = {role.name: dict(role.counters) for role in picture.roles}


def fill_confirmation(report: Report, confirmation: Confirmation) -> None:
    """What the venues said last."""
    report.problems += confirmation.problems
    report.open_orders = None if confirmation.problems else len(confirmation.ours)
    report.foreign_orders = len(confirmation.foreign)
    for order in confirmation.ours:
        report.problems.append(
            f"still open: {VENUE_NAMES[order.venue]} {order.symbol} {order.client_order_id}; cancel it by hand"
        )


async def fill_comparison(
    report: Report, plan: Plan, instruments: Instruments, desks: Sequence[VenueDesk], drained_ms: int, log: Log
) -> bool:
    """Positions and balances as our journal has them beside what the exchange reports, to the last unit. True: all are equal.

    `drained_ms`: when prepost had its last word from the venues (wall clock). Funding that is paid on a pair that stays after
    that stands in no journal; the next start books it.
    """
    try:
        await _compare(report, plan, instruments, desks, drained_ms)
    except TradeError as error:
        report.problems.append(f"our books could not be compared with the exchange's: {error}")
        return False
    except Exception as error:  # The comparison is a service; the way out does not depend on it.
        log.error("the comparison failed", error=repr(error))
        report.problems.append(f"our books could not be compared with the exchange's ({type(error).__name__}); see the log")
        return False
    different = [each.what for each in report.comparisons if not each.is_equal]
    if different:
        what = ", ".join(different)
        report.problems.append(
            f"our books differ from the exchange's: {what}; the next start books what the exchange can explain"
        )
    return not different


async def _compare(report: Report, plan: Plan, instruments: Instruments, desks: Sequence[VenueDesk], drained_ms: int) -> None:
    ours = read_books(plan)
    booked = booked_funding(plan)
    for desk in desks:
        venue = desk.line.venue
        balances = {each.asset: each.free_e8 + each.locked_e8 for each in await desk.balances()}
        report.balances[desk.name] = {asset: f"{amount / 1e8:.8f}" for asset, amount in balances.items() if amount}
        times = [(symbol, time_ms) for name, symbol, time_ms in booked if name == desk.name]
        later = [each for each in await desk.funding_since(drained_ms) if not _is_among(times, each)]
        for asset, booked_e8 in sorted(ours.balances[venue].items()):
            later_e8 = sum(each.amount_e8 for each in later if each.asset == asset)
            what = f"{desk.name} {asset}" + (f" (with {later_e8 / 1e8:.8f} of funding after our end)" if later_e8 else "")
            report.comparisons.append(Comparison(what, booked_e8 + later_e8, balances.get(asset, 0)))
        positions = {each.symbol: each for each in await desk.positions()}
        for symbol, position in positions.items():
            report.positions[f"{desk.name}:{symbol}"] = f"{position.quantity_e8 / 1e8:.8f}"
        for instrument in instruments:
            if instrument.venue == venue and instrument.is_perpetual:
                ours_e8 = instrument.base_e8(ours.position_lots[instrument.instrument_index])
                theirs_e8 = positions[instrument.symbol].quantity_e8 if instrument.symbol in positions else 0
                report.comparisons.append(Comparison(f"position {instrument.name}", ours_e8, theirs_e8))


def _is_among(times: Sequence[tuple[str, int]], payment: ListedFunding) -> bool:
    """Told by symbol and time, as prepost tells them apart: what a stream says of a payment has no number."""
    return any(symbol == payment.symbol and abs(time_ms - payment.time_ms) < FUNDING_SAME_MS for symbol, time_ms in times)


def exit_code(confirmation: Confirmation, failure: str, *, are_books_equal: bool) -> int:
    """0 only if the venue itself confirmed that nothing of ours is open, our books are its books, and no role gave up."""
    if not confirmation.is_clean:
        return EXIT_NOT_CLEAN
    if not are_books_equal:
        return EXIT_DIFFERENT
    return EXIT_FAILED if failure else EXIT_OK
