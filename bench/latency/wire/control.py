"""The control of the measurement: one process, picows on uvloop, orjson, one HMAC per order; no risk, no state, no recovery.

What a careful Python programmer writes in an evening: the figure that a whole system is held against.
"""

import hmac
import itertools
import sys
import time

import orjson
import picows
import uvloop

API_KEY = "bench" * 12
SECRET = b"secret" * 10
numbers = itertools.count(1)


def order_for(tick: dict[str, str]) -> bytes:
    """A signed order.place at the tick's bid."""
    number = next(numbers)
    parameters: dict[str, object] = {
        "apiKey": API_KEY,
        "newClientOrderId": f"control{number}",
        "price": tick["b"],
        "quantity": "0.001",
        "side": "BUY",
        "symbol": tick["s"],
        "timeInForce": "GTX",
        "timestamp": int(time.time() * 1000),
        "type": "LIMIT",
    }
    text = "&".join(f"{name}={value}" for name, value in parameters.items())
    parameters["signature"] = hmac.digest(SECRET, text.encode(), "sha256").hex()
    return orjson.dumps({"id": number, "method": "order.place", "params": parameters})


class Orders(picows.WSListener):
    """Reads the answers, as a client must."""

    def on_ws_frame(self, transport: picows.WSTransport, frame: picows.WSFrame) -> None:
        orjson.loads(frame.get_payload_as_memoryview())


class Market(picows.WSListener):
    """Orders on each tick whose bid is thick."""

    def __init__(self, orders: picows.WSTransport) -> None:
        self._orders = orders

    def on_ws_frame(self, transport: picows.WSTransport, frame: picows.WSFrame) -> None:
        if frame.msg_type != picows.WSMsgType.TEXT:
            return
        tick = orjson.loads(frame.get_payload_as_memoryview())
        tick = tick.get("data", tick)
        if "B" in tick and float(tick["B"]) > 5.0:
            self._orders.send(picows.WSMsgType.TEXT, order_for(tick))


async def main(port: int) -> None:
    """Until the venue closes the market stream."""
    orders, _ = await picows.ws_connect(Orders, f"ws://127.0.0.1:{port}/ws-fapi/v1")
    await picows.ws_connect(Orders, f"ws://127.0.0.1:{port}/private/ws/BENCHLISTENKEY")
    market, _ = await picows.ws_connect(lambda: Market(orders), f"ws://127.0.0.1:{port}/public/ws/btcusdt@bookTicker")
    await market.wait_disconnected()


if __name__ == "__main__":
    uvloop.run(main(int(sys.argv[1])))
