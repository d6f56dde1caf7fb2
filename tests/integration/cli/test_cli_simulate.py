"""`omisync simulate`: its options, and the account that fits the merchant's own configuration."""

import asyncio
import json
import sys
import tomllib
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from omisync.simulator import Simulator, SimulatorConfig

SECONDS = 60


@pytest.fixture
def served(monkeypatch: pytest.MonkeyPatch) -> list[tuple[SimulatorConfig, str, int]]:
    """What the simulator was asked to serve; it is started, shown, and stopped at once."""
    asked: list[tuple[SimulatorConfig, str, int]] = []

    async def serve(config: SimulatorConfig, host: str, port: int, *, started: Any) -> None:
        asked.append((config, host, port))
        simulator = Simulator(config)
        await simulator.start(host, 0)
        try:
            started(simulator)
        finally:
            await simulator.stop()

    monkeypatch.setattr("omisync.simulator.serve", serve)
    return asked


async def test_by_default_it_prints_what_goes_into_the_configuration(cli: Any, served: Any) -> None:
    ran = await cli("simulate")
    assert (ran.code, ran.err) == (0, "")
    assert served == [(SimulatorConfig(), "127.0.0.1", 8090)]
    assert ran.lines[1] == "pushes go to nobody: give --callback-url"
    shown = tomllib.loads(ran.out[ran.out.index("[omisell]") :])["omisell"]
    assert shown.pop("base_url").startswith("http://127.0.0.1:")
    assert shown == {
        "api_key": "k_demo",
        "api_secret": "s_demo",
        "seller_id": 77,
        "country": "VN",
        "shop_id": 21001,
        "pickup_id": 167,
    }


async def test_options_become_the_simulators(cli: Any, served: Any) -> None:
    ran = await cli(
        *("simulate", "--host", "::1", "--port", "0", "--callback-url", "http://127.0.0.1:9/hook", "--secret", "x"),
        *("--authorization", "hmac-body", "--automatic", "--speed", "60", "--language", "vi"),
        *("--push", "order", "--push", "return"),
        *("--faults", '{"slow": {"rate": 0.2}}', "--json"),
    )
    assert ran.code == 0
    assert ran.json["callback_url"] == "http://127.0.0.1:9/hook"
    [(config, host, port)] = served
    assert (host, port) == ("::1", 0)
    assert config.push.callback_url == "http://127.0.0.1:9/hook"
    assert (config.push.secret, config.push.authorization) == ("x", "hmac-body")
    assert tuple(config.push.categories) == ("order", "return")
    assert config.life.automatic is True
    assert config.clock_factor == pytest.approx(1 / 60)
    assert config.language == "vi"
    assert config.faults == {"slow": {"rate": 0.2}}


async def test_all_options_from_a_file_and_flags_over_it(cli: Any, served: Any, tmp_path: Path) -> None:
    options = tmp_path / "simulator.toml"
    options.write_text('language = "vi"\n[push]\nsecret = "file"\n[bucket]\nsize = 7\n', "utf-8")
    assert (await cli("simulate", "--options", str(options), "--secret", "flag")).code == 0
    [(config, _, _)] = served
    assert (config.language, config.push.secret, config.bucket.size) == ("vi", "flag", 7)


async def test_an_account_like_the_configuration(cli: Any, served: Any) -> None:
    cli.change(
        {
            "omisell": {
                "shop_id": 5,
                "pickup_id": 6,
                "seller_id": 42,
                "api_key": "own-key",
                "api_secret": "own-secret",
            },
            "webhook": {"listen": "0.0.0.0:8080", "secret": ["new", "old"]},
        }
    )
    ran = await cli("simulate", "--like-config")
    assert ran.code == 0
    [(config, _, _)] = served
    assert config.account.seller_id == 42
    assert config.account.shops[0].shop_id == 5
    assert config.account.pickups[0].id == 6
    assert (config.account.api_key, config.account.api_secret) == ("own-key", "own-secret")
    assert config.push.callback_url == "http://127.0.0.1:8080/webhooks/omisell"
    assert config.push.registered_url == "https://shop.example/webhooks/omisell"
    assert (config.push.secret, config.push.authorization) == ("new", "token")
    assert "own-key" not in ran.out
    assert "own-secret" not in ran.out
    assert "shop_id = 5" in ran.lines


async def test_an_account_like_a_configuration_without_secret_and_pickup(cli: Any, served: Any) -> None:
    cli.change(
        {
            "omisell": {"pickup_id": None, "seller_id": "a77"},
            "webhook": {"authorization": "none", "secret": None},
        }
    )
    assert (await cli("simulate", "--like-config")).code == 0
    [(config, _, _)] = served
    assert config.account.seller_id == 77
    assert config.account.pickups[0].id == 167
    assert config.push.authorization == "none"


async def test_an_account_without_warehouses_prints_none(cli: Any, served: Any, tmp_path: Path) -> None:
    options = tmp_path / "simulator.toml"
    options.write_text("[account]\npickups = []\n", "utf-8")
    ran = await cli("simulate", "--options", str(options))
    assert "pickup_id" not in ran.out


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--faults", "{"], "omisync: --faults: not JSON: "),
        (["--faults", "[]"], "omisync: --faults: expected an object, such as "),
        (["--options", "/nowhere.toml"], "omisync: /nowhere.toml: cannot be read: "),
        (["--speed", "0"], "omisync: Invalid value for '--speed': "),
        (["--authorization", "basic"], "omisync: Invalid value for '--authorization': "),
    ],
)
async def test_wrong_options_are_2(cli: Any, arguments: list[str], words: str) -> None:
    ran = await cli("simulate", *arguments)
    assert (ran.code, ran.out) == (2, "")
    assert ran.err.startswith(words)
    assert ran.err.count("\n") == 1


async def test_a_wrong_option_in_the_file_is_2_and_named(cli: Any, tmp_path: Path) -> None:
    options = tmp_path / "simulator.toml"
    options.write_text("[bucket]\nsize = true\nscope = 'planet'\n", "utf-8")
    ran = await cli("simulate", "--options", str(options))
    assert ran.code == 2
    assert "bucket.scope: Input should be 'account' or 'shop'" in ran.err


async def test_the_real_thing_answers_until_it_is_told_to_stop(tmp_path: Path) -> None:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "omisync", "simulate", "--port", "0", "--json"),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        cwd=tmp_path,
    )
    assert process.stdout is not None
    try:
        url = json.loads(await asyncio.wait_for(process.stdout.readline(), SECONDS))["url"]
        async with aiohttp.ClientSession() as session, session.get(f"{url}/control/ledger") as answer:
            assert answer.status == 200
        process.terminate()
        assert await asyncio.wait_for(process.wait(), SECONDS) == 0
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
