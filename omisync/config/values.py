"""The kinds of value a configuration has beyond TOML's own: durations, sizes, addresses, names, URLs."""

from __future__ import annotations

import datetime
import ipaddress
import re
from dataclasses import dataclass
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import BeforeValidator, Field, SecretStr, StrictInt, ValidationInfo
from pydantic_core import PydanticCustomError

SECONDS_PER_UNIT = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
BYTES_PER_UNIT = {"B": 1, "KiB": 1024, "MiB": 1024**2, "GiB": 1024**3}

LONGEST_DURATION = 3650 * 86400.0
"""Seconds. Ten years: what is longer is a slip of the pen, and would overflow a timestamp."""

WRITTEN = "written"
"""Validation context of values that a person wrote down; numbers without a unit are refused there only."""

Network = ipaddress.IPv4Network | ipaddress.IPv6Network

_DURATION = re.compile(r"(\d{1,12}(?:\.\d{1,9})?)\s*(ms|s|m|h|d)", re.ASCII)
_SIZE = re.compile(r"(\d{1,12})\s*(B|KiB|MiB|GiB)", re.ASCII)
_CLOCK = re.compile(r"([01]\d|2[0-3]):([0-5]\d)", re.ASCII)
_IDENTIFIER = re.compile(r"[a-z_][a-z0-9_]{0,62}", re.ASCII)
_HOST_NAME = re.compile(r"(?!-)[A-Za-z0-9_.-]{1,253}(?<!-)", re.ASCII)


@dataclass(frozen=True, slots=True)
class Listen:
    """Where to listen: a host name or address and a TCP port (0: any free one)."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @property
    def is_loopback(self) -> bool:
        """Whether only this machine can connect."""
        return is_loopback(self.host)

    @property
    def reachable(self) -> str:
        """A host by which this machine reaches it: what stands for every interface is no address to call."""
        return {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(self.host, self.host)  # noqa: S104 - compared, not listened on


@dataclass(frozen=True, slots=True)
class Hours:
    """Hours of a day, from `begin` until `end`: over midnight where that is earlier, all day where it is the same."""

    begin: datetime.time
    end: datetime.time

    def hold(self, time: datetime.time) -> bool:
        """Whether a time of day is within."""
        if self.begin < self.end:
            return self.begin <= time < self.end
        return time >= self.begin or time < self.end


def is_loopback(host: str) -> bool:
    """Whether a host name or address, without brackets, means this machine only."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"


def refuse(why: str) -> PydanticCustomError:
    """An error whose text is shown to the user as it stands (it must not hold a secret)."""
    return PydanticCustomError("refused", "{why}", {"why": why})


def _was_written(info: ValidationInfo) -> bool:
    return bool(info.context and info.context.get(WRITTEN))


def parse_duration(text: str) -> float:
    """Seconds out of `"250ms"`, `"20s"`, `"10m"`, `"6h"`, `"7d"`.

    Raises:
        PydanticCustomError: (a ValueError) not a number with one of these units, zero, or over ten years.
    """
    match = _DURATION.fullmatch(text.strip())
    if match is None:
        raise refuse('expected a duration with its unit (ms, s, m, h, d), such as "250ms", "20s" or "7d"')
    return _checked_seconds(float(match[1]) * SECONDS_PER_UNIT[match[2]])


def _checked_seconds(seconds: float) -> float:
    if not 0 < seconds <= LONGEST_DURATION:
        raise refuse('expected a duration above zero and at most ten years, such as "20s"')
    return seconds


def _duration(value: Any, info: ValidationInfo) -> float:
    if isinstance(value, str):
        return parse_duration(value)
    if isinstance(value, int | float) and not isinstance(value, bool) and not _was_written(info):
        return _checked_seconds(float(value))
    raise refuse('expected a duration in quotes with its unit (ms, s, m, h, d), such as "250ms", "20s" or "7d"')


def parse_size(text: str) -> int:
    """Bytes out of `"512B"`, `"256KiB"`, `"4MiB"`, `"1GiB"`.

    Raises:
        PydanticCustomError: (a ValueError) not a whole number with one of these units, or zero.
    """
    match = _SIZE.fullmatch(text.strip())
    if match is None or int(match[1]) == 0:
        raise refuse('expected a size above zero with its unit (B, KiB, MiB, GiB), such as "256KiB"')
    return int(match[1]) * BYTES_PER_UNIT[match[2]]


def _size(value: Any, info: ValidationInfo) -> int:
    if isinstance(value, str):
        return parse_size(value)
    if isinstance(value, int) and not isinstance(value, bool) and value > 0 and not _was_written(info):
        return value
    raise refuse('expected a size in quotes with its unit (B, KiB, MiB, GiB), such as "256KiB"')


