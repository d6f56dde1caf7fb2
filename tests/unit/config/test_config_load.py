"""Loading the configuration: layers, secret files, every fault named, no secret shown."""

import datetime as dt
import subprocess
import sys
import traceback
from collections.abc import Callable
from pathlib import Path

import pytest
from pydantic import SecretStr, ValidationError

from omisync.config import ConfigError, Listen, Settings, find_config, load_settings, variable_name

ROOT = Path(__file__).parents[3]

REQUIRED = """
[database]
dsn = "postgresql://omisync:hunter2@127.0.0.1/shop"
[omisell]
api_key = "key-of-the-test"
api_secret = "secret-of-the-test"
seller_id = 77
country = "VN"
shop_id = 21001
[webhook]
secret = "webhook-secret-of-the-test"
"""
SECRETS = ("hunter2", "key-of-the-test", "secret-of-the-test", "webhook-secret-of-the-test")

Load = Callable[..., Settings]


@pytest.fixture
def load(tmp_path: Path) -> Load:
    def load_text(text: str = "", *, base: str = REQUIRED, **env: str) -> Settings:
        path = tmp_path / "config.toml"
        path.write_text(base + text)
        return load_settings(path, env)

    return load_text


@pytest.fixture
def faults(load: Load, tmp_path: Path) -> Callable[..., list[str]]:
    def faults_of(text: str = "", *, base: str = REQUIRED, **env: str) -> list[str]:
        with pytest.raises(ConfigError) as caught:
            load(text, base=base, **env)
        shown = "".join(traceback.format_exception(caught.value))
        assert not [secret for secret in SECRETS if secret in shown]
        assert str(caught.value) == "\n".join(caught.value.faults)
        return [fault.removeprefix(f"{tmp_path / 'config.toml'}: ") for fault in caught.value.faults]

    return faults_of


def test_defaults_are_those_of_the_contract(load: Load) -> None:
    settings = load()
    assert settings.database.schema == "omisync"
    assert settings.database.pool_size == 8
    assert settings.omisell.base_url == "https://api.omisell.com"
    assert settings.omisell.seller_id == "77"
    assert settings.omisell.pickup_id is None
    assert settings.omisell.timeout == 60.0
    assert (settings.omisell.bucket_size, settings.omisell.leak_per_minute) == (100, 100.0)
    assert settings.webhook.listen == Listen("127.0.0.1", 8080)
    assert settings.webhook.path == "/webhooks/omisell"
    assert [secret.get_secret_value() for secret in settings.webhook.secret] == ["webhook-secret-of-the-test"]
    assert settings.webhook.authorization == "auto"
    assert settings.webhook.callback_url is None
    assert settings.webhook.max_body == 262_144
    assert settings.outbox.concurrency == 16
    assert settings.outbox.poll_interval == 0.1
    assert settings.outbox.notify is False
    assert settings.outbox.max_attempts == 12
    assert (settings.outbox.backoff_base, settings.outbox.backoff_cap) == (2.0, 600.0)
    assert settings.outbox.settle == 30.0
    assert settings.outbox.retention == 7_776_000.0
    assert (settings.reconcile.interval, settings.reconcile.overlap) == (600.0, 600.0)
    assert settings.reconcile.full_at == dt.time(3, 30)
    assert settings.hooks.on_change is None
    assert settings.hooks.timeout == 5.0
    assert settings.admin.listen == Listen("127.0.0.1", 8081)
    assert settings.admin.token is None
    assert settings.daemon.grace == 25.0
    assert (settings.log.format, settings.log.level) == ("auto", "info")


def test_the_environment_beats_the_file(load: Load) -> None:
    settings = load(
        '[outbox]\nsettle = "10s"\n',
        OMISYNC_OUTBOX__SETTLE="500ms",
        OMISYNC_OUTBOX__CONCURRENCY="4",
        OMISYNC_OUTBOX__NOTIFY="true",
        OMISYNC_OMISELL__LEAK_PER_MINUTE="50.5",
        OMISYNC_OMISELL__PICKUP_ID="167",
        OMISYNC_OMISELL__PATHS__ORDER_ADD="/v9/add",
        OMISYNC_RECONCILE__FULL_AT="04:15",
    )
    assert settings.outbox.settle == 0.5
    assert settings.outbox.concurrency == 4
    assert settings.outbox.notify is True
    assert settings.omisell.leak_per_minute == 50.5
    assert settings.omisell.pickup_id == 167
    assert settings.omisell.paths.order_add == "/v9/add"
    assert settings.reconcile.full_at == dt.time(4, 15)


