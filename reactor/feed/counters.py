"""What a feed counts."""

from enum import IntEnum


class Counter(IntEnum):
    """Places in role_metrics_t.counters. Gauges say so."""

    FRAMES = 0  # received on all sessions
    DUPLICATES = 1  # the other session was first
    REFUSED = 2  # malformed, unknown, or of a foreign symbol
    MALFORMED = 3
    SESSIONS_LIVE = 4  # gauge
    SESSIONS_LOST = 5
    ROTATIONS = 6
    RESYNCS = 7  # a synchronised book had to start over
    GAPS = 8
    GAPS_BRIDGED = 9
    CROSSED = 10
    SNAPSHOTS = 11
    SNAPSHOTS_STALE = 12
    SNAPSHOTS_FAILED = 13
    BOOKS = 14  # gauge
    BOOKS_SYNCHRONISED = 15  # gauge
    BOOKS_STALE = 16  # gauge
    TICKS = 17  # changes of a book top
    SIGNALS = 18
    SIGNALS_SKIPPED = 19  # gauge: replaced by a newer one while the ring was full
    STRATEGY_GRIDS = 20
    STRATEGY_STALLS = 21  # passes in which a grid waited for room
    SILENT_STREAMS = 22  # subscribed, and nothing came
    CHECKS_PASSED = 23
    CHECKS_FAILED = 24
    CHECKS_OPEN_ENDED = 25  # no comparison was possible in time
    TOPIC_FRAMES = 26
    TOPIC_OVERSIZED = 27
    CLOCK_ERROR_US = 28  # gauge: the worst bound of a venue's clock offset
    SIGNAL_FAILURES = 29  # a user's signal raised and was switched off
    CONTROLS = 30
    OFF_GRID = 31  # gauge: levels and quantities of a past tick or lot size
    BOT_UPDATES_LEFT_OUT = 32  # gauge: a live bot's ring was full; the whole book followed
    SIGNALS_DELAYED = 33  # gauge: of those that may not be lost, written later because the ring was full; sockets waited too
