"""The machinery of bytes: WebSocket sessions and REST requests, behind one small interface (network.py)."""