def test_the_environment_alone_is_enough(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("omisync.config.load.PLACES", (Path("config.toml"),))
    settings = load_settings(
        env={
            "OMISYNC_DATABASE__DSN": "postgres://localhost/shop",
            "OMISYNC_OMISELL__API_KEY": "k",
            "OMISYNC_OMISELL__API_SECRET": "s",
            "OMISYNC_OMISELL__SELLER_ID": "077",
            "OMISYNC_OMISELL__COUNTRY": "vn",
            "OMISYNC_OMISELL__SHOP_ID": "21001",
            "OMISYNC_WEBHOOK__AUTHORIZATION": "none",
        }
    )
    assert settings.omisell.seller_id == "077"
    assert settings.omisell.country == "VN"
    assert settings.webhook.secret == ()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("one", ["one"]),
        ("one, two", ["one", "two"]),
        ('["one", "two"]', ["one", "two"]),
        ('["with, comma"]', ["with, comma"]),
    ],
)
def test_a_list_in_the_environment(load: Load, text: str, expected: list[str]) -> None:
    settings = load(OMISYNC_WEBHOOK__SECRET=text)
    assert [secret.get_secret_value() for secret in settings.webhook.secret] == expected


@pytest.mark.parametrize("text", ["[one]", '["one", 2]', '["one"'])
def test_a_broken_list_in_the_environment_is_named(faults: Callable[..., list[str]], text: str) -> None:
    [fault] = faults(OMISYNC_WEBHOOK__SECRET=text)
    assert fault.startswith("$OMISYNC_WEBHOOK__SECRET: webhook.secret: expected texts with commas between them")


def test_an_empty_variable_is_as_if_unset(load: Load) -> None:
    settings = load('[admin]\ntoken = "t"\n', OMISYNC_ADMIN__TOKEN="", OMISYNC_WEBHOOK__SECRET="[]")
    assert settings.admin.token == SecretStr("t")
    assert len(settings.webhook.secret) == 1


def test_other_variables_of_ours_are_no_keys(load: Load) -> None:
    load(OMISYNC_CONFIG="ignored when a path is given", OMISYNC_TEST_DSN="x", UNRELATED__KEY="y")


def test_an_empty_text_is_missing(faults: Callable[..., list[str]]) -> None:
    base = REQUIRED.replace('"key-of-the-test"', '""').replace('"VN"', '"  "')
    assert faults(base=base) == [
        (
            "omisell.api_key: is missing (an empty text counts as missing): set it, or $OMISYNC_OMISELL__API_KEY, "
            "or name a file that holds it in omisell.api_key_file"
        ),
        "omisell.country: is missing (an empty text counts as missing): set it, or $OMISYNC_OMISELL__COUNTRY",
    ]


def test_an_empty_optional_key_means_its_default(load: Load) -> None:
    settings = load('[hooks]\non_change = ""\n[log]\nlevel = ""\n')
    assert settings.hooks.on_change is None
    assert settings.log.level == "info"