def parse_listen(text: str) -> Listen:
    """`host:port`, an IPv6 address in brackets.

    Raises:
        PydanticCustomError: (a ValueError) the text has another shape, or the port is beyond 65535.
    """
    host, colon, port = text.strip().rpartition(":")
    bracketed = host.startswith("[") and host.endswith("]")
    bare = host[1:-1] if bracketed else host
    if not colon or not port.isascii() or not port.isdigit() or int(port) > 65535 or not _is_host(bare, bracketed):
        raise refuse(
            'expected "address:port" with a port up to 65535, such as "127.0.0.1:8080", "[::1]:8080", '
            'or "0.0.0.0:8080" for every interface'
        )
    return Listen(bare, int(port))


def _is_host(host: str, bracketed: bool) -> bool:
    if bracketed:
        try:
            ipaddress.IPv6Address(host)
        except ValueError:
            return False
        return True
    return _HOST_NAME.fullmatch(host) is not None


def _listen(value: Any) -> Listen:
    if isinstance(value, Listen):
        return value
    if isinstance(value, str):
        return parse_listen(value)
    raise refuse('expected "address:port" in quotes, such as "127.0.0.1:8080"')


def _clock(value: Any) -> datetime.time:
    if isinstance(value, datetime.time):
        return value
    if isinstance(value, str) and (match := _CLOCK.fullmatch(value.strip())):
        return datetime.time(int(match[1]), int(match[2]))
    raise refuse('expected a time of day as "HH:MM", such as "03:30"')


def _hours(value: Any) -> Hours:
    if isinstance(value, Hours):
        return value
    if isinstance(value, str):
        begin, _, end = value.replace(" ", "").partition("-")
        if _CLOCK.fullmatch(begin) and (_CLOCK.fullmatch(end) or end == "24:00"):
            return Hours(_clock(begin), _clock("00:00" if end == "24:00" else end))
    raise refuse('expected hours of the day as "HH:MM-HH:MM", such as "01:00-06:00"; "00:00-24:00" is all day')


def _schema_name(value: Any) -> str:
    if isinstance(value, str) and _IDENTIFIER.fullmatch(value) and not value.startswith("pg_"):
        return value
    raise refuse(
        "expected a plain lower-case name: letters, digits and underscores, at most 63, not beginning with a "
        'digit or pg_, such as "omisync"'
    )


def _function_name(value: Any) -> str:
    if isinstance(value, str):
        parts = value.split(".")
        if len(parts) <= 2 and all(_IDENTIFIER.fullmatch(part) for part in parts):
            return value
    raise refuse('expected the name of a SQL function, such as "shop.on_order_change", without parentheses')


def _dsn(value: Any) -> SecretStr:
    text = value.get_secret_value() if isinstance(value, SecretStr) else value
    if isinstance(text, str) and re.fullmatch(r"postgres(ql)?://\S+", text):
        return SecretStr(text)
    raise refuse('expected a libpq URL, such as "postgresql://user:password@127.0.0.1:5432/shop"')


def _base_url(value: Any) -> str:
    parts = _split_url(value)
    if parts is None or parts[0] not in {"http", "https"} or not parts[1]:
        raise refuse('expected a URL without user, query or fragment, such as "https://api.omisell.com"')
    if parts[0] == "http" and not is_loopback(parts[1]):
        raise refuse("plain http is for this machine only (it would show the token to the network): use https")
    return str(value).strip().rstrip("/")


def _split_url(value: Any) -> tuple[str, str] | None:
    """Scheme and host of a URL that has no user, query or fragment."""
    if not isinstance(value, str) or re.search(r"\s", value.strip()):
        return None
    try:
        parts = urlsplit(value.strip())
        port_is_fine = parts.port is None or parts.port > 0
    except ValueError:
        return None
    plain = "@" not in parts.netloc and not parts.query and not parts.fragment and port_is_fine
    return (parts.scheme, parts.hostname or "") if plain else None


def _callback_url(value: Any) -> str:
    if isinstance(value, str) and re.fullmatch(r"https?://[^\s/]\S*", value):
        return value
    raise refuse(
        'expected the public URL exactly as registered at Omisell, such as "https://shop.example/webhooks/omisell"'
    )


def _receiver_url(value: Any) -> str:
    parts = _split_url(value)
    if parts is None or parts[0] not in {"http", "https"} or not parts[1]:
        raise refuse('expected the URL of an OTLP receiver, such as "http://127.0.0.1:4318/v1/traces"')
    return str(value).strip()


def _url_path(value: Any) -> str:
    if isinstance(value, str) and re.fullmatch(r"/[^\s?#{}]*", value):
        return value
    raise refuse(
        'expected a path that begins with a slash and has neither query nor braces, such as "/webhooks/omisell"'
    )


