"""What Omisell's refusals mean and what to do about them, in plain words; a table that grows with what is met.

Omisell's own list of errors was never seen [omisell-api 8]: each line here is a guess from the guide's rules at what
words a refusal uses, in English and Vietnamese, so it advises and decides nothing.
"""

import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from omisync.checks.findings import Finding

ADVICE: Final = "What to do: "
"""Before the line that follows Omisell's own words."""

SEEN: Final = "Seen before it was sent: "
"""Before what the checks had found: often that names the cure."""


@dataclass(frozen=True, slots=True)
class Known:
    """A refusal that is known.

    Attributes:
        words: what its text holds, in lower case.
        advice: what to do, for the shop's staff.
    """

    words: re.Pattern[str]
    advice: str


def _known(words: str, advice: str) -> Known:
    return Known(re.compile(words, re.DOTALL), advice)


_MISSING: Final = r"(not|n't|n’t|non-?) ?exist|not found|invalid|unknown|không (còn )?(tồn tại|hợp lệ|tìm thấy)"

TABLE: Final = (
    _known(
        r"order[ _]?number.{0,60}(exist|duplicat|already)|(exist|duplicat|already).{0,60}order[ _]?number"
        r"|mã đơn hàng.{0,60}(tồn tại|trùng)",
        "an order of this number is at Omisell already. See `omisync orders show NUMBER`; if it is another order, give "
        "the new one a number of its own.",
    ),
    _known(
        rf"\bsku\b.{{0,200}}({_MISSING}|cannot be ordered)|({_MISSING}).{{0,60}}\bsku\b",
        "put the product into Omisell's catalogue with exactly this SKU (or set checks.create_products) and run "
        "`omisync outbox retry ID`; or correct the SKU (`omisync skus` lists them) and enqueue the order again.",
    ),
    _known(
        rf"(district|province|ward|receiver\.\w+_name|phường|quận|huyện|tỉnh).{{0,120}}({_MISSING}|address system)",
        "the names of province, district and subdistrict must be Omisell's own: `omisync locations` lists them, and "
        'checks.addresses = "fix" writes them so. Correct the address and enqueue the order again.',
    ),
    _known(
        rf"\bpickup\w*.{{0,80}}({_MISSING})",
        "`omisync pickups` lists the warehouses; put one's id into omisell.pickup_id or into the order.",
    ),
    _known(
        rf"\bshop\w*.{{0,80}}({_MISSING}|not a custom)",
        "`omisync shops` lists the shops; omisell.shop_id must be the custom store's.",
    ),
    _known(
        r"payment_?type|payment type",
        "payment_type is 1 COD, 2 bank transfer, 3 card, 4 cash, 6 QR code, 7 online banking, 8 instalment.",
    ),
    _known(r"payment_?status|payment status", "payment_status is 100 unpaid, 150 partly paid, 200 paid."),
    _known(
        r"created_?time|epoch|timestamp",
        "created_time is a whole number of seconds since 1970 (not milliseconds, not a text).",
    ),
    _known(r"quantity|số lượng", "every item needs a quantity, a whole number of 1 or more."),
    _known(r"phone|điện thoại", "write the phone number with digits only, such as +84901234567."),
    _known(
        r"(cannot|can't|can’t|not) be cancel|không thể h[uủ]",
        "an order that is on its way can no longer be cancelled; use Omisell's return flow.",
    ),
    _known(
        r"permission|forbidden|not allowed|không có quyền",
        "the API key may not do this: ask whoever manages the account at Omisell for the right.",
    ),
    _known(
        r"required|bắt buộc|may not be (null|blank)",
        "fill in the field that is named; `omisync validate` shows what else is missing.",
    ),
)


def advice_on(said: str) -> str | None:
    """What to do about a refusal in these words; None if it is not known."""
    text = unicodedata.normalize("NFC", said).casefold()
    return next((known.advice for known in TABLE if known.words.search(text)), None)


def explained(said: str, findings: Iterable[Finding] = ()) -> str:
    """Omisell's words as they are; below them what had been seen wrong, and what to do, if that is known."""
    seen = "; ".join(map(str, findings))
    advice = advice_on(said)
    lines = (said, f"{SEEN}{seen}." if seen else None, None if advice is None else f"{ADVICE}{advice}")
    return "\n".join(line for line in lines if line is not None)
