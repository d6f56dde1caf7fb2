"""Thousands of answers that nobody foresaw: each is read as a value that Postgres can hold, or is one of our errors.

The long form: `python -m tests.fuzz`.
"""

import json
import random
from collections.abc import Sequence

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.fuzz.account import ACCOUNT
from tests.fuzz.answers import Reader, reading
from tests.fuzz.mutations import mutations
from tests.fuzz.shapes import ANSWER, STATUS

READER = Reader(ACCOUNT)


@settings(max_examples=20, deadline=None, suppress_health_check=list(HealthCheck), database=None)
@given(answer=ANSWER, status=STATUS, chance=st.integers(0, 2**32))
def test_no_answer_of_omisells_is_more_than_an_error_of_ours(answer: bytes, status: int, chance: int) -> None:
    dice = random.Random(chance)  # noqa: S311 - the same again for an example
    reading(READER, [(status, each) for each in mutations(answer, 30, dice)])


@pytest.mark.parametrize(
    ("data", "calls"),
    [
        ({"omisell_order_number": "ODVN-1"}, ["order.add", "order.detail"]),
        ({"count": 1, "results": [{"omisell_order_number": "ODVN-1"}]}, ["order.list"]),
        ({"token": "t", "expired_time": 1_790_000_000}, ["token.get", "token.refresh"]),
    ],
)
def test_a_good_answer_is_taken(data: dict[str, object], calls: Sequence[str]) -> None:
    # else all that is fuzzed would be errors
    assert reading(READER, [(200, json.dumps({"data": data}).encode())], calls) == len(calls)