def _order_path(value: Any) -> str:
    path = value.replace("{omisell_order_number}", "0", 1) if isinstance(value, str) else value
    if _url_path(path) == value:
        raise refuse('expected a path with the place of the number, such as "/orders/{omisell_order_number}"')
    return str(value)


def _file_name(value: Any) -> str:
    if isinstance(value, str) and value.strip() and not any(ord(character) < 32 for character in value):
        return value
    raise refuse('expected the name of a file in quotes, such as "/etc/omisync/tls/fullchain.pem"')


def parse_network(text: str) -> Network:
    """`203.0.113.0/24`, `2001:db8::/32`, or one address.

    Raises:
        PydanticCustomError: (a ValueError) the text is no such thing, or names a host within the network.
    """
    try:
        network = ipaddress.ip_network(text.strip(), strict=False)
    except ValueError:
        raise refuse(
            'expected addresses or networks in quotes, such as ["203.0.113.7", "198.51.100.0/24", "2001:db8::/32"]'
        ) from None
    if ipaddress.ip_address(text.strip().partition("/")[0]) != network.network_address:
        raise refuse(f'"{text.strip()}" is a host in a network: write "{network}", or the host alone')
    return network


def _networks(value: Any) -> tuple[Network, ...]:
    items = value if isinstance(value, list | tuple) else [value]
    return tuple(parse_network(item) if isinstance(item, str) else _as_network(item) for item in items)


def _proxies(value: Any) -> tuple[Network | Literal["unix"], ...]:
    items = value if isinstance(value, list | tuple) else [value]
    return tuple("unix" if item == "unix" else _networks([item])[0] for item in items)


def _as_network(value: Any) -> Network:
    if isinstance(value, ipaddress.IPv4Network | ipaddress.IPv6Network):
        return value
    return parse_network("")  # which says what is expected


def _seller_id(value: Any) -> str:
    text = str(value).strip() if isinstance(value, int | str) and not isinstance(value, bool) else ""
    if re.fullmatch(r"[A-Za-z0-9_-]{1,64}", text):
        return text
    raise refuse('expected the seller\'s id as a number or in quotes, such as 77 or "77"')


def _country(value: Any) -> str:
    if isinstance(value, str) and re.fullmatch(r"[A-Za-z]{2}", value):
        return value.upper()
    raise refuse('expected a two-letter country code, such as "VN"')


def _word(value: Any) -> str:
    if isinstance(value, str) and re.fullmatch(r"[A-Za-z0-9_.-]{1,64}", value):
        return value
    raise refuse("expected one word of letters, digits, underscores, dots and hyphens")


Duration = Annotated[float, BeforeValidator(_duration)]
"""Seconds, above zero."""
Size = Annotated[int, BeforeValidator(_size)]
"""Bytes, above zero."""
ListenAddress = Annotated[Listen, BeforeValidator(_listen)]
Clock = Annotated[datetime.time, BeforeValidator(_clock)]
OffPeak = Annotated[Hours, BeforeValidator(_hours)]
SchemaName = Annotated[str, BeforeValidator(_schema_name)]
FunctionName = Annotated[str, BeforeValidator(_function_name)]
Dsn = Annotated[SecretStr, BeforeValidator(_dsn)]
BaseUrl = Annotated[str, BeforeValidator(_base_url)]
CallbackUrl = Annotated[str, BeforeValidator(_callback_url)]
UrlPath = Annotated[str, BeforeValidator(_url_path)]
OrderPath = Annotated[str, BeforeValidator(_order_path)]
FileName = Annotated[str, BeforeValidator(_file_name)]
"""A file; a relative name is one in systemd's credentials, as for secrets."""
Networks = Annotated[tuple[Network, ...], BeforeValidator(_networks)]
Proxies = Annotated[tuple[Network | Literal["unix"], ...], BeforeValidator(_proxies)]
"""Networks, and "unix" for whoever may open the unix socket."""
SellerId = Annotated[str, BeforeValidator(_seller_id)]
Country = Annotated[str, BeforeValidator(_country)]
Word = Annotated[str, BeforeValidator(_word)]
Count = Annotated[StrictInt, Field(ge=1, le=1_000_000)]
"""A whole number from one to a million."""
Identity = Annotated[StrictInt, Field(ge=1, le=2**63 - 1)]
"""An id at Omisell, within Postgres's bigint."""
Rate = Annotated[float, Field(strict=True, gt=0, le=1_000_000)]
ReceiverUrl = Annotated[str, BeforeValidator(_receiver_url)]
Part = Annotated[float, Field(strict=True, gt=0, le=1)]
"""A part of a whole, 1 for all."""
Share = Annotated[float, Field(strict=True, ge=0, lt=1)]
"""A part of a whole, 0 for none."""
