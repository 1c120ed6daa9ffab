from reactor.market.trades import Trade, Trades


def trade(trade_id, lots=1, receive_ns=0):
    return Trade(trade_id, 100, lots, 0, receive_ns)


def test_a_trade_brought_twice_is_taken_once():
    trades = Trades()
    assert trades.append(trade(1))
    assert not trades.append(trade(1))
    assert (trades.count, trades.duplicates) == (1, 1)


def test_skipped_ids_are_counted_as_missed():
    trades = Trades()
    for trade_id in (10, 11, 14):
        trades.append(trade(trade_id))
    assert trades.missed == 2


def test_the_ring_keeps_the_newest_oldest_first():
    trades = Trades(capacity=3)
    for trade_id in range(1, 6):
        trades.append(trade(trade_id))
    assert [kept.trade_id for kept in trades.last(10)] == [3, 4, 5]
    assert [kept.trade_id for kept in trades.last(2)] == [4, 5]


def test_volume_is_split_by_the_taker_side():
    trades = Trades()
    for trade_id, (lots, receive_ns) in enumerate([(9, 1), (2, 5), (-3, 6), (4, 7)], start=1):
        trades.append(trade(trade_id, lots, receive_ns))
    assert trades.volume_since(5) == (6, 3)