def test_every_fault_is_reported_at_once(faults: Callable[..., list[str]]) -> None:
    found = faults(
        """
path = "webhooks"
listen = "8080"
[outbox]
settle = 30
notify = "yes"
concurrency = 0
backoff_base = "1m"
backoff_cap = "30s"
[log]
level = "loud"
""",
        OMISYNC_RECONCILE__INTERVAL="often",
    )
    assert found == [
        (
            'webhook.listen: expected "address:port" with a port up to 65535, such as "127.0.0.1:8080", "[::1]:8080", '
            'or "0.0.0.0:8080" for every interface; found "8080"'
        ),
        (
            "webhook.path: expected a path that begins with a slash and has neither query nor braces, such as "
            '"/webhooks/omisell"; found "webhooks"'
        ),
        "outbox.concurrency: expected at least 1; found 0",
        'outbox.notify: expected true or false, without quotes; found "yes"',
        'outbox.backoff_cap: is shorter than outbox.backoff_base: make it at least as long; found "30s"',
        (
            'outbox.settle: expected a duration in quotes with its unit (ms, s, m, h, d), such as "250ms", "20s" or '
            '"7d"; found 30'
        ),
        (
            "$OMISYNC_RECONCILE__INTERVAL: reconcile.interval: expected a duration with its unit (ms, s, m, h, d), "
            'such as "250ms", "20s" or "7d"; found "often"'
        ),
        'log.level: expected one of "debug", "info", "warning" or "error"; found "loud"',
    ]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("[outbox]\nconcurency = 4\n", "outbox.concurency: unknown key: did you mean outbox.concurrency?"),
        ("[outbox]\ngrace = 4\n", "outbox.grace: unknown key: did you mean daemon.grace?"),
        ("[outbx]\nsettle = 4\n", "outbx.settle: unknown key: did you mean outbox.settle?"),
        ("[admin]\ntoken_fil = 'x'\n", "admin.token_fil: unknown key: did you mean admin.token_file?"),
        ("[zzz]\nqqq = 4\n", "zzz.qqq: unknown key: remove it (config.toml in the package lists every key)"),
        (
            "[omisell.paths]\norder_ad = '/'\n",
            "omisell.paths.order_ad: unknown key: did you mean omisell.paths.order_add?",
        ),
        ("[admin.listen]\nhost = 'x'\n", "admin.listen.host: unknown key: did you mean admin.listen?"),
    ],
)
def test_an_unknown_key_names_the_nearest(faults: Callable[..., list[str]], text: str, expected: str) -> None:
    assert faults(text) == [expected]


def test_a_value_in_place_of_a_section(faults: Callable[..., list[str]]) -> None:
    assert faults(base="outbox = 3\noutbux = 4\n" + REQUIRED) == [
        "outbox: expected a section: write [outbox] and its keys below",
        "outbux: unknown key: did you mean the section [outbox]?",
    ]


def test_an_unknown_variable_is_named(faults: Callable[..., list[str]]) -> None:
    assert faults(OMISYNC_OMISELL__API_KYE="secret-of-the-test") == [
        "$OMISYNC_OMISELL__API_KYE: omisell.api_kye: unknown key: did you mean omisell.api_key?"
    ]


@pytest.mark.parametrize(
    ("old", "new", "key", "expected"),
    [
        ('"secret-of-the-test"', "5", "omisell.api_secret", "expected a text in quotes"),
        (
            '"secret-of-the-test"',
            '"secret-of-the-test\\n"',
            "omisell.api_secret",
            "a secret is one line without control characters",
        ),
        (
            '"webhook-secret-of-the-test"',
            '["webhook-secret-of-the-test", ""]',
            "webhook.secret",
            "has an empty entry: remove it",
        ),
        ('"webhook-secret-of-the-test"', "[3]", "webhook.secret", "expected a text in quotes"),
        (
            '"postgresql://omisync:hunter2@127.0.0.1/shop"',
            '"mysql://omisync:hunter2@127.0.0.1/shop"',
            "database.dsn",
            'expected a libpq URL, such as "postgresql://user:password@127.0.0.1:5432/shop"',
        ),
        (
            "77",
            "true",
            "omisell.seller_id",
            'expected the seller\'s id as a number or in quotes, such as 77 or "77"; found true',
        ),
        ('"VN"', '"Vietnam"', "omisell.country", 'expected a two-letter country code, such as "VN"; found "Vietnam"'),
        ("21001", '"21001"', "omisell.shop_id", 'expected a whole number without quotes; found "21001"'),
        (
            "21001",
            "9223372036854775808",
            "omisell.shop_id",
            "expected at most 9223372036854775807; found 9223372036854775808",
        ),
        (
            "[omisell]",
            '[omisell]\nauth_scheme = "two words"',
            "omisell.auth_scheme",
            'expected one word of letters, digits, underscores, dots and hyphens; found "two words"',
        ),
        ("21001", "1979-05-27", "omisell.shop_id", "expected a whole number without quotes; found 1979-05-27"),
    ],
)
def test_a_wrong_value_says_what_was_expected(
    faults: Callable[..., list[str]], old: str, new: str, key: str, expected: str
) -> None:
    assert faults(base=REQUIRED.replace(old, new)) == [f"{key}: {expected}"]


