"""Errors sorted by what the caller may do next.

TradeError
├── ConfigError            do not start: the sentence says what is wrong, where, and what to do
├── NotSent                provably never left this host: safe to retry
├── Rejected               the venue said no, and why: certainly no effect
├── OutcomeUnknown         sent, nobody told us: ask by client order id, never resend
├── LimitReached           wait until `until_ns`
├── RemoteProtocolError    the other side broke its own rules: drop the connection or the message, count it
└── DataError              a file or a capture is damaged: `where` names file and line
"""


class TradeError(Exception):
    """Anything this system raises on purpose."""


class ConfigError(TradeError):
    """Do not start. `problems` holds one sentence each, all of them at once."""

    def __init__(self, problems: list[str] | str) -> None:
        self.problems = [problems] if isinstance(problems, str) else list(problems)
        super().__init__("\n".join(self.problems))


class NotSent(TradeError):
    """Provably never left this host: safe to retry."""


class Rejected(TradeError):
    """The venue said no. `reason` is a domain.messages.Reason, `code` and `text` are the venue's own."""

    def __init__(self, reason: int, code: int, text: str) -> None:
        self.reason = reason
        self.code = code
        self.text = text
        super().__init__(f"{text} ({code})")


class OutcomeUnknown(TradeError):
    """Sent, and nobody told us what became of it: ask by client order id, never resend."""


class LimitReached(TradeError):
    """A limit was reached; try again after `until_ns` (CLOCK_MONOTONIC; 0: unknown)."""

    def __init__(self, what: str, until_ns: int = 0) -> None:
        self.until_ns = until_ns
        super().__init__(what)


class RemoteProtocolError(TradeError):
    """The other side broke its own protocol. The message quotes what came."""


class DataError(TradeError):
    """A file is damaged or not what it claims to be. `where` is "path" or "path:line"."""

    def __init__(self, where: str, what: str) -> None:
        self.where = where
        super().__init__(f"{where}: {what}")
