"""How an order looks in answers: the row of a list, the full detail, the data of a push."""

from collections.abc import Mapping
from typing import Final

from omisync.simulator.account import Account
from omisync.simulator.config import SimulatorConfig
from omisync.simulator.envelope import Json
from omisync.simulator.numbers import amount, whole
from omisync.simulator.orders import Order, Parcel, State
from omisync.simulator.statuses import SHIPPED, is_cancelled, name_of, shipment_name_of, shipment_of

_PAYMENTS: Final[Mapping[int, tuple[str, str, str]]] = {
    1: ("cod", "COD", "Cash on delivery"),
    2: ("bank_transfer", "BANK_TRANSFER", "Bank transfer"),
    3: ("card", "CARD", "Visa/Master/Amex"),
    4: ("cash", "CASH", "Cash"),
    6: ("qr_code", "QR_CODE", "QR code"),
    7: ("online_banking", "ONLINE_BANKING", "Online banking"),
    8: ("installment", "INSTALLMENT", "Installment"),
}
"""By `payment_type` [guide]; the texts PROPOSED."""

_INVOICE_FIELDS: Final = (
    *("tax_code", "company", "fullname", "address", "zip_code"),
    *("subdistrict_name", "district_name", "province_name", "country_name"),
)


def row(order: Order, state: State, config: SimulatorConfig) -> Json:
    """A row of Get Order List: a header only [omisell-api 4.1]."""
    fields: Json = {
        "order_number": order.order_number,
        "omisell_order_number": order.omisell_order_number,
        "status_id": state.status_id,
        "status_name": name_of(state.status_id, config.language),
        "created_time": order.created_time,
        "updated_time": state.updated_time,
    }
    if config.lists.extra_fields:
        fields |= {"shop_id": order.shop.shop_id, "platform": order.shop.platform}
    return fields


def push_data(order: Order, state: State, language: str) -> Json:
    """The `data` of an order's push, in the guide's types: status_id and created_time are strings."""
    return {
        "updated_time": state.updated_time,
        "order_number": order.order_number,
        "omisell_order_number": order.omisell_order_number,
        "status_id": str(state.status_id),
        "status_name": name_of(state.status_id, language),
        "is_fulfilled": is_fulfilled(state),
        "created_time": str(order.created_time),
    }


def is_fulfilled(state: State) -> bool:
    """Whether it has left the warehouse: true in the guide's sample of a shipped order."""
    return state.status_id >= SHIPPED and not is_cancelled(state.status_id)


def detail(order: Order, state: State, config: SimulatorConfig, account: Account) -> Json:
    """The `data` of Get Order Detail [api-5183983; omisell-api 4.2]."""
    body = order.body
    fee = amount(body.get("shipping_fee"))
    items = items_of(body)
    return {
        "seller_id": config.account.seller_id,
        "shop_id": order.shop.shop_id,
        "shop_name": order.shop.shop_name,
        "platform": order.shop.platform,
        "platform_name": order.shop.platform_name,
        "order_number": order.order_number,
        "omisell_order_number": order.omisell_order_number,
        "order_note": body.get("order_note") or None,
        "order_type": "normal",
        "status_id": state.status_id,
        "status_name": name_of(state.status_id, config.language),
        "is_fulfilled": is_fulfilled(state),
        "created_time": order.created_time,
        "updated_time": state.updated_time,
        "rts_time": state.rts_time,
        "shipped_time": state.shipped_time,
        "completed_time": state.completed_time,
        "seller_discount_amount": amount(body.get("seller_discount_amount")),
        "parcels": [_parcel(parcel, state, items, config.language, account) for parcel in state.parcels],
        "payment_information": _payments(order, fee, items),
        "invoice_information": _invoice(body.get("invoice_information")),
        "shipping_information": {
            "origin_shipping_fee": fee,
            "buyer_shipping_fee": fee,
            "seller_shipping_fee": 0,
            "platform_shipping_discount": 0,
        },
        "receiver": _receiver(order, account),
    }


def items_of(body: Mapping[str, object]) -> list[Mapping[str, object]]:
    """The lines of an Add Order body that are objects."""
    items = body.get("items")
    return [item for item in items if isinstance(item, Mapping)] if isinstance(items, list) else []


