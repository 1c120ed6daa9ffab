"""The C decoder against orjson, on real captures and on written payloads; and one stream out of two sessions."""

import gzip
import os
import random
from pathlib import Path

import orjson
import pytest

from reactor.domain.instrument import Instrument
from reactor.market.intake import (
    CONTROL,
    DEPTH,
    DUPLICATE,
    FLAG_BUYER_IS_MAKER,
    FLAG_COMBINED,
    FLAG_OFF_BOOK,
    MARK,
    NO_SLOT,
    QUIET,
    REFUSED,
    TOP,
    TOP_PRICE,
    TRADE,
    FrameDecoder,
    FrameError,
    FrameKind,
    Intake,
    Session,
    Symbols,
)

CAPTURES = Path(os.environ.get("CRYPTO_TRADE_DATA", Path(__file__).parents[2] / "../shared/data")) / "captures"


def instrument(symbol="BTCUSDT", price_decimals=2, tick_size=1, quantity_decimals=8, lot_size=1000, index=0):
    return Instrument(
        instrument_index=index, venue=0, symbol=symbol, base_asset="BTC", quote_asset="USDT",
        price_decimals=price_decimals, tick_size=tick_size, quantity_decimals=quantity_decimals, lot_size=lot_size,
        quantity_lots_min=1, quantity_lots_max=10**9, market_quantity_lots_max=10**9, price_ticks_min=1,
        price_ticks_max=10**9, notional_min_e8=0, maker_fee_e8=0, taker_fee_e8=0,
    )  # fmt: skip


SPOT = instrument()
USDM = instrument(tick_size=10, quantity_decimals=3, lot_size=1)
COINM = instrument("BTCUSD_PERP", price_decimals=1, quantity_decimals=0, lot_size=1)


def decoder_of(*instruments):
    symbols = Symbols()
    for one in instruments:
        symbols.add(one)
    return FrameDecoder(symbols)


def naive(payload, one):
    """What a frame says, the slow and obvious way: the twin of frame_decode."""
    message = orjson.loads(payload)
    flags = 0
    if "data" in message:
        message, flags = message["data"], FLAG_COMBINED

    def scaled(text, decimals):  # Cuts what the decimals do not hold.
        whole, _, fraction = text.partition(".")
        return int(whole + fraction[:decimals].ljust(decimals, "0"))

    def ticks(text):
        return scaled(text, one.price_decimals) // one.tick_size

    def lots(text):
        return scaled(text, one.quantity_decimals) // one.lot_size

    def side(levels):
        return [(ticks(price), lots(quantity)) for price, quantity in levels]

    seen = {"event_ms": message.get("E", 0), "transaction_ms": message.get("T", 0), "flags": flags}
    kind = message.get("e", "snapshot" if "lastUpdateId" in message else "bookTicker")
    if kind == "bookTicker":
        seen |= {"kind": FrameKind.BOOK_TICKER, "final_id": message["u"], "bid": (ticks(message["b"]), lots(message["B"]))}
        seen |= {"ask": (ticks(message["a"]), lots(message["A"]))}
    elif kind == "depthUpdate":
        seen |= {"kind": FrameKind.DEPTH_UPDATE, "first_id": message["U"], "final_id": message["u"]}
        seen |= {"previous_id": message.get("pu", -1), "bids": side(message["b"]), "asks": side(message["a"])}
    elif kind == "snapshot":
        seen |= {"kind": FrameKind.SNAPSHOT, "final_id": message["lastUpdateId"]}
        seen |= {"bids": side(message["bids"]), "asks": side(message["asks"])}
    elif kind == "trade":
        seen |= {"kind": FrameKind.TRADE, "trade_id": message["t"], "trade": (ticks(message["p"]), lots(message["q"]))}
        seen["flags"] |= FLAG_BUYER_IS_MAKER if message["m"] else 0
        seen["flags"] |= FLAG_OFF_BOOK if message.get("X", "MARKET") != "MARKET" else 0
    return seen


def decoded(decoder, wanted):
    frame, buffer = decoder.frame, decoder.buffer
    seen = {}
    for name in wanted:
        if name in ("bid", "ask", "trade"):
            level = getattr(frame, name)
            seen[name] = (level.price_ticks, level.quantity_lots)
        elif name in ("bids", "asks"):
            count = frame.bid_count if name == "bids" else frame.ask_count
            array = getattr(buffer, name)
            seen[name] = [(array[index].price_ticks, array[index].quantity_lots) for index in range(count)]
        else:
            seen[name] = getattr(frame, name)
    return seen


