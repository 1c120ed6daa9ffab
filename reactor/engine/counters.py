"""What the engine counts: numbers in its metrics segment."""

from enum import IntEnum


class Counter(IntEnum):
    """Indices into role_metrics_t.counters."""

    PLACES_SENT = 0
    CANCELS_SENT = 1
    QUERIES_SENT = 2
    REPORTS = 3
    FILLS = 4
    REJECTS = 5
    NOT_SENT = 6
    OUTCOMES_UNKNOWN = 7
    LATE_ANSWERS = 8
    ANSWERS_UNASKED = 9  # an answer nobody waits for: a duplicate, or from before a restart
    DUPLICATE_REPORTS_DROPPED = 10  # the second of socket answer and user stream
    DOUBLE_EXECUTIONS = 11  # one client id, two orders at the venue: only `dangerous_place_copies` can do this
    ANNIHILATED = 12  # a cancel overtook its own place
    DEADLINE_MISSED = 13
    RATE_REFUSED = 14
    CLOCK_REFUSED = 15
    NO_SESSION = 16
    FAILOVERS = 17
    REST_FALLBACKS = 18
    SESSIONS_UP = 19  # gauge: order sessions
    SESSIONS_LOST = 20
    CONNECTS = 21
    ROTATIONS = 22
    USER_STREAMS_LOST = 23
    USER_EVENTS_UNKNOWN = 24
    FRAMES_MALFORMED = 25
    PENDING_REPORTS = 26  # gauge: reports that wait for room in the ring
    BACKPRESSURE_STALLS = 27
    CLOCK_SAMPLES = 28
    CLOCK_JUMPS = 29
    BANS = 30
    ORPHANED = 31  # prepost was lost: cancelled ours by ourselves
    CANCEL_ALL_ROUNDS = 32
    ORDERS_REMEMBERED = 33  # gauge
    IN_FLIGHT = 34  # gauge
    COMMANDS = 35
    COMMANDS_MALFORMED = 36
    RECOVERED_UNSENT = 37
    RECOVERED_UNKNOWN = 38
    SESSION_SCORE_MIN = 39  # gauge: the worst health of a session that is up
    RTT_US = 40  # gauge: smoothed round trip of the best session
