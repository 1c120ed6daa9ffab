"""What this room counts, for the metrics segment. Numbers are places in role_metrics_t.counters."""

from enum import IntEnum

from reactor.domain.messages import COUNTERS_MAX


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
    # One counter per reason of our own (reason_e 1..30); the last one takes every other.
    REFUSED = 48
    REFUSED_LAST = 48 + 40


assert Counter.REFUSED_LAST < COUNTERS_MAX, "counters fit the metrics row"
