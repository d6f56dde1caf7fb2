"""Before an order is sent: what is changed, what is only said, what keeps it back, what the timeline learns of it."""

import datetime as dt
import json
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field

import pytest

from omisync.checks.findings import Change, Finding
from omisync.omisell import Refused, Throttled, Unavailable
from omisync.store import StoreMisused
from omisync.store.mirrors import MirrorAge, MirrorName, PlaceRow
from omisync.sync.prepare import Checker, CheckRules, Hold, Prepared, Preparer, Unfit, Untouched
from omisync.sync.products import ProductMaker

READ = dt.datetime(2026, 9, 21, 3, tzinfo=dt.UTC)
PLACES = (
    PlaceRow("province", 1, "Hồ Chí Minh"),
    PlaceRow("district", 1, "Quận 1", "province", 1),
    PlaceRow("subdistrict", 1, "Phường Bến Nghé", "district", 1),
    PlaceRow("province", 2, "Hà Tĩnh"),
    PlaceRow("district", 2, "Huyện Kỳ Anh", "province", 2),
    PlaceRow("district", 3, "Thị xã Kỳ Anh", "province", 2),
)


def age(name: MirrorName, *, refreshed_at: dt.datetime | None = READ, offered: bool = True) -> MirrorAge:
    return MirrorAge(name, refreshed_at, None, 0.0, 1, offered, None)


@dataclass
class Copies:
    """Copies of Omisell's lists."""

    read: dict[MirrorName, MirrorAge] = field(
        default_factory=lambda: {name: age(name) for name in ("locations", "catalogue", "products")}
    )
    places: Sequence[PlaceRow] = PLACES
    skus: set[str] = field(default_factory=lambda: {"TEE-M"})
    readings: int = 0
    asked: list[list[str]] = field(default_factory=list)

    async def ages(self) -> dict[MirrorName, MirrorAge]:
        return self.read

    async def locations(self) -> list[PlaceRow]:
        self.readings += 1
        return list(self.places)

    async def unknown_skus(self, skus: Collection[str]) -> list[str]:
        self.asked.append(list(skus))
        return [sku for sku in skus if sku not in self.skus]

    async def put_sku(self, sku: str, name: str) -> None:
        self.skus.add(sku)


def rules(addresses: str = "off", phones: str = "off", skus: str = "off") -> CheckRules:
    return CheckRules(addresses, phones, skus, "VN")  # type: ignore[arg-type]


def order(*skus: str, **receiver: object) -> dict[str, object]:
    return {
        "order_number": "WEB-1",
        "receiver": {"fullname": "An", **receiver},
        "items": [{"sku": sku, "quantity": 1} for sku in skus or ("TEE-M",)],
    }


SPELLED = {"province_name": "TP.HCM", "district_name": "Q1", "subdistrict_name": "Phường Bến Nghé"}
CHANGES = (
    Change("receiver.province_name", "TP.HCM", "Hồ Chí Minh"),
    Change("receiver.district_name", "Q1", "Quận 1"),
)


async def test_without_checks_everything_is_sent_as_it_is() -> None:
    body = order(**SPELLED)
    assert await Untouched().prepare(body) == Prepared(body)
    assert await Checker(Copies(), rules()).prepare(body) == Prepared(body)
    assert Prepared(body).notes() == {}


async def test_fix_sends_omisells_spelling_and_says_what_was_changed() -> None:
    body = order(phone="0901234567", **SPELLED)
    prepared = await Checker(Copies(), rules(addresses="fix")).prepare(body)
    assert isinstance(prepared, Prepared)
    assert prepared.body == {
        **body,
        "receiver": {
            "fullname": "An",
            "phone": "0901234567",
            "province_name": "Hồ Chí Minh",
            "district_name": "Quận 1",
            "subdistrict_name": "Phường Bến Nghé",
        },
    }
    assert list(prepared.body) == list(body)
    assert prepared.changes == CHANGES
    assert prepared.notes() == {
        "changed": [
            {"field": "receiver.province_name", "given": "TP.HCM", "sent": "Hồ Chí Minh"},
            {"field": "receiver.district_name", "given": "Q1", "sent": "Quận 1"},
        ]
    }


async def test_report_sends_it_as_it_is_and_says_what_is_wrong() -> None:
    body = order(**SPELLED)
    prepared = await Checker(Copies(), rules(addresses="report")).prepare(body)
    assert prepared == Prepared(
        body,
        findings=(
            Finding("receiver.province_name", "Omisell writes it 'Hồ Chí Minh'"),
            Finding("receiver.district_name", "Omisell writes it 'Quận 1'"),
        ),
    )


