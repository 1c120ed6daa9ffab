"""Recorded text → market events: one reader per kind of file, each a source of rows for `reactor/data/weave.py`.

collector.py    hftbacktest's captures, whatever the venue     binance.py bybit.py hyperliquid.py    a venue's scanner
tardis.py       Tardis CSVs                                    lines.py        blocks of lines through a scanner
stream.py       the same for files larger than memory          finish.py       what all conversions end with
tardis_csv.py   captures → Tardis CSVs                         sample.py       files to try it on
"""
