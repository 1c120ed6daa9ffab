"""The `recorder` of hftbacktest's strategies, for a bot that never ends: the last rows are kept, older ones are overwritten.

What is saved is what hftbacktest's own Recorder saves: an npz with one array per asset number, which its stats tools read.
"""

from pathlib import Path
from typing import Any, Final

import numba
import numba.experimental
import numpy as np

from reactor.live_bot.surface import lean

RECORD_DTYPE: Final = np.dtype(
    [("timestamp", "i8"), ("price", "f8"), ("position", "f8"), ("balance", "f8"), ("fee", "f8"), ("num_trades", "i8"),
     ("trading_volume", "f8"), ("trading_value", "f8")],
    align=True,
)  # fmt: skip
_numba: Any = numba  # Untyped where it is installed, unknown where it is not.
_FIELDS: Final = [("records", _numba.from_dtype(RECORD_DTYPE)[:, :]), ("rows", _numba.uint64)]


@lean
@_numba.experimental.jitclass(_FIELDS)
class Recorder:
    """Writes one row per asset at every call."""

    def __init__(self, records: Any) -> None:
        self.records = records
        self.rows = 0  # ever written

    def record(self, hbt: Any) -> None:
        timestamp = hbt.current_timestamp
        row = self.rows % len(self.records)
        for asset_no in range(hbt.num_assets):
            depth = hbt.depth(asset_no)
            state_values = hbt.state_values(asset_no)
            self.records[row, asset_no].timestamp = timestamp
            self.records[row, asset_no].price = (depth.best_bid + depth.best_ask) / 2.0
            self.records[row, asset_no].position = state_values.position
            self.records[row, asset_no].balance = state_values.balance
            self.records[row, asset_no].fee = state_values.fee
            self.records[row, asset_no].num_trades = state_values.num_trades
            self.records[row, asset_no].trading_volume = state_values.trading_volume
            self.records[row, asset_no].trading_value = state_values.trading_value
        self.rows += 1


def make_recorder(rows_kept: int, asset_count: int) -> Any:
    """A recorder for so many rows."""
    return Recorder(np.zeros((rows_kept, asset_count), RECORD_DTYPE))


def rows_of(recorder: Any) -> np.ndarray[Any, Any]:
    """The rows kept, oldest first: one column per asset."""
    records: np.ndarray[Any, Any] = recorder.records
    written, kept = int(recorder.rows), len(records)
    if written <= kept:
        return records[:written]
    return np.roll(records, -(written % kept), axis=0)


def save_records(recorder: Any, path: Path) -> int:
    """Writes them as hftbacktest's Recorder does. How many rows."""
    rows = rows_of(recorder)
    np.savez_compressed(path, **{str(number): rows[:, number] for number in range(rows.shape[1])})  # type: ignore[arg-type]
    return len(rows)
