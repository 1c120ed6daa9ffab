"""How a venue says no: a code, a sentence, an HTTP status."""

from collections.abc import Mapping
from typing import Any

import orjson


class VenueError(Exception):
    """The venue refuses a request. Caught by the face and turned into its error body; never seen by a client as a traceback."""

    def __init__(
        self, code: int, text: str, status: int = 400, data: Mapping[str, Any] | None = None, retry_after_ns: int = 0
    ) -> None:
        super().__init__(f"{text} ({code})")
        self.code = code
        self.text = text
        self.status = status
        self.data = data
        self.retry_after_ns = retry_after_ns  # how long until it may be tried again; 429 and 418 only

    def body(self) -> bytes:
        """`{"code":-1121,"msg":"Invalid symbol."}`."""
        return orjson.dumps(self.fields())

    def fields(self) -> dict[str, Any]:
        """The same, before encoding."""
        fields: dict[str, Any] = {"code": self.code, "msg": self.text}
        if self.data is not None:
            fields["data"] = self.data
        return fields


INVALID_SYMBOL = (-1121, "Invalid symbol.")
BAD_SIGNATURE = (-1022, "Signature for this request is not valid.")
BAD_KEY_FORMAT = (-2014, "API-key format invalid.")
BAD_KEY = (-2015, "Invalid API-key, IP, or permissions for action.")
OUTSIDE_WINDOW = (-1021, "Timestamp for this request is outside of the recvWindow.")
AHEAD_OF_TIME = (-1021, "Timestamp for this request was 1000ms ahead of the server's time.")
UNKNOWN_ORDER = (-2011, "Unknown order sent.")
NO_SUCH_ORDER = (-2013, "Order does not exist.")
TIMED_OUT = (-1007, "Timeout waiting for response from backend server. Send status unknown; execution status unknown.")
