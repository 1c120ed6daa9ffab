"""Client order ids: what is minted quickly is what is minted plainly, and it is read back."""

from hypothesis import given
from hypothesis import strategies as st

from reactor.domain.ids import NUMBER_MAX, ClientIds, Mint, order_id_of

IDS = ClientIds("ct")


@given(st.lists(st.tuples(st.integers(1, 2**24 - 1), st.integers(1, NUMBER_MAX)), min_size=1, max_size=20))
def test_any_ids_in_any_order_are_minted_as_plainly_rendered_ones(orders: list[tuple[int, int]]):
    mint = Mint(IDS)
    for epoch, number in orders:
        order_id = order_id_of(epoch, number)
        assert mint.client_order_id(order_id).decode() == IDS.client_order_id(order_id)
        assert IDS.order_id(IDS.client_order_id(order_id)) == order_id


def test_two_thousand_orders_have_two_thousand_ids():
    mint = Mint(IDS)
    minted = [mint.client_order_id(order_id_of(7, number)) for number in range(1, 2001)]
    assert [text.decode() for text in minted] == [IDS.client_order_id(order_id_of(7, number)) for number in range(1, 2001)]
    assert len(set(minted)) == 2000
