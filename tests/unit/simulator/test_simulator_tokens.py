"""Access and refresh tokens."""

import random

from omisync.simulator.clock import ManualClock
from omisync.simulator.config import Live, SimulatorConfig, TokenConfig
from omisync.simulator.tokens import TokenDesk


def desk(config: TokenConfig | None = None) -> tuple[TokenDesk, ManualClock]:
    clock = ManualClock(start=1_000_000.0)
    live = Live(SimulatorConfig(tokens=config or TokenConfig()))
    return TokenDesk(live, clock.time, random.Random(1)), clock  # noqa: S311 - chance, no secret


def test_a_pair_has_the_documented_fields_and_lives() -> None:
    tokens, clock = desk()
    data = tokens.issue()
    assert set(data) == {"token", "expired_time", "refresh_token", "refresh_expired_time"}
    assert data["expired_time"] == 1_086_400
    assert data["refresh_expired_time"] == 1_086_400 + 1_209_600
    token = str(data["token"])
    assert tokens.is_good(token)
    assert not tokens.is_good("t.other")
    clock.advance(86_399)
    assert tokens.is_good(token)
    clock.advance(1)
    assert not tokens.is_good(token)


def test_a_refresh_rotates_and_leaves_the_old_ones_valid() -> None:
    tokens, clock = desk()
    first = tokens.issue()
    clock.advance(80_000)
    second = tokens.refresh(first["refresh_token"])
    assert second is not None
    assert second["refresh_token"] != first["refresh_token"]
    assert tokens.is_good(str(first["token"]))
    assert tokens.is_good(str(second["token"]))
    assert tokens.refresh(first["refresh_token"]) is not None
    assert tokens.refresh("r.other") is None
    assert tokens.refresh(None) is None
    clock.advance(1_500_000)
    assert tokens.refresh(second["refresh_token"]) is None


def test_single_use_and_one_token_at_a_time_are_options() -> None:
    tokens, _ = desk(TokenConfig(single_use_refresh=True, invalidate_previous=True))
    first = tokens.issue()
    second = tokens.refresh(first["refresh_token"])
    assert second is not None
    assert not tokens.is_good(str(first["token"]))
    assert tokens.refresh(first["refresh_token"]) is None
    assert tokens.refresh(second["refresh_token"]) is not None


def test_expired_time_can_be_left_out() -> None:
    tokens, _ = desk(TokenConfig(omit_expired_time=True))
    assert set(tokens.issue()) == {"token", "refresh_token", "refresh_expired_time"}


def test_tokens_can_be_revoked() -> None:
    tokens, _ = desk()
    first, second = tokens.issue(), tokens.issue()
    tokens.revoke(str(first["token"]))
    assert not tokens.is_good(str(first["token"]))
    assert tokens.is_good(str(second["token"]))
    tokens.revoke_all()
    assert not tokens.is_good(str(second["token"]))
    assert tokens.refresh(second["refresh_token"]) is not None
    tokens.revoke_all(refresh=True)
    assert tokens.refresh(second["refresh_token"]) is None


def test_expired_tokens_are_forgotten() -> None:
    tokens, clock = desk(TokenConfig(lifetime=1, refresh_lifetime=1))
    for _ in range(500):
        tokens.issue()
    clock.advance(10)
    last = tokens.issue()
    assert list(tokens._good.access) == [last["token"]]
    assert list(tokens._good.refresh) == [last["refresh_token"]]
