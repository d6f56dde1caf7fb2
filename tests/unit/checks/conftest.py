"""The real address systems of Vietnam, before and after the reform of 2025, as Omisell's lists would hold them."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from omisync.checks.addresses import Gazetteer
from omisync.checks.names import Location

DATA = Path(__file__).parent / "data"


def _lines(file: str) -> Iterator[str]:
    for line in (DATA / file).read_text("utf-8").splitlines():
        if not line.startswith("#"):
            yield line


def _until_2025() -> Iterator[Location]:
    province = district = ward = 0
    for line in _lines("divisions_until_2025.txt"):
        if not line.startswith(" "):
            province += 1
            yield Location("province", province, line)
            continue
        district += 1
        name, _, wards = line.strip().partition(":")
        yield Location("district", district, name, ("province", province))
        for each in filter(None, map(str.strip, wards.split(","))):
            ward += 1
            yield Location("subdistrict", ward, each, ("district", district))


def _since_2025() -> Iterator[Location]:
    province = ward = 0
    for line in _lines("divisions_since_2025.txt"):
        if not line.startswith(" "):
            province += 1
            yield Location("province", province, line)
            continue
        for each in line.strip().split(", "):
            ward += 1
            yield Location("subdistrict", ward, each, ("province", province))


@pytest.fixture(scope="session")
def old_rows() -> tuple[Location, ...]:
    """63 provinces, districts, wards."""
    return tuple(_until_2025())


@pytest.fixture(scope="session")
def new_rows() -> tuple[Location, ...]:
    """34 provinces, wards."""
    return tuple(_since_2025())


@pytest.fixture(scope="session")
def old(old_rows: tuple[Location, ...]) -> Gazetteer:
    """The division until June 2025."""
    return Gazetteer(old_rows)


@pytest.fixture(scope="session")
def new(new_rows: tuple[Location, ...]) -> Gazetteer:
    """The division since July 2025."""
    return Gazetteer(new_rows)