async def test_fix_does_not_guess_report_sends_all_the_same() -> None:
    body = order(province_name="Ha Tinh", district_name="Ky Anh")
    why = (
        "receiver.district_name: fits more than one place of Omisell's address system: Huyện Kỳ Anh, Hà Tĩnh; "
        "Thị xã Kỳ Anh, Hà Tĩnh. Put the names of the right one into the order"
    )
    assert await Checker(Copies(), rules(addresses="fix")).prepare(body) == Unfit(why)
    prepared = await Checker(Copies(), rules(addresses="report")).prepare(body)
    assert isinstance(prepared, Prepared)
    assert prepared.body == body
    assert [str(finding) for finding in prepared.findings] == [why]


async def test_a_parcel_that_goes_abroad_is_not_held_against_this_countrys_places() -> None:
    body = order(country="th", province_name="กรุงเทพมหานคร")
    assert await Checker(Copies(), rules(addresses="fix")).prepare(body) == Prepared(body)
    at_home = await Checker(Copies(), rules(addresses="fix")).prepare(order(country="VN", province_name="Atlantis"))
    assert isinstance(at_home, Unfit)


@pytest.mark.parametrize(
    "read", [{}, {"locations": age("locations", refreshed_at=None)}, {"locations": age("locations", offered=False)}]
)
async def test_a_check_without_its_list_is_off(read: dict[MirrorName, MirrorAge]) -> None:
    body = order("XX", province_name="Atlantis")
    checker = Checker(Copies(read=read), rules(addresses="fix", skus="hold"))
    assert await checker.prepare(body) == Prepared(body)


async def test_an_empty_list_of_places_judges_nothing() -> None:
    body = order(province_name="Atlantis")
    assert await Checker(Copies(places=()), rules(addresses="fix")).prepare(body) == Prepared(body)


async def test_places_are_read_once_and_again_when_the_copy_was_renewed(monkeypatch: pytest.MonkeyPatch) -> None:
    copies = Copies(places=PLACES[3:])
    checker = Checker(copies, rules(addresses="fix"))
    body = order(**SPELLED)
    for _ in range(3):
        assert isinstance(await checker.prepare(body), Unfit)
    assert copies.readings == 1
    copies.places = PLACES
    copies.read["locations"] = age("locations", refreshed_at=READ + dt.timedelta(days=7))
    monkeypatch.setattr("omisync.sync.prepare.LOOK_AGAIN", 0.0)
    checker._look_at = 0.0
    for _ in range(3):
        assert isinstance(await checker.prepare(body), Prepared)
    assert copies.readings == 2


async def test_hold_waits_for_a_sku_and_lets_go_when_it_is_there() -> None:
    copies = Copies()
    checker = Checker(copies, rules(skus="hold"))
    assert await checker.prepare(order("TEE-M", "XX", "YY", "XX")) == Hold(
        "waits for what is not in Omisell's catalogue: SKU XX, YY; it goes by itself once it is", 60.0
    )
    copies.skus |= {"XX", "YY"}
    assert isinstance(await checker.prepare(order("TEE-M", "XX", "YY")), Prepared)


async def test_a_sku_that_is_known_is_not_asked_for_with_every_order(monkeypatch: pytest.MonkeyPatch) -> None:
    copies = Copies()
    checker = Checker(copies, rules(skus="hold"))
    assert isinstance(await checker.prepare(order("TEE-M", "XX")), Hold)
    assert isinstance(await checker.prepare(order("TEE-M")), Prepared)
    assert isinstance(await checker.prepare(order("TEE-M", "XX")), Hold)
    assert copies.asked == [["TEE-M", "XX"], ["XX"]]
    monkeypatch.setattr("omisync.sync.prepare.MOST_KNOWN", 1)
    copies.skus.add("XX")
    for _ in range(2):
        assert isinstance(await checker.prepare(order("TEE-M", "XX")), Prepared)
    assert copies.asked[2:] == [["XX"], ["TEE-M"]]


async def test_a_sku_that_left_the_catalogue_is_unknown_once_the_copy_was_renewed() -> None:
    copies = Copies()
    checker = Checker(copies, rules(skus="hold"))
    assert isinstance(await checker.prepare(order("TEE-M")), Prepared)
    copies.skus.clear()
    copies.read["catalogue"] = age("catalogue", refreshed_at=READ + dt.timedelta(hours=1))
    checker._look_at = 0.0
    assert isinstance(await checker.prepare(order("TEE-M")), Hold)


async def test_a_renewal_during_the_question_leaves_nothing_remembered_of_before() -> None:
    class Slow(Copies):
        async def unknown_skus(self, skus: Collection[str]) -> list[str]:
            answer = await super().unknown_skus(skus)
            if len(self.asked) == 1:
                self.skus.clear()
                self.read["catalogue"] = age("catalogue", refreshed_at=READ + dt.timedelta(hours=1))
                checker._look_at = 0.0
                await checker._look()
            return answer

    checker = Checker(Slow(), rules(skus="hold"))
    assert isinstance(await checker.prepare(order("TEE-M")), Prepared)
    assert isinstance(await checker.prepare(order("TEE-M")), Hold)