@pytest.mark.parametrize(
    ("file", "one", "off_grid_count"),
    [
        ("spot/btcusdt_20240808.gz", SPOT, 3),  # Old orders whose quantity lies between two of today's lots.
        ("spot/btcusdt_20240809.gz", SPOT, 4),
        ("usdm/btcusdt_20240808.gz", USDM, 0),
        ("cm/btcusd_perp_20240808.gz", COINM, 0),
    ],
)
def test_every_captured_frame_decodes_as_orjson_says(file, one, off_grid_count):
    path = CAPTURES / file
    if not path.exists():
        pytest.skip(f"no captures at {CAPTURES}: set CRYPTO_TRADE_DATA")
    decoder = decoder_of(one)
    count = off_grid = 0
    with gzip.open(path) as lines:
        for number, line in enumerate(lines):
            payload = line.split(b" ", 1)[1].rstrip(b"\n")
            kind = decoder.decode(payload, 0)
            assert kind != FrameKind.MALFORMED, (number, decoder.frame.error, payload[:200])
            off_grid += decoder.frame.off_grid_count
            wanted = naive(payload, one)
            assert decoded(decoder, wanted) == wanted, number
            count += 1
    assert count > 40_000
    assert off_grid == off_grid_count


TICKER = b'{"u":400900217,"s":"BTCUSDT","b":"25.35","B":"31.21000","a":"25.36","A":"40.66000000"}'


def test_a_spot_ticker_is_told_without_an_event_name():
    decoder = decoder_of(SPOT)
    assert decoder.decode(TICKER) == FrameKind.BOOK_TICKER
    frame = decoder.frame
    assert (frame.final_id, frame.bid.price_ticks, frame.bid.quantity_lots) == (400900217, 2535, 3121000)
    assert (frame.ask.price_ticks, frame.ask.quantity_lots, frame.slot) == (2536, 4066000, 0)


HEAD = {"E": 11, "T": 10, "s": "BTCUSDT"}
FRAMES = {
    "ticker": {"e": "bookTicker", "u": 7, **HEAD, "b": "25.3", "B": "31.214", "a": "25.4", "A": "4"},
    "depth": {"e": "depthUpdate", **HEAD, "U": 5, "u": 9, "pu": 4, "b": [["0.1", "10"], ["2.0", "0.000"]],
              "a": [["0.6", "100.5"]], "st": 1, "ps": "BTCUSDT"},
    "empty depth": {"e": "depthUpdate", **HEAD, "U": 5, "u": 9, "pu": 4, "b": [], "a": []},
    "trade": {"e": "trade", **HEAD, "t": 52, "p": "61800.30", "q": "0.006", "X": "MARKET", "m": True},
    "insurance trade": {"e": "trade", **HEAD, "t": 52, "p": "1.3", "q": "0.006", "X": "INSURANCE_FUND", "m": False},
}  # fmt: skip


@pytest.mark.parametrize("name", FRAMES)
@pytest.mark.parametrize("is_combined", [False, True])
def test_the_order_of_the_fields_and_unknown_fields_do_not_matter(name, is_combined):
    rng = random.Random(name)
    for _ in range(60):
        fields = list(FRAMES[name].items())
        fields += [("zz", {"s": "ETHUSDT", "x": [1, "]}", {"q": None}]}), ("Y", [[], {}]), ("new", -1.5e3), ("f", False)]
        rng.shuffle(fields)
        message = dict(fields)
        if is_combined:
            envelope = [("stream", "btcusdt@x"), ("data", message)]
            rng.shuffle(envelope)
            message = dict(envelope)
        payload = orjson.dumps(message, option=rng.choice([0, orjson.OPT_INDENT_2]))
        decoder = decoder_of(USDM)
        decoder.decode(payload)
        wanted = naive(payload, USDM)
        assert decoded(decoder, wanted) == wanted, payload


