"""Recorded text → market events: one reader per kind of file, each a source of rows for `reactor/data/weave.py`.

collector.py    hftbacktest's captures of Binance (bybit.py, hyperliquid.py: the others)    tardis.py    Tardis CSVs
stream.py       the same for files larger than memory                                       finish.py    what all end with
tardis_csv.py   captures → Tardis CSVs                                                      sample.py    files to try it on
"""
