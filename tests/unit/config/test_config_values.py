"""Durations, sizes, addresses and names: what is taken and what is refused."""

import datetime as dt

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr, ValidationError

from omisync.config import (
    AdminSettings,
    DatabaseSettings,
    HooksSettings,
    Listen,
    OmisellPaths,
    OutboxSettings,
    ReconcileSettings,
    WebhookSettings,
    is_loopback,
    parse_duration,
    parse_size,
)
from omisync.config.settings import RetentionSettings
from omisync.config.values import Hours, parse_listen


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("250ms", 0.25), ("20s", 20.0), ("10m", 600.0), ("6h", 21600.0), ("7d", 604800.0), (" 1.5 s ", 1.5)],
)
def test_durations(text: str, seconds: float) -> None:
    assert parse_duration(text) == seconds


@pytest.mark.parametrize("text", ["", "20", "20S", "20 sec", "-5s", "0s", "0.0ms", "1h30m", "1e3s", "٣s", "4000d", "s"])
def test_what_is_no_duration(text: str) -> None:
    with pytest.raises(ValueError, match="expected a duration"):
        parse_duration(text)


@pytest.mark.parametrize(("text", "size"), [("512B", 512), ("256KiB", 262144), ("4MiB", 4194304), ("1GiB", 1073741824)])
def test_sizes(text: str, size: int) -> None:
    assert parse_size(text) == size


@pytest.mark.parametrize("text", ["", "256", "256KB", "256kib", "0B", "-1B", "1.5MiB"])
def test_what_is_no_size(text: str) -> None:
    with pytest.raises(ValueError, match="expected a size"):
        parse_size(text)


def test_programs_may_give_plain_numbers() -> None:
    assert OutboxSettings(settle=3).settle == 3.0
    assert WebhookSettings(authorization="none", max_body=1000).max_body == 1000
    with pytest.raises(ValidationError, match="above zero"):
        OutboxSettings(settle=0)
    with pytest.raises(ValidationError, match="expected a size"):
        WebhookSettings(authorization="none", max_body=0)
    with pytest.raises(ValidationError, match="expected a duration"):
        OutboxSettings(settle=True)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("127.0.0.1:8080", Listen("127.0.0.1", 8080)),
        ("0.0.0.0:80", Listen("0.0.0.0", 80)),  # noqa: S104 - parsed, not listened on
        ("[::1]:8080", Listen("::1", 8080)),
        ("localhost:0", Listen("localhost", 0)),
        ("shop-1.example:65535", Listen("shop-1.example", 65535)),
    ],
)
def test_addresses(text: str, expected: Listen) -> None:
    assert parse_listen(text) == expected
    assert str(expected) == text


@pytest.mark.parametrize(
    "text", ["", "8080", ":8080", "*:8080", "::1:8080", "[::1]", "[shop]:1", "a b:1", "x:65536", "x:-1", "x:", "x:٣"]
)
def test_what_is_no_address(text: str) -> None:
    with pytest.raises(ValueError, match='expected "address:port"'):
        parse_listen(text)


@given(st.text(max_size=40))
def test_no_text_breaks_the_parsers(text: str) -> None:
    for parse in (parse_duration, parse_size, parse_listen):
        try:
            parse(text)
        except ValueError as error:
            assert "expected" in str(error)  # noqa: PT017 - both outcomes are fine, but the error must be ours


def test_which_hosts_are_this_machine() -> None:
    assert [host for host in ("127.9.9.9", "::1", "localhost", "LOCALHOST") if not is_loopback(host)] == []
    assert [host for host in ("0.0.0.0", "::", "10.0.0.1", "localhost.example", "") if is_loopback(host)] == []  # noqa: S104 - compared only


@pytest.mark.parametrize("name", ["omisync", "shop_2", "_x"])
def test_schema_names(name: str) -> None:
    assert DatabaseSettings(dsn=SecretStr("postgres://h/d"), schema=name).schema == name


@pytest.mark.parametrize("name", ["Omisync", "1shop", "a-b", 'x"; DROP', "pg_own", "x" * 64, "", "ü"])
def test_a_schema_name_that_would_need_quoting(name: str) -> None:
    with pytest.raises(ValidationError, match="expected a plain lower-case name"):
        DatabaseSettings(dsn=SecretStr("postgres://h/d"), schema=name)