def test_a_mark_price_carries_the_funding_rate_and_the_next_payment():
    payload = (
        b'{"e":"markPriceUpdate","E":1562305380000,"s":"BTCUSDT","p":"11794.15000000","ap":"11794.15","i":"11784.62659091",'
        b'"P":"11784.25641265","r":"-0.00038167","T":1562306400000}'
    )
    decoder = decoder_of(USDM)
    assert decoder.decode(payload) == FrameKind.MARK_PRICE
    frame = decoder.frame
    assert (frame.mark_price, frame.index_price, frame.funding_rate) == (11794.15, 11784.62659091, -0.00038167)
    assert (frame.next_funding_ms, frame.event_ms) == (1562306400000, 1562305380000)


def test_a_rest_snapshot_takes_its_symbol_from_the_hint_and_a_partial_depth_from_its_stream():
    body = b'{"lastUpdateId":160,"bids":[["0.24","10"]],"asks":[["0.26","100",[]]]}'
    decoder = decoder_of(SPOT)
    assert decoder.decode(body) == FrameKind.SNAPSHOT
    assert decoder.frame.error == FrameError.FOREIGN_SYMBOL
    assert decoder.decode(body, 0) == FrameKind.SNAPSHOT
    assert (decoder.frame.final_id, decoder.frame.bid_count, decoder.frame.ask_count) == (160, 1, 1)
    assert decoder.decode(b'{"stream":"btcusdt@depth5@100ms","data":' + body + b"}") == FrameKind.SNAPSHOT
    assert decoder.frame.slot == 0
    assert decoder.buffer.asks[0].quantity_lots == 10_000_000


@pytest.mark.parametrize(
    ("payload", "answer_id", "code", "text"),
    [
        (b'{"result":null,"id":312}', 312, 0, ""),
        (b'{"id":1,"result":["btcusdt@aggTrade"]}', 1, 0, ""),
        (b'{"result":null,"id":"a-b"}', -1, 0, ""),
        (b'{"code":2,"msg":"Invalid request: unknown variant"}', -1, 2, "Invalid request: unknown variant"),
        (b'{"code":0,"msg":"Unknown property"}', -1, -1, "Unknown property"),
        (b'{"error":{"code":3,"msg":"Invalid JSON"},"id":4}', 4, 3, "Invalid JSON"),
    ],
)
def test_answers_to_requests_are_told_from_data(payload, answer_id, code, text):
    decoder = decoder_of(SPOT)
    assert decoder.decode(payload) == FrameKind.ANSWER
    frame = decoder.frame
    assert (frame.answer_id, frame.code) == (answer_id, code)
    assert payload[frame.text_offset : frame.text_offset + frame.text_size].decode() == text


def test_a_shutdown_notice_is_understood_raw_and_combined():
    decoder = decoder_of(SPOT)
    assert decoder.decode(b'{"e":"serverShutdown","E":1}') == FrameKind.SERVER_SHUTDOWN
    assert decoder.decode(b'{"stream":"!serverShutdown","data":{"E":1}}') == FrameKind.SERVER_SHUTDOWN


@pytest.mark.parametrize(
    ("payload", "error"),
    [
        (b"", FrameError.NOT_JSON),
        (b"hello", FrameError.NOT_JSON),
        (b"[]", FrameError.NOT_JSON),
        (b"{", FrameError.NOT_JSON),
        (b'{"e"}', FrameError.NOT_JSON),
        (b'{"e":"trade",}', FrameError.NOT_JSON),
        (b'{"e":"trade"} x', FrameError.NOT_JSON),
        (b'{"a":"\\', FrameError.NOT_JSON),
        (TICKER[:-1], FrameError.NOT_JSON),
        (TICKER.replace(b'"25.35"', b'"25.3x"'), FrameError.BAD_NUMBER),
        (TICKER.replace(b'"25.35"', b'"1e5"'), FrameError.BAD_NUMBER),
        (TICKER.replace(b'"25.35"', b'"-25.35"'), FrameError.BAD_NUMBER),
        (TICKER.replace(b'"25.35"', b'"99999999999999999999"'), FrameError.BAD_NUMBER),
        (TICKER.replace(b'"25.35"', b'"25.351"'), FrameError.OFF_GRID),
        (TICKER.replace(b'"31.21000"', b'"31.21.1"'), FrameError.BAD_NUMBER),
        (TICKER.replace(b"400900217", b'"x"'), FrameError.BAD_NUMBER),
        (b'{"e":"depthUpdate","s":"BTCUSDT","U":1,"u":2,"b":[["1","2"]]}', FrameError.FIELD_MISSING),
        (b'{"e":"depthUpdate","s":"BTCUSDT","U":1,"u":2,"b":[["1"]],"a":[]}', FrameError.NOT_JSON),
        (b'{"e":"depthUpdate","s":"BTCUSDT","U":1,"u":2,"b":[["1","x"]],"a":[]}', FrameError.BAD_NUMBER),
        (b'{"e":"trade","s":"BTCUSDT","p":"1","q":"1"}', FrameError.FIELD_MISSING),
    ],
)  # fmt: skip
def test_bad_input_is_an_error_value(payload, error):
    decoder = decoder_of(SPOT)
    assert decoder.decode(payload) == FrameKind.MALFORMED
    assert decoder.frame.error == error


