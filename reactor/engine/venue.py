"""What the engine holds of one venue."""

from reactor.engine.account import Account
from reactor.engine.connections import VenueConnections
from reactor.exchanges.binance.orders import BinanceOrders


class EngineVenue:
    """One venue's codec, connections and account."""

    __slots__ = ("account", "codec", "connections")

    def __init__(self, codec: BinanceOrders, connections: VenueConnections, account: Account) -> None:
        self.codec = codec
        self.connections = connections
        self.account = account
