"""What we know about venues: pure codecs, bytes in, values out. No socket, no clock, no state about sessions.

venue.py     the questions every venue answers (protocols), and the words the answers use
binance/     the answers: market.py (public), orders.py answers.py user.py (private), sign.py, rules.py (product lines)
"""