def test_a_quantity_between_two_lots_counts_as_the_whole_lots_in_it():
    decoder = decoder_of(SPOT)
    assert decoder.decode(TICKER.replace(b'"31.21000"', b'"31.210009"')) == FrameKind.BOOK_TICKER
    assert (decoder.frame.bid.quantity_lots, decoder.frame.off_grid_count) == (3121000, 1)


def test_a_delta_level_on_a_grid_of_the_past_is_left_out_and_counted():
    decoder = decoder_of(SPOT)
    payload = b'{"e":"depthUpdate","s":"BTCUSDT","U":1,"u":2,"b":[["1.234","5"],["1.23","5"]],"a":[]}'
    assert decoder.decode(payload) == FrameKind.DEPTH_UPDATE
    assert (decoder.frame.bid_count, decoder.frame.off_grid_count) == (1, 1)


def test_more_levels_than_the_buffer_holds_are_refused():
    decoder = FrameDecoder(decoder_of(SPOT).symbols, capacity=2)
    payload = b'{"e":"depthUpdate","s":"BTCUSDT","U":1,"u":2,"b":[["1","5"],["2","5"],["3","5"]],"a":[]}'
    assert decoder.decode(payload) == FrameKind.MALFORMED
    assert decoder.frame.error == FrameError.TOO_MANY_LEVELS


def test_random_damage_never_does_more_than_an_error_value():
    rng = random.Random(11)
    decoder = decoder_of(SPOT, COINM)
    seeds = [orjson.dumps(frame) for frame in FRAMES.values()] + [TICKER, b'{"result":null,"id":1}']
    bites = [b"", b'"', b"{", b"}", b"[", b"]", b",", b"\\", b"9", b"\xff", b"-"]
    for _ in range(20_000):
        payload = bytearray(rng.choice(seeds))
        for _ in range(rng.randint(1, 4)):
            place = rng.randrange(len(payload))
            payload[place : place + rng.randint(0, 3)] = rng.choice(bites)
            if not payload:
                break
        assert 0 <= decoder.decode(bytes(payload)) < FrameKind.KINDS


# ---- one stream out of two sessions ---------------------------------------------------------------------------


def intake_of(*instruments):
    intake = Intake()
    for one in instruments:
        intake.add(one)
    return intake, Session(), Session()


def ticker(update_id, bid="25.35", ask="25.36", quantity="1", symbol="BTCUSDT"):
    fields = {"u": update_id, "s": symbol, "b": bid, "B": quantity, "a": ask, "A": "2"}
    return orjson.dumps(fields)


def test_the_second_session_brings_only_duplicates_and_they_are_counted():
    intake, one, two = intake_of(SPOT)
    assert intake.take(one, ticker(10), 1000) == TOP_PRICE | TOP
    assert intake.take(two, ticker(10), 1001) == DUPLICATE
    assert intake.take(two, ticker(11, quantity="3"), 1002) == TOP
    assert intake.take(one, ticker(11, quantity="3"), 1003) == DUPLICATE
    assert intake.take(one, ticker(12, quantity="3"), 1004) == QUIET
    top = intake.top(0)
    assert (top.bid_ticks, top.bid_lots, top.update_id, top.receive_ns, top.duplicates) == (2535, 300000, 12, 1004, 2)
    assert (one.native.frames, one.native.duplicates, two.native.duplicates) == (3, 1, 1)
    assert one.has_seen(0, FrameKind.BOOK_TICKER)
    assert not one.has_seen(0, FrameKind.TRADE)