async def test_report_sends_an_unknown_sku_and_says_so() -> None:
    body = order("XX")
    expected = Prepared(body, findings=(Finding("items", "not in Omisell's catalogue: SKU XX"),))
    assert await Checker(Copies(), rules(skus="report")).prepare(body) == expected


async def test_a_reason_does_not_name_hundreds_of_skus() -> None:
    held = await Checker(Copies(), rules(skus="hold")).prepare(order(*(f"X{number:02}" for number in range(13))))
    assert isinstance(held, Hold)
    assert "X09 and 3 more;" in held.why
    assert "X10" not in held.why


async def test_phones_are_changed_only_when_told_to_and_never_written_down() -> None:
    body = order(phone="090 123 4567", email="an(at)shop")
    fixed = await Checker(Copies(), rules(phones="fix")).prepare(body)
    assert isinstance(fixed, Prepared)
    assert fixed.body["receiver"] == {"fullname": "An", "phone": "+84901234567", "email": "an(at)shop"}
    assert fixed.notes() == {
        "changed": [{"field": "receiver.phone"}],
        "noted": [{"field": "receiver.email", "why": "is no e-mail address"}],
    }
    reported = await Checker(Copies(), rules(phones="report")).prepare(body)
    assert isinstance(reported, Prepared)
    assert reported.body == body
    assert "090" not in json.dumps(reported.notes())


async def test_an_order_without_a_receiver_is_sent() -> None:
    body: dict[str, object] = {"order_number": "WEB-1", "items": None}
    checker: Preparer = Checker(Copies(), rules("fix", "fix", "hold"))
    assert await checker.prepare(body) == Prepared(body)


@dataclass
class Desk:
    """Omisell's Add Product, and the merchant's function, which has a product for what begins with P."""

    fault: Exception | None = None
    broken: Exception | None = None
    sent: list[str] = field(default_factory=list)

    async def product(self, sku: str) -> str | None:
        if self.broken is not None:
            raise self.broken
        return json.dumps({"sku": sku}) if sku.startswith("P") else None

    async def add_product(self, body: str) -> None:
        self.sent.append(body)
        if self.fault is not None:
            raise self.fault


def creating(desk: Desk, copies: Copies, skus: str = "hold") -> Checker:
    return Checker(copies, rules(skus=skus), ProductMaker(desk, desk, copies))


async def test_a_missing_product_is_made_known_and_the_order_goes() -> None:
    desk, copies = Desk(), Copies()
    assert isinstance(await creating(desk, copies).prepare(order("TEE-M", "P-1")), Prepared)
    assert desk.sent == ['{"sku": "P-1"}']
    assert copies.skus == {"TEE-M", "P-1"}


async def test_a_product_that_exists_already_is_as_good_as_made() -> None:
    desk = Desk(Refused("SKU P-1 already exists.", endpoint="product.add"))
    assert isinstance(await creating(desk, Copies()).prepare(order("P-1")), Prepared)


async def test_a_product_that_omisell_refuses_is_not_tried_with_every_order() -> None:
    desk = Desk(Refused("Price is missing.", endpoint="product.add"))
    checker = creating(desk, Copies())
    for _ in range(3):
        held = await checker.prepare(order("P-1"))
        assert isinstance(held, Hold)
        assert "SKU P-1 (Omisell refuses the product: Price is missing.)" in held.why
    assert len(desk.sent) == 1


async def test_a_product_that_the_merchant_does_not_describe_is_missing_as_before() -> None:
    desk = Desk()
    prepared = await creating(desk, Copies(), "report").prepare(order("X-1"))
    assert isinstance(prepared, Prepared)
    assert str(prepared.findings[0]) == (
        "items: not in Omisell's catalogue: SKU X-1 (checks.product_function has no product for it)"
    )
    assert desk.sent == []


async def test_a_function_that_fails_keeps_no_order_back_that_is_only_reported_on() -> None:
    desk = Desk(broken=StoreMisused("checks.product_function shop.product failed for SKU P-1: no price"))
    prepared = await creating(desk, Copies(), "report").prepare(order("P-1"))
    assert isinstance(prepared, Prepared)
    assert "shop.product failed for SKU P-1: no price" in prepared.findings[0].why


async def test_what_is_not_known_of_a_product_is_not_said_of_the_order() -> None:
    desk = Desk(Unavailable("time-out", maybe_applied=True, endpoint="product.add"))
    with pytest.raises(Unavailable) as caught:
        await creating(desk, Copies()).prepare(order("P-1"))
    assert (caught.value.maybe_applied, caught.value.endpoint) == (False, "product.add")
    desk.fault = Throttled(3.0, endpoint="product.add")
    with pytest.raises(Throttled):
        await creating(desk, Copies()).prepare(order("P-1"))
