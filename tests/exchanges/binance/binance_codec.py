"""An order codec of either venue, and the venue's check of a REST call."""

import hashlib
import hmac
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from reactor.domain.ids import ClientIds
from reactor.domain.instrument import Instrument, Instruments
from reactor.domain.messages import Venue
from reactor.exchanges.binance.orders import BinanceOrders, order_codec
from reactor.exchanges.binance.rules import endpoints_at
from reactor.exchanges.venue import Credentials, RestCall

SPOT, USDM = int(Venue.BINANCE_SPOT), int(Venue.BINANCE_USDM)
KEY, SECRET = "the-api-key", "the-secret"
IDS = ClientIds("ct")
OURS = IDS.client_order_id(1 << 40 | 7)


def instrument(index: int, venue: int, **fields: Any) -> Instrument:
    values: dict[str, Any] = {"price_decimals": 2, "quantity_decimals": 5, "tick_size": 1, "lot_size": 1} | fields
    values |= {"quantity_lots_min": 1, "quantity_lots_max": 10**9, "market_quantity_lots_max": 10**9}
    values |= {"price_ticks_min": 1, "price_ticks_max": 10**12, "notional_min_e8": 0, "maker_fee_e8": 0, "taker_fee_e8": 0}
    return Instrument(instrument_index=index, venue=venue, symbol="BTCUSDT", base_asset="BTC", quote_asset="USDT", **values)


INSTRUMENTS = Instruments(
    [instrument(0, SPOT), instrument(1, USDM, price_decimals=1, quantity_decimals=0, tick_size=5, lot_size=10)]
)


def codec(venue: int = SPOT, credentials: Credentials | None = None) -> BinanceOrders:
    return order_codec(venue, endpoints_at(venue, "http://x"), credentials or Credentials(KEY, SECRET), INSTRUMENTS)


def signature_of(payload: str) -> str:
    return hmac.new(SECRET.encode(), payload.encode(), hashlib.sha256).hexdigest()


def check_call(call: RestCall) -> dict[str, str]:
    """Checks the signature of a REST call over the very bytes of its query."""
    query = urlsplit(call.url).query
    payload, _, signature = query.rpartition("&signature=")
    assert signature == signature_of(payload)
    assert call.headers["X-MBX-APIKEY"] == KEY
    return dict(parse_qsl(payload))
