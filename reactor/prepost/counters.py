"""What this room counts, for the metrics segment. Numbers are places in role_metrics_t.counters."""

from enum import IntEnum

from reactor.domain.messages import COUNTERS_MAX, Reason


class Counter(IntEnum):
    """Prepost's counters."""

    EVENTS = 0
    REPORTS = 1
    COMMANDS = 2
    FILLS = 3
    FILLS_SEEN_AGAIN = 4
    ILLEGAL_TRANSITIONS = 5
    CONTRADICTIONS = 6
    OVERFILLS = 7
    QUERIES = 8
    HEDGES_REQUIRED = 9
    HEDGES_BY_EVENT = 10
    HEDGES_BY_WATCHDOG = 11
    HEDGES_BY_PREPOST = 12
    HEDGES_ALREADY_DONE = 13
    HEDGES_FAILED = 14
    UNWINDS = 15
    INSTRUMENTS_HALTED = 16
    POST_STOPPED = 17
    FEES_WITHOUT_PRICE = 18
    EXPOSURE_WARNINGS = 19
    STALLED_ON_COMMANDS = 20  # passes that read no input because the command ring was full
    STALLED_ON_JOURNAL = 21
    RESPONSES_HELD = 22
    RESPONSES_DROPPED = 23
    REPORTS_UNKNOWN = 24  # report kinds or orders that make no sense here
    REPORTS_FOREIGN = 25
    RECONCILIATIONS = 26
    DIFFERENCES = 27
    FUNDINGS = 28
    FUNDINGS_SEEN_AGAIN = 29
    DOUBLE_RETURNS = 30
    ORDERS_ADOPTED = 31
    UNKNOWN_ORDERS = 32  # gauge
    OPEN_ORDERS = 33  # gauge
    HELD_COMMANDS = 34  # gauge
    REJECTS = 35
    EVENTS_MALFORMED = 36
    HELD_FOR_JOURNAL = 37  # passes that left new events in their ring, because the journal's was half full
    # One counter per reason of our own: REFUSED + reason_e; the last one takes every other.
    REFUSED = 48
    REFUSED_SIGNAL_TOO_OLD = REFUSED + 1
    REFUSED_COOLDOWN = REFUSED + 2
    REFUSED_POSITION_LIMIT = REFUSED + 3
    REFUSED_CAPITAL_LIMIT = REFUSED + 4
    REFUSED_PENDING_ORDERS = REFUSED + 5
    REFUSED_TOTAL_EXPOSURE = REFUSED + 6
    REFUSED_DAILY_TRADES = REFUSED + 7
    REFUSED_MARGIN_RATIO = REFUSED + 8
    REFUSED_PRICE_COLLAR = REFUSED + 9
    REFUSED_ORDER_NOTIONAL = REFUSED + 10
    REFUSED_ORDER_RATE = REFUSED + 11
    REFUSED_DAILY_LOSS = REFUSED + 12
    REFUSED_KILL_SWITCH = REFUSED + 13
    REFUSED_BELOW_MINIMUM = REFUSED + 14
    REFUSED_NO_BOOK = REFUSED + 15
    REFUSED_NOT_RECONCILED = REFUSED + 16
    REFUSED_NO_INVENTORY = REFUSED + 17
    REFUSED_ALREADY_HEDGED = REFUSED + 18
    REFUSED_PAIR_BUSY = REFUSED + 19
    REFUSED_NO_SESSION = REFUSED + 21
    REFUSED_BACKPRESSURE = REFUSED + 24
    REFUSED_STAGE_REFUSED = REFUSED + 26
    REFUSED_SYMBOL_HALTED = REFUSED + 27
    REFUSED_LAST = REFUSED + 40


assert Counter.REFUSED_LAST < COUNTERS_MAX, "counters fit the metrics row"
assert Counter.REFUSED_SYMBOL_HALTED == Counter.REFUSED + Reason.SYMBOL_HALTED, "refusals are numbered by their reason"
