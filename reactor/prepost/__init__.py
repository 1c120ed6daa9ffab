"""prepost: the Pre/Post Processor. The room that owns all trading state; people's money is counted here and nowhere else.

    events  ─▶ intake ─▶ pre pipeline ─▶ order ─▶ command ─▶            journal
    (what a trigger      age, risk,      minted,  (engine)     ▲           ▲
     has decided)        limits, price   reserved              │           │
                                                            hedges     every fact
    reports ─▶ order machine ─▶ post pipeline ─▶ pairs ────────┘           │
    (what the venue      fill booked once     position, quota, ledger, PnL ┘
     has said)

    role.py         the door: reads rings, keeps deadlines          publish.py     writes rings and rows; record.py the journal
    desk.py         the trading state and what moves it             parameters.py  every number a trader may set
    intake.py       an event becomes decisions                      reports.py     a report becomes a change of the books
    pipeline.py     stages by name, flattened                       pre.py post.py the ten stages
    risk.py         RiskRule and the rules                          kill_switch.py RUNNING, REDUCE_ONLY, HALTED
    orders.py       the order machine, the order book of ours       quota.py       reserved once, returned once
    pairs.py        the arbitrage pair, its one hedge ledger        hedging.py     works a pair's legs to their targets
    positions.py    position, average price, realised PnL           valuation.py   marks, exposure, equity, PnL of the day
    balances.py     what we should own, per asset                   terms.py       an instrument's constants, in integers
    reconcile.py    ours against the venue's → differences          settle.py      asks, compares, applies the rules
    inquiry.py      orders whose fate nobody told us                quotes.py      wanted grid against live orders
    restore.py      what the journal remembers, booked again        stop.py        the way out
    checkpoint.py   the books up to a row, so that a start is short

Owns      orders, positions, pairs, quota, PnL, expected balances, kill switch: the only copy.
Reads     event ring (from collector), report ring (from engine), book tops, the collector's heartbeat.
Writes    command ring, response rings, position and risk rows, journal ring.

Invariants
    - A fill is booked once per (instrument, venue trade id, side): live, after a reconnect, after a restart.
    - Quota is reserved when an order is accepted and returned exactly once, whatever becomes of it.
    - required hedge = target − done − in flight, in one ledger; whoever asks for a hedge is checked against it.
    - A client order id is minted here, once; a query or a cancel uses the stored one.
    - Nothing opens before every venue and our books agree (reconcile.py), nor in REDUCE_ONLY or HALTED.
    - An order whose outcome is unknown is asked about until the venue answers; it is never resent and never assumed dead.

What is "our position"
    Spot: the sum of our own fills (less fees paid in the coin) since the baseline, which is the wallet as it stood at the
    first start and is journaled. What was in the wallet before is inventory, not position; it counts as equity.
    Futures: absolute; an account with a position that our journal does not explain does not start trading.
    Balances: baseline + fills + fees + funding must equal the venue's to the last unit, per asset.

When it dies: the engine sends nothing new and cancels what is open of ours. The successor reads the journal, asks the
venues, and trades when both agree.
"""
