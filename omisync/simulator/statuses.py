"""Omisell's order statuses: names, the usual path, what is final, and which event each one pushes."""

from collections.abc import Mapping
from typing import Final

NEW: Final = 200
CANCELLATION_REQUESTED: Final = 370
READY_TO_SHIP: Final = 460
SHIPPED: Final = 500
CANCELLED: Final = 700
RETURNED: Final = 800
COMPLETED: Final = 900

PATH: Final = (200, 250, 300, 350, 400, 460, 500, 600, 900)
"""The usual way of an order [omisell-api 7.1]."""

NAMES: Final[Mapping[int, tuple[str, str]]] = {
    200: ("New", "Mới"),
    250: ("Awaiting confirmation", "Chờ xác nhận"),
    260: ("Courier allocation", "Phân bổ vận chuyển"),
    300: ("Approved", "Đã duyệt"),
    350: ("Awaiting Generate Label", "Chờ tạo nhãn"),
    360: ("Exception - Ready to Ship", "Ngoại lệ - Sẵn sàng giao"),
    370: ("Cancellation Requested", "Yêu cầu huỷ"),
    380: ("Label Generation Errors", "Lỗi tạo nhãn"),
    400: ("Processing", "Đang xử lý"),
    440: ("Exceptions", "Ngoại lệ"),
    460: ("Ready to Ship", "Sẵn sàng giao"),
    500: ("Shipped", "Đã giao vận chuyển"),
    600: ("Delivering", "Đang giao hàng"),
    700: ("Cancelled by seller", "Huỷ bởi người bán"),
    701: ("Cancelled by operator", "Huỷ bởi vận hành"),
    702: ("Cancelled by partner", "Huỷ bởi đối tác"),
    703: ("Cancelled by system", "Huỷ bởi hệ thống"),
    708: ("Cancelled by lost items at warehouse", "Huỷ do mất hàng tại kho"),
    800: ("Returned", "Đã hoàn hàng"),
    850: ("Courier Lost Items", "Vận chuyển làm mất hàng"),
    900: ("Completed", "Hoàn thành"),
}
"""English names [guide], Vietnamese ones PROPOSED."""

SHIPMENT_NAMES: Final[Mapping[int, tuple[str, str]]] = {
    102: ("Awaiting label", "Chờ nhãn"),
    205: ("Unfulfilled", "Chưa xử lý"),
    215: ("Waiting for packing", "Chờ đóng gói"),
    220: ("Ready to ship", "Sẵn sàng giao"),
    277: ("Exception", "Ngoại lệ"),
    300: ("Shipped", "Đã giao vận chuyển"),
    310: ("In transit", "Đang vận chuyển"),
    400: ("Cancelled", "Đã huỷ"),
    800: ("Delivered", "Đã giao"),
    900: ("Returned", "Đã hoàn"),
}
"""A part of the sister product's table [sibling: onflow doc-672659]; 800 and 900 PROPOSED."""

_SHIPMENT_OF: Final[Mapping[int, int]] = {
    300: 205,
    350: 102,
    360: 277,
    370: 205,
    380: 277,
    400: 215,
    440: 277,
    460: 220,
    500: 300,
    600: 310,
    800: 900,
    850: 277,
    900: 800,
}

_EVENT_OF: Final[Mapping[int, str]] = {
    NEW: "order.created",
    READY_TO_SHIP: "order.ready_to_ship",
    SHIPPED: "order.shipped",
    COMPLETED: "order.completed",
    RETURNED: "order.returned",
}

EVENTS: Final = (
    "order.created",
    "order.ready_to_ship",
    "order.shipped",
    "order.completed",
    "order.returned",
    "order.cancelled",
    "order.reconciled",
    "order.return_receive",
)
"""All order events [guide]."""


def is_cancelled(status_id: int) -> bool:
    """Whether it is one of the cancellations, 700-799."""
    return 700 <= status_id < 800


def is_final(status_id: int) -> bool:
    """Whether Omisell calls it final [guide]."""
    return is_cancelled(status_id) or status_id in {RETURNED, 850, COMPLETED}


def can_cancel(status_id: int) -> bool:
    """Whether an order in that status can still be cancelled: not final, before Shipped [guide; PROPOSED]."""
    return status_id < SHIPPED and not is_final(status_id)


def following(status_id: int) -> int | None:
    """The next status on the usual path; None at its end.

    From beside the path (260, 360, 370, 380, 440) it leads back to the next higher one on it.
    """
    if is_final(status_id):
        return None
    return next((step for step in PATH if step > status_id), None)


def event_of(status_id: int) -> str | None:
    """The event that Omisell pushes when an order comes to that status; None for those in between [guide]."""
    return "order.cancelled" if is_cancelled(status_id) else _EVENT_OF.get(status_id)


def shipment_of(status_id: int) -> int:
    """The status of the parcels of an order in that status."""
    return 400 if is_cancelled(status_id) else _SHIPMENT_OF.get(status_id, 205)


def name_of(status_id: int, language: str) -> str:
    """An order status's name in `en` or `vi`."""
    return _name(NAMES, status_id, language)


def shipment_name_of(status_id: int, language: str) -> str:
    """A shipment status's name in `en` or `vi`."""
    return _name(SHIPMENT_NAMES, status_id, language)


def _name(names: Mapping[int, tuple[str, str]], status_id: int, language: str) -> str:
    english, vietnamese = names.get(status_id, (f"Status {status_id}", f"Trạng thái {status_id}"))
    return vietnamese if language == "vi" else english