def _parcel(parcel: Parcel, state: State, items: list[Mapping[str, object]], language: str, account: Account) -> Json:
    shipment_status = shipment_of(state.status_id)
    catalogue: list[Json] = []
    inventory: list[Json] = []
    for position, quantity in parcel.lines:
        item = items[position]
        sku = str(item.get("sku", ""))
        product = account.products.get(sku)
        name = product.name if product else str(item.get("name", sku))
        original = amount(item.get("original_price"), product.price if product else 0)
        discounted = amount(item.get("discounted_price"), original)
        catalogue.append(
            {
                "catalogue_sku": sku,
                "product_name": name,
                "product_type": "single",
                "quantity": quantity,
                "weight": product.weight if product else 0,
                "original_price": original,
                "discounted_price": discounted,
                "discount_seller": original - discounted,
                "discount_platform": 0,
                "voucher_seller": 0,
                "voucher_platform": 0,
            }
        )
        inventory.append(
            {
                "inventory_sku": sku,
                "catalogue_sku": sku,
                "product_name": name,
                "quantity": quantity,
                "sale_price": discounted,
                "serial_numbers": [],
                "vendor_name": "",
                "vendor_id": "",
                "vendor_pickup_id": "",
            }
        )
    return {
        "package_number": parcel.package_number,
        "pickup_id": parcel.pickup_id,
        "omisell_shipment_number": parcel.shipment_number,
        "wms_order_number": "",
        "courier_tracking_number": parcel.tracking_number,
        "courier_name": parcel.courier_name,
        "courier_service": "Standard",
        "shipment_status": shipment_status,
        "shipment_status_name": shipment_name_of(shipment_status, language),
        "catalogue_items": catalogue,
        "inventory_items": inventory,
    }


def _payments(order: Order, fee: float, items: list[Mapping[str, object]]) -> list[Json]:
    given = order.body.get("payment_information")
    total = fee + sum(
        amount(item.get("discounted_price"), amount(item.get("original_price"))) * (whole(item.get("quantity")) or 0)
        for item in items
    )
    return [
        _payment(part, order, total)
        for part in (given if isinstance(given, list) else [given])
        if isinstance(part, Mapping) and part
    ]


def _payment(part: Mapping[str, object], order: Order, total: float) -> Json:
    origin, method, name = _PAYMENTS.get(whole(part.get("payment_type")) or 0, ("", "", ""))
    status = whole(part.get("payment_status")) or 100
    return {
        "origin_payment_method": origin,
        "payment_method": method,
        "payment_method_name": name,
        "transaction_amount": amount(part.get("transaction_amount"), total),
        "transaction_status": str(status),
        "transaction_code": str(part.get("transaction_code") or ""),
        "transaction_external_code": "",
        "transaction_reference": "",
        "transaction_time": order.created_time,
        "transaction_note": "",
    }


def _invoice(given: object) -> Json:
    if not isinstance(given, Mapping) or not given:
        return {}
    return {key: str(given.get(key) or "") for key in _INVOICE_FIELDS}


def _receiver(order: Order, account: Account) -> Json:
    given = order.body.get("receiver")
    if not isinstance(given, Mapping):
        return {}
    names = {key: str(given.get(f"{key}_name") or "") for key in ("province", "district", "subdistrict")}
    locations = account.locations
    province = locations.id_of("province", names["province"])
    district = locations.id_of("district", names["district"], province)
    subdistrict = locations.id_of("subdistrict", names["subdistrict"], district or province)
    hidden = order.shop.platform != "custom"
    return {
        "fullname": _masked(given.get("fullname"), hidden),
        "email": _masked(given.get("email"), hidden),
        "phone": _masked(given.get("phone"), hidden),
        "address": _masked(given.get("address"), hidden),
        "country": str(given.get("country") or "VN"),
        "zip_code": str(given.get("zip_code") or ""),
        "province_name": names["province"],
        "province_id": province,
        "district_name": names["district"],
        "district_id": district,
        "subdistrict_name": names["subdistrict"],
        "subdistrict_id": subdistrict,
    }


def _masked(value: object, hidden: bool) -> str:
    """A marketplace's orders carry masked personal data [code: node]."""
    text = str(value or "")
    return f"{text[:1]}****{text[-1:]}" if hidden and text else text
