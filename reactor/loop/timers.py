"""Periodic work without timers: a role compares with `now_ns` in its own pass."""


class Every:
    """Due once per period. Missed periods are skipped, never made up in a burst."""

    __slots__ = ("due_ns", "period_ns")

    def __init__(self, period_ns: int, first_ns: int = 0) -> None:
        assert period_ns > 0, "a period is positive"
        self.period_ns = period_ns
        self.due_ns = first_ns

    def is_due(self, now_ns: int) -> bool:
        """True once per period; arms the next one."""
        if now_ns < self.due_ns:
            return False
        self.due_ns = now_ns + self.period_ns
        return True
