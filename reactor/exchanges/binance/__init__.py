"""Binance: spot, USD-M and COIN-M futures as three product lines of one codec (rules.py)."""