def test_a_long_wrong_value_is_not_repeated(faults: Callable[..., list[str]]) -> None:
    assert faults(f"[log]\nlevel = '{'x' * 61}'\n") == [
        'log.level: expected one of "debug", "info", "warning" or "error"'
    ]


@pytest.mark.parametrize(
    ("url", "ok"),
    [
        ("https://api.omisell.com/", True),
        ("http://127.0.0.1:8090", True),
        ("http://[::1]:8090", True),
        ("http://localhost", True),
        ("http://api.omisell.com", False),
        ("http://127.0.0.1.evil.example", False),
        ("ftp://api.omisell.com", False),
        ("https://user:pass@api.omisell.com", False),
        ("https://api.omisell.com/?token=1", False),
        ("https://api.omisell.com:99999", False),
        ("https://", False),
        ("api.omisell.com", False),
        ("https://a b", False),
    ],
)
def test_plain_http_is_for_loopback_only(load: Load, url: str, ok: bool) -> None:
    base = REQUIRED.replace("[omisell]", f'[omisell]\nbase_url = "{url}"')
    if ok:
        assert load(base=base).omisell.base_url == url.rstrip("/")
    else:
        with pytest.raises(ConfigError, match=r"omisell\.base_url: (expected a URL|plain http)"):
            load(base=base)


def test_a_wrong_url_is_not_repeated(faults: Callable[..., list[str]]) -> None:
    [fault] = faults(base=REQUIRED.replace("[omisell]", '[omisell]\nbase_url = "https://u:hunter2@x"'))
    assert (
        fault == 'omisell.base_url: expected a URL without user, query or fragment, such as "https://api.omisell.com"'
    )


def test_a_page_for_others_needs_a_token(load: Load, faults: Callable[..., list[str]]) -> None:
    assert faults('[admin]\nlisten = "0.0.0.0:8081"\n') == [
        (
            "admin.token: is missing: admin.listen can be reached from other machines, so set a token "
            '(or listen on "127.0.0.1:8081")'
        )
    ]
    for listen in ("127.0.0.2:1", "[::1]:1", "localhost:1"):
        load(f'[admin]\nlisten = "{listen}"\n')
    load('[admin]\nlisten = "[::]:8081"\ntoken = "t"\n')


def test_pushes_need_a_secret_unless_nothing_is_checked(load: Load, faults: Callable[..., list[str]]) -> None:
    base = REQUIRED.replace('secret = "webhook-secret-of-the-test"', "")
    assert faults(base=base) == [
        (
            "webhook.secret: is missing: put in the secret that Omisell's webhook settings hold "
            '(or set webhook.authorization = "none" if pushes carry none)'
        )
    ]
    assert load('authorization = "none"', base=base).webhook.secret == ()


def test_a_signed_url_must_be_known(load: Load, faults: Callable[..., list[str]]) -> None:
    assert faults('authorization = "hmac-url-body"') == [
        (
            'webhook.callback_url: is missing: webhook.authorization = "hmac-url-body" signs the public URL, '
            'so write it down, such as "https://shop.example/webhooks/omisell"'
        )
    ]
    url = "https://shop.example/hooks?x=1"
    assert load(f'authorization = "hmac-url-body"\ncallback_url = "{url}"').webhook.callback_url == url
    [fault] = faults('callback_url = "shop.example"')
    assert fault.startswith("webhook.callback_url: expected the public URL exactly as registered at Omisell")


def test_checks_change_nothing_and_keep_nothing_back_unless_told_to(load: Load) -> None:
    checks = load().checks
    assert (checks.addresses, checks.phones, checks.skus) == ("report", "report", "report")
    assert (checks.create_products, checks.product_function) == (False, None)
    assert (checks.refresh, checks.refresh_locations) == (3600.0, 604_800.0)


