"""exchanges/binance."""
