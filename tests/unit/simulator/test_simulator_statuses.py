"""The guide's status table."""

import pytest

from omisync.simulator import statuses


def test_the_usual_path_leads_from_new_to_completed() -> None:
    path = [200]
    while (following := statuses.following(path[-1])) is not None:
        path.append(following)
    assert path == [200, 250, 300, 350, 400, 460, 500, 600, 900]


@pytest.mark.parametrize(("beside", "back"), [(260, 300), (360, 400), (370, 400), (380, 400), (440, 460)])
def test_from_beside_the_path_it_leads_back_to_it(beside: int, back: int) -> None:
    assert statuses.following(beside) == back


@pytest.mark.parametrize("final", [700, 701, 702, 703, 708, 799, 800, 850, 900])
def test_final_statuses_lead_nowhere_and_cannot_be_cancelled(final: int) -> None:
    assert statuses.is_final(final)
    assert statuses.following(final) is None
    assert not statuses.can_cancel(final)


@pytest.mark.parametrize(("status_id", "expected"), [(200, True), (370, True), (460, True), (500, False), (600, False)])
def test_an_order_can_be_cancelled_until_it_is_shipped(status_id: int, expected: bool) -> None:
    assert statuses.can_cancel(status_id) is expected


def test_only_the_guides_events_are_pushed() -> None:
    pushed = {status_id: statuses.event_of(status_id) for status_id in statuses.NAMES if statuses.event_of(status_id)}
    assert pushed == {
        200: "order.created",
        460: "order.ready_to_ship",
        500: "order.shipped",
        700: "order.cancelled",
        701: "order.cancelled",
        702: "order.cancelled",
        703: "order.cancelled",
        708: "order.cancelled",
        800: "order.returned",
        900: "order.completed",
    }
    assert set(pushed.values()) <= set(statuses.EVENTS)


def test_names_are_localised_and_unknown_ones_do_not_fail() -> None:
    assert statuses.name_of(460, "en") == "Ready to Ship"
    assert statuses.name_of(460, "vi") == "Sẵn sàng giao"
    assert statuses.name_of(612, "en") == "Status 612"
    assert statuses.name_of(612, "vi") == "Trạng thái 612"


def test_every_order_status_has_a_shipment_status_with_a_name() -> None:
    for status_id in statuses.NAMES:
        assert statuses.shipment_of(status_id) in statuses.SHIPMENT_NAMES
    assert statuses.shipment_name_of(statuses.shipment_of(500), "en") == "Shipped"
    assert statuses.shipment_name_of(statuses.shipment_of(703), "vi") == "Đã huỷ"