def test_products_are_created_from_a_function_that_is_named(load: Load, faults: Callable[..., list[str]]) -> None:
    [fault] = faults("[checks]\ncreate_products = true\n")
    assert fault.startswith("checks.product_function: is missing: checks.create_products = true takes the product from")
    named = load('[checks]\ncreate_products = true\nproduct_function = "shop.omisell_product"\n')
    assert named.checks.product_function == "shop.omisell_product"


def test_a_wrong_authorization_is_the_only_fault_it_causes(faults: Callable[..., list[str]]) -> None:
    assert faults('authorization = "basic"', base=REQUIRED.replace('"webhook-secret-of-the-test"', '""')) == [
        'webhook.authorization: expected one of "auto", "token", "hmac-url-body", "hmac-body" or "none"; found "basic"'
    ]


def test_secrets_come_from_files(load: Load, tmp_path: Path) -> None:
    (tmp_path / "key").write_text("from a file\n")
    (tmp_path / "dsn").write_text("postgresql://somewhere/db\r\n")
    (tmp_path / "hook1").write_text("new")
    (tmp_path / "hook2").write_text("old\n")
    (tmp_path / "admin").write_text("  keeps its blanks ")
    base = f"""
[database]
dsn_file = "{tmp_path}/dsn"
[omisell]
api_key_file = "key"
api_secret = "s"
seller_id = "77"
country = "VN"
shop_id = 1
[webhook]
secret_file = ["hook1", "{tmp_path}/hook2"]
"""
    env = {"CREDENTIALS_DIRECTORY": str(tmp_path), "OMISYNC_ADMIN__TOKEN_FILE": "admin"}
    settings = load(base=base, **env)
    assert settings.database.dsn.get_secret_value() == "postgresql://somewhere/db"
    assert settings.omisell.api_key.get_secret_value() == "from a file"
    assert [secret.get_secret_value() for secret in settings.webhook.secret] == ["new", "old"]
    assert settings.admin.token == SecretStr("  keeps its blanks ")


def test_one_secret_file_in_the_environment(load: Load, tmp_path: Path) -> None:
    (tmp_path / "hook").write_text("rotated\n")
    settings = load(OMISYNC_WEBHOOK__SECRET_FILE=str(tmp_path / "hook"))
    assert [secret.get_secret_value() for secret in settings.webhook.secret] == ["rotated"]


def test_a_relative_secret_file_without_systemd_is_looked_for_here(
    load: Load, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "token").write_text("here")
    assert load('[admin]\ntoken_file = "token"\n').admin.token == SecretStr("here")


def test_a_secret_file_that_does_not_serve_is_named(faults: Callable[..., list[str]], tmp_path: Path) -> None:
    (tmp_path / "empty").write_text("\n")
    (tmp_path / "binary").write_bytes(b"\xff\xfe")
    (tmp_path / "lines").write_text("one\ntwo\n")
    base = REQUIRED.replace('api_key = "key-of-the-test"', f'api_key_file = "{tmp_path}/gone"')
    base = base.replace('api_secret = "secret-of-the-test"', f'api_secret_file = "{tmp_path}/empty"')
    base = base.replace('secret = "webhook-secret-of-the-test"', f'secret_file = ["{tmp_path}/binary", 3]')
    base += f'[admin]\ntoken_file = "{tmp_path}/lines"\n'
    assert faults(base=base) == [
        f"omisell.api_key_file: {tmp_path}/gone cannot be read: No such file or directory",
        f"omisell.api_secret_file: {tmp_path}/empty is empty: put the secret into it",
        f"webhook.secret_file: {tmp_path}/binary cannot be read: not UTF-8 text",
        "admin.token: a secret is one line without control characters",
    ]


def test_a_secret_given_twice_is_a_fault(faults: Callable[..., list[str]]) -> None:
    assert faults('secret_file = "x"', OMISYNC_ADMIN__TOKEN="a", OMISYNC_ADMIN__TOKEN_FILE="b") == [
        "webhook.secret: webhook.secret_file is given as well: keep one of them",
        "$OMISYNC_ADMIN__TOKEN: admin.token: admin.token_file is given as well: keep one of them",
    ]


