"""The signals of the house, one file each. What the values mean is written in cffi_build/include/messages.h.

signal.py            what a signal is; the base of a user's own
adaptive_spread.py   where the spread stands among those of the last minutes
fixed_spread.py      the spread against fixed thresholds
funding.py           which way funding pays, and when it has turned against the open pair
position_close.py    take profit, stop loss, age
book_top.py          the top itself, for triggers of the user's own
"""
