"""The configuration as JSON, and changed by JSON."""

import pytest

from omisync.simulator import LifeConfig, ListConfig, PushConfig, SimulatorConfig
from omisync.simulator.control import dump, merged


def test_the_defaults_are_the_documents() -> None:
    config = SimulatorConfig()
    assert (config.bucket.size, config.bucket.leak_per_minute, config.bucket.throttle_status) == (100, 100, 429)
    assert (config.tokens.lifetime, config.tokens.refresh_lifetime) == (86_400, 1_209_600)
    assert (config.lists.default_page_size, config.lists.max_page_size, config.lists.lag) == (20, 100, (0.0, 5.0))
    assert (config.lists.half_open, config.lists.lookup_filter) == (False, False)
    assert config.orders.duplicates == "reject"
    assert config.push.retries == (300, 600, 1200, 2400, 4800)
    assert config.push.timeout == 3
    assert config.clock_factor == 1


def test_a_change_keeps_what_it_does_not_name() -> None:
    config = SimulatorConfig(push=PushConfig(secret="mine"), lists=ListConfig(lag=(1, 2)))
    changed = merged(config, {"push": {"callback_url": "http://127.0.0.1:1/"}, "language": "vi"})
    assert changed.push == PushConfig(secret="mine", callback_url="http://127.0.0.1:1/")
    assert changed.lists == config.lists
    assert changed.language == "vi"
    assert changed.account == config.account
    assert merged(config, {}) == config


def test_mappings_among_the_options_are_replaced_whole() -> None:
    changed = merged(SimulatorConfig(), {"life": {"delays": {"200": 5}, "automatic": True}})
    assert changed.life == LifeConfig(delays={200: 5}, automatic=True)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"pusch": {}}, "pusch: no such option; there are account, bucket"),
        ({"push": {"secrets": "x"}}, "push.secrets: no such option"),
        ({"push": 5}, "push"),
        ({"language": "fr"}, "language: Input should be 'en' or 'vi'"),
        ({"lists": {"lag": 5}}, "lists.lag"),
    ],
)
def test_nonsense_is_refused_by_name(changes: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        merged(SimulatorConfig(), changes)


def test_the_json_leaves_out_the_long_lists() -> None:
    shown = dump(SimulatorConfig())
    account = shown["account"]
    assert isinstance(account, dict)
    assert account["api_key"] == "k_demo"
    assert "locations" not in account
    assert "products" not in account