def test_a_secret_in_the_environment_replaces_a_file_named_in_the_file(load: Load, tmp_path: Path) -> None:
    (tmp_path / "key").write_text("k2")
    base = REQUIRED.replace('api_key = "key-of-the-test"', 'api_key_file = "gone"')
    assert load(base=base, OMISYNC_OMISELL__API_KEY="k1").omisell.api_key == SecretStr("k1")
    settings = load(OMISYNC_OMISELL__API_KEY_FILE=str(tmp_path / "key"))
    assert settings.omisell.api_key == SecretStr("k2")


def test_no_secret_shows(load: Load) -> None:
    settings = load('[admin]\ntoken = "hunter2"\n')
    for shown in (repr(settings), str(settings), settings.model_dump_json()):
        assert not [secret for secret in SECRETS if secret in shown]


def test_settings_cannot_be_changed(load: Load) -> None:
    settings = load()
    with pytest.raises(ValidationError):
        settings.outbox.settle = 1.0  # type: ignore[misc]


def test_stand_ins_fill_what_is_not_given_only(load: Load, tmp_path: Path) -> None:
    path = tmp_path / "part.toml"
    path.write_text(REQUIRED.replace("shop_id = 21001", ""))
    stand_ins = {"omisell.shop_id": 1, "omisell.api_key": "another", "admin.token": "stand-in"}
    settings = load_settings(path, {}, stand_ins=stand_ins)
    assert settings.omisell.shop_id == 1
    assert settings.omisell.api_key == SecretStr("key-of-the-test")


def test_where_the_file_is_looked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    etc = tmp_path / "etc.toml"
    monkeypatch.setattr("omisync.config.load.PLACES", (Path("config.toml"), etc))
    assert find_config(None, {}) is None
    etc.touch()
    assert find_config(None, {}) == etc
    Path("config.toml").touch()
    assert find_config(None, {}) == Path("config.toml")
    named = tmp_path / "named.toml"
    named.touch()
    assert find_config(None, {"OMISYNC_CONFIG": str(named)}) == named
    assert find_config(etc, {"OMISYNC_CONFIG": str(named)}) == etc


def test_a_named_file_that_is_not_there(tmp_path: Path) -> None:
    gone = tmp_path / "gone.toml"
    with pytest.raises(ConfigError) as caught:
        load_settings(gone, {})
    assert str(caught.value) == f"{gone}: no such file: give the configuration with --config FILE"
    with pytest.raises(ConfigError, match=r"gone.toml \(named by \$OMISYNC_CONFIG\): no such file"):
        load_settings(None, {"OMISYNC_CONFIG": str(gone)})


def test_no_file_at_all_is_said_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("omisync.config.load.PLACES", (Path("config.toml"),))
    with pytest.raises(ConfigError) as caught:
        load_settings(env={})
    assert caught.value.faults[-1] == (
        "no configuration file was found (looked at config.toml): name one with --config or $OMISYNC_CONFIG"
    )
    assert len(caught.value.faults) == 8  # seven keys have no default


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"[outbox\n", "not valid TOML: Expected ']' at the end of a table declaration (at line 1, column 8)"),
        (b"a = 1\na = 2\n", "not valid TOML: Cannot overwrite a value (at line 2, column 6)"),
        (b'[log]\nlevel = "\xff"\n', "not UTF-8 text (byte 15)"),
    ],
)
def test_a_file_that_is_no_toml(tmp_path: Path, content: bytes, expected: str) -> None:
    path = tmp_path / "config.toml"
    path.write_bytes(content)
    with pytest.raises(ConfigError) as caught:
        load_settings(path, {})
    assert str(caught.value) == f"{path}: {expected}"


def test_a_file_that_may_not_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "config.toml"
    path.write_text(REQUIRED)

    def refuse(_: Path) -> bytes:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "read_bytes", refuse)
    with pytest.raises(ConfigError, match=r"config.toml: cannot be read: Permission denied$"):
        load_settings(path, {})


def test_the_variable_of_a_key() -> None:
    assert variable_name("omisell.api_key") == "OMISYNC_OMISELL__API_KEY"


def test_importing_the_configuration_is_cheap() -> None:
    heavy = {"aiohttp", "asyncpg", "rich", "typer", "structlog"}
    code = "import sys, omisync.config; print(*sys.modules)"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)  # noqa: S603 - our own interpreter
    assert heavy.isdisjoint(run.stdout.split())
