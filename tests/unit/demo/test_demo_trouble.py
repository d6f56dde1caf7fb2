"""What goes wrong on purpose, and when."""

from collections.abc import Awaitable, Callable

from omisync.demo.trouble import Blow, Kind, plan, strike


def test_a_short_run_meets_two_kills_and_one_restart_of_the_database() -> None:
    assert plan(10.0) == (Blow(2.0, "kill"), Blow(6.0, "restart"), Blow(7.0, "kill"))


def test_a_long_run_meets_them_again_and_again_and_crashes_of_the_database_too() -> None:
    blows = plan(600.0)
    assert [sum(blow.kind == kind for blow in blows) for kind in ("kill", "restart", "crash")] == [30, 5, 5]
    assert list(blows) == sorted(blows, key=lambda blow: blow.at)
    assert blows[0].at > 0
    assert blows[-1].at < 600


async def test_each_blow_falls_in_its_turn_and_is_told() -> None:
    told: list[str] = []

    def hand(kind: str) -> Callable[[], Awaitable[str]]:
        async def strike_once() -> str:
            return f"did {kind}"

        return strike_once

    now = iter(range(100))
    hands: dict[Kind, Callable[[], Awaitable[str]]] = {"kill": hand("kill"), "restart": hand("restart")}
    await strike((Blow(0.0, "kill"), Blow(0.5, "restart")), hands, told.append, clock=lambda: float(next(now)))
    assert told == ["did kill", "did restart"]
