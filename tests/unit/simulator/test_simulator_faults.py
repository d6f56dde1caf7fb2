"""Faults: set, changed, struck."""

import random
from collections import Counter

import pytest

from omisync.simulator.faults import KINDS, BadFaultError, Fault, Faults
from omisync.simulator.ledger import Ledger


def made() -> Faults:
    return Faults(random.Random(7), Ledger())  # noqa: S311 - chance, no secret


def test_none_strikes_until_it_is_switched_on() -> None:
    faults = made()
    assert not faults.any
    assert all(faults.strikes(kind, "order.add") is None for kind in KINDS)
    assert faults.stranger() == 0


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (0.25, Fault(rate=0.25, statuses=(500, 502, 503))),
        (1, Fault(rate=1.0, statuses=(500, 502, 503))),
        (True, Fault(rate=1.0, statuses=(500, 502, 503))),
        ({"statuses": [418], "times": 2}, Fault(rate=1.0, statuses=(418,), times=2)),
        (
            {"rate": 0.5, "endpoints": "order.add, shop.*"},
            Fault(rate=0.5, statuses=(500, 502, 503), endpoints=("order.add", "shop.*")),
        ),
        (["a", "b"], Fault(rate=1.0, statuses=(500, 502, 503), values=("a", "b"))),
        (None, None),
        (False, None),
        (0, None),
        ({"rate": 0}, None),
        ({"times": 0}, None),
    ],
)
def test_a_fault_is_set_in_short_or_in_full(value: object, expected: Fault | None) -> None:
    faults = made()
    faults.patch({"error_before": value})
    assert faults.get("error_before") == expected
    assert faults.any is (expected is not None)


def test_a_patch_changes_what_it_names_and_keeps_the_rest() -> None:
    faults = made()
    faults.set("slow", 0.5, seconds=2, endpoints=["order.list"])
    assert faults.get("slow") == Fault(rate=0.5, seconds=(2.0, 2.0), endpoints=("order.list",))
    faults.set("slow", seconds=[1, 3])
    assert faults.get("slow") == Fault(rate=0.5, seconds=(1.0, 3.0), endpoints=("order.list",))
    faults.patch({"slow": 0.1})
    assert faults.get("slow") == Fault(rate=0.1, seconds=(1.0, 3.0), endpoints=("order.list",))
    faults.patch({"slow": True})
    assert faults.get("slow") == Fault(rate=1.0, seconds=(1.0, 3.0), endpoints=("order.list",))
    faults.patch({})
    assert faults.get("slow") == Fault(rate=1.0, seconds=(1.0, 3.0), endpoints=("order.list",))


def test_defaults_are_those_of_the_kind() -> None:
    faults = made()
    faults.set("error_after")
    fault = faults.get("error_after")
    assert fault is not None
    assert fault.endpoints == ("order.add", "order.cancel")
    assert faults.strikes("error_after", "order.list") is None
    assert faults.strikes("error_after", "order.add") is fault
    assert faults.status(fault) in {500, 502, 503}


def test_the_stranger_is_told_in_calls_a_minute() -> None:
    faults = made()
    faults.patch({"stranger": 20})
    assert faults.stranger() == 20
    faults.patch({"stranger": {"per_minute": 30}})
    assert faults.stranger() == 30
    faults.patch({"stranger": 0})
    assert faults.stranger() == 0


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"no_such": 1}, "no fault 'no_such'; there are outage, error_before"),
        ({"slow": "often"}, "slow: a number, true, false, null, a list or an object is wanted"),
        ({"slow": 1.5}, "slow.rate: Input should be less than or equal to 1"),
        ({"slow": {"second": 1}}, "slow.second"),
        ({"slow": {"seconds": [1]}}, "slow.seconds"),
        ({"slow": {"times": -1}}, "slow.times: Input should be greater than or equal to 0"),
    ],
)
def test_nonsense_is_refused_by_name_and_changes_nothing(changes: dict[str, object], message: str) -> None:
    faults = made()
    with pytest.raises(BadFaultError, match=message.replace("(", r"\(")):
        faults.patch({"outage": True, **changes})
    assert not faults.any


def test_a_rate_is_about_kept_and_the_seed_decides() -> None:
    faults, ledger = made(), Ledger()
    faults.set("push_drop", 0.3)
    struck = [faults.strikes("push_drop") is not None for _ in range(1000)]
    assert 250 < sum(struck) < 350
    again = Faults(random.Random(7), ledger)  # noqa: S311 - chance, no secret
    again.set("push_drop", 0.3)
    assert [again.strikes("push_drop") is not None for _ in range(1000)] == struck
    assert ledger.faults == Counter(push_drop=sum(struck))


def test_times_counts_down_and_switches_off() -> None:
    faults = made()
    faults.set("reset_after", times=2, endpoints=["order.add"])
    assert faults.strikes("reset_after", "order.cancel") is None
    assert faults.strikes("reset_after", "order.add")
    assert faults.strikes("reset_after", "order.add")
    assert faults.strikes("reset_after", "order.add") is None
    assert not faults.any


def test_values_limit_a_fault() -> None:
    faults = made()
    faults.patch({"poison_order": ["WEB-7", "WEB-8"]})
    assert faults.strikes("poison_order", "order.add", value="WEB-7")
    assert faults.strikes("poison_order", "order.add", value="WEB-9") is None


def test_some_or_all_are_switched_off() -> None:
    faults = made()
    faults.patch({"slow": 1, "outage": True, "push_drop": 1})
    faults.off("outage", "error_before")
    assert faults.get("outage") is None
    assert faults.any
    faults.off()
    assert not faults.any


def test_seconds_lie_within_the_span() -> None:
    faults = made()
    assert all(2 <= faults.seconds(Fault(seconds=(2, 3))) <= 3 for _ in range(50))


def test_the_json_shows_every_kind() -> None:
    faults = made()
    faults.set("slow", 0.5)
    shown = faults.as_json()
    assert list(shown) == list(KINDS)
    assert shown["slow"] == {
        "rate": 0.5,
        "times": None,
        "endpoints": ("*.list", "order.detail", "location.*"),
        "seconds": (1, 10),
        "statuses": (),
        "values": (),
        "per_minute": 0.0,
    }
    assert made().as_json()["outage"] == {
        "rate": 0.0,
        "times": None,
        "endpoints": ("*",),
        "seconds": (0.0, 0.0),
        "statuses": (503,),
        "values": (),
        "per_minute": 0.0,
    }