def test_a_ticker_without_a_time_is_dated_by_the_estimated_clock_of_the_venue():
    intake, one, _ = intake_of(SPOT)
    intake.native.exchange_minus_monotonic_ns = 5_000
    intake.take(one, ticker(10), 1000)
    assert intake.top(0).exchange_ns == 6_000


def test_trades_are_signed_by_their_taker_and_off_book_ones_are_ignored():
    intake, one, _ = intake_of(USDM)
    sell = orjson.dumps(FRAMES["trade"])
    assert intake.take(one, sell, 5) == TRADE
    assert (intake.top(0).last_trade_ticks, intake.top(0).last_trade_lots) == (618003, -6)
    assert intake.take(one, sell, 6) == DUPLICATE
    assert intake.take(one, sell.replace(b'"t":52', b'"t":53').replace(b"MARKET", b"ADL"), 6) == QUIET
    assert intake.take(one, sell.replace(b'"t":52', b'"t":54').replace(b"61800.30", b"0"), 6) == QUIET
    assert intake.top(0).last_trade_ticks == 618003


def test_the_newest_of_book_and_ticker_is_the_top():
    from reactor.market.book import Book

    intake, one, _ = intake_of(SPOT)
    book = Book(16)
    intake.take(one, ticker(10), 1000)
    book.load_pairs([(2530, 1)], [(2540, 1)], 9)
    assert intake.take_book(0, book, 1001, 0) == 0
    book.apply_pairs([(2531, 1)], [], 12)
    assert intake.take_book(0, book, 1002, 77) == TOP_PRICE | TOP
    assert (intake.top(0).bid_ticks, intake.top(0).exchange_ns) == (2531, 77)
    assert intake.take(one, ticker(11), 1003) == QUIET
    assert intake.top(0).bid_ticks == 2531


def test_deltas_that_were_seen_are_duplicates_and_their_levels_are_not_parsed():
    intake, one, two = intake_of(USDM)
    delta = orjson.dumps(FRAMES["depth"])
    assert intake.take(one, delta, 1) == DEPTH
    assert intake.frame.bid_count == 2
    intake.set_depth_id(0, 9)
    assert intake.take(two, delta, 2) == DUPLICATE
    assert intake.frame.bid_count == 0
    intake.forget(0)
    assert intake.take(two, delta, 3) == DEPTH


def test_mark_prices_reach_the_top_once():
    intake, one, two = intake_of(USDM)
    mark = b'{"e":"markPriceUpdate","E":100,"s":"BTCUSDT","p":"5.0","i":"4.5","r":"0.0001","T":900}'
    assert intake.take(one, mark, 1) == MARK
    assert intake.take(two, mark, 2) == DUPLICATE
    top = intake.top(0)
    assert (top.mark_price, top.funding_rate, top.next_funding_ms) == (5.0, 0.0001, 900)


def test_strangers_are_refused_and_counted():
    intake, one, _ = intake_of(SPOT)
    for payload in (b"", b"{}", b"\x00" * 100, ticker(1, symbol="ETHUSDT"), b'{"e":"kline","s":"BTCUSDT"}', b"[1]"):
        assert intake.take(one, payload, 1) & REFUSED
    assert one.native.refused == 6
    assert intake.take(one, b'{"result":null,"id":1}', 1) == CONTROL | NO_SLOT << 16


def test_a_frame_of_ten_megabytes_is_survived():
    intake, one, _ = intake_of(SPOT)
    assert intake.take(one, b'{"e":"depthUpdate","s":"BTCUSDT","U":1,"u":2,"b":[' + b'["1.00","1"],' * 800_000, 1) & REFUSED
    assert intake.take(one, b"[" * 10_000_000, 1) & REFUSED
    assert intake.take(one, b'{"x":' + b"[" * 10_000_000, 1) & REFUSED
    assert intake.take(one, ticker(3), 1) & TOP


def test_a_symbol_outside_the_instrument_table_is_followed_by_its_ids_only():
    intake, one, two = intake_of()
    intake.add("DOGEUSDT")
    payload = ticker(10, bid="0.123456", symbol="DOGEUSDT")
    assert intake.take(one, payload, 1) == QUIET
    assert intake.take(two, payload, 2) == DUPLICATE
    assert intake.top(0).bid_ticks == 0