@pytest.mark.parametrize(
    "dsn", ["postgresql://db1,db2:5433/shop?target_session_attrs=read-write", "postgres:///shop?host=/run/postgresql"]
)
def test_libpq_urls(dsn: str) -> None:
    assert DatabaseSettings(dsn=SecretStr(dsn)).dsn.get_secret_value() == dsn


@pytest.mark.parametrize("dsn", ["host=x dbname=y", "postgresql://", "postgresql:/x", "postgresql://a b/c", "http://x"])
def test_what_is_no_libpq_url(dsn: str) -> None:
    with pytest.raises(ValidationError, match="expected a libpq URL"):
        DatabaseSettings(dsn=SecretStr(dsn))


@pytest.mark.parametrize("name", ["on_change", "shop.on_change"])
def test_hook_names(name: str) -> None:
    assert HooksSettings(on_change=name).on_change == name


@pytest.mark.parametrize("name", ["shop.on_change()", "a.b.c", "Shop", "x;y", 3])
def test_what_is_no_hook_name(name: object) -> None:
    with pytest.raises(ValidationError, match="expected the name of a SQL function"):
        HooksSettings.model_validate({"on_change": name})


def test_the_time_of_day() -> None:
    assert ReconcileSettings.model_validate({"full_at": "23:59"}).full_at == dt.time(23, 59)
    assert ReconcileSettings(full_at=dt.time(1, 2)).full_at == dt.time(1, 2)
    for wrong in ("24:00", "3:30", "03:60", "noon", 330):
        with pytest.raises(ValidationError, match="expected a time of day"):
            ReconcileSettings.model_validate({"full_at": wrong})


@pytest.mark.parametrize(
    "path",
    ["/orders", "orders/{omisell_order_number}", "/{omisell_order_number}/{x}", "/{omisell_order_number}?x=1", 3],
)
def test_a_path_of_one_order_has_the_place_of_its_number(path: object) -> None:
    with pytest.raises(ValidationError, match="expected a path"):
        OmisellPaths.model_validate({"order_detail": path})
    assert OmisellPaths(order_detail="/o/{omisell_order_number}/x").order_detail == "/o/{omisell_order_number}/x"


def test_programs_may_give_finished_values() -> None:
    assert AdminSettings(listen=Listen("::1", 1)).listen == Listen("::1", 1)
    assert AdminSettings(token=SecretStr("t")).token == SecretStr("t")
    with pytest.raises(ValidationError, match='expected "address:port" in quotes'):
        AdminSettings.model_validate({"listen": 8080})


@pytest.mark.parametrize(
    ("text", "within", "without"),
    [
        ("01:00-06:00", ["01:00", "05:59"], ["00:59", "06:00", "13:00"]),
        ("22:30 - 04:00", ["22:30", "23:59", "00:00", "03:59"], ["04:00", "22:29"]),
        ("20:00-24:00", ["20:00", "23:59"], ["00:00", "19:59"]),
        ("00:00-24:00", ["00:00", "12:00", "23:59"], []),
    ],
)
def test_hours_of_the_day(text: str, within: list[str], without: list[str]) -> None:
    hours = RetentionSettings.model_validate({"hours": text}).hours
    assert [hours.hold(dt.time.fromisoformat(time)) for time in within] == [True] * len(within)
    assert [hours.hold(dt.time.fromisoformat(time)) for time in without] == [False] * len(without)


@pytest.mark.parametrize(
    "given", ["", "01:00", "01-06", "1:00-6:00", "24:00-06:00", "01:00-06:00-07:00", "01:00–06:00", 1]
)
def test_what_are_no_hours(given: object) -> None:
    with pytest.raises(ValidationError, match='expected hours of the day as "HH:MM-HH:MM"'):
        RetentionSettings.model_validate({"hours": given})


def test_retention_as_it_comes_and_never_below_a_day() -> None:
    settings = RetentionSettings()
    assert (settings.hours, settings.pushes, settings.events) == (Hours(dt.time(1), dt.time(6)), 30 * 86400.0, None)
    for key in ("pushes", "events"):
        assert getattr(RetentionSettings.model_validate({key: "1d"}), key) == 86400.0
        with pytest.raises(ValidationError, match=r'is too short.*at least "1d"'):
            RetentionSettings.model_validate({key: "23h"})
