"""crypto_trade: the floor plan. Data walks left to right; each process is a room with one door (role.py).

exchange ──▶ feed ×N ──signals──▶ collector ──events──▶ prepost ──commands──▶ engine ◀──▶ exchange
               ▲                      ▲                   │   ▲                  │
               └── positions ─────────┴── responses ──────┘   └───── reports ────┘

domain       the words: instruments, ticks and lots, messages, ids, errors
market       the order book and its synchronisation; factors, strategies: what one may conclude from it
exchanges    each venue's protocol, bytes in and events out, no socket
loop         shard, links, waiting, clock, log;   net: WebSocket and REST
journal      what happened, in SQLite
feed         public market data → books, signals, quotes
collector    signal table → triggers → events
prepost      risk, orders, positions, pairs, PnL: the only copy of the trading state
engine       private sessions: signs, sends, routes, reports
live_bot     strategies written for hftbacktest, unchanged: a process each, beside the feeds
compiled.py  which form of a hot module runs: the file, or what mypyc made of it
config       the YAML file → frozen parameters;   wiring.py: parameters → roles joined by links
supervisor   starts, watches, restarts, stops, cancels what is open
sim          an exchange of our own, protocol-true;   data: record and convert;   backtest;   monitor
cli.py       the one front door
"""

from reactor.compiled import use

use()
