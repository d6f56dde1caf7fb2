"""The wheel built from this tree, installed by itself and used from another folder: nothing of the checkout is used."""

import json
import os
import subprocess
import sys
import sysconfig
import venv
import zipfile
from pathlib import Path

import asyncpg
import pytest

ROOT = Path(__file__).parents[3]
BUILD_SECONDS = 120.0
COMMAND_SECONDS = 60.0
CONNECT_SECONDS = 30.0

MIGRATIONS = [file.stem for file in sorted((ROOT / "sql" / "migrations").glob("*.sql"))]


def said(arguments: list[str], folder: Path, seconds: float, **extra: str) -> str:
    """What a program prints; its own words are the failure's if it fails."""
    # nothing that leads Python back to the checkout or to the running environment
    environment = {"PATH": "/usr/bin:/bin", "HOME": str(folder), "LANG": "C.UTF-8", **extra}
    done = subprocess.run(  # noqa: S603 - our own programs
        arguments, cwd=folder, env=environment, capture_output=True, text=True, timeout=seconds, check=False
    )
    assert done.returncode == 0, f"{arguments} said:\n{done.stdout}{done.stderr}"
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built as a release is: the tree packed as a source distribution, and the wheel made out of that."""
    folder = tmp_path_factory.mktemp("dist")
    build = [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(folder), str(ROOT)]
    said(build, folder, BUILD_SECONDS, PATH=os.environ["PATH"])
    (built,) = folder.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def program(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`omisync` in an environment of its own, which holds the wheel and borrows the packages it depends on."""
    home = tmp_path_factory.mktemp("installed") / "venv"
    venv.create(home, with_pip=False)
    python = home / "bin" / "python"
    install = [sys.executable, "-m", "pip", "--python", str(python), "install", "--quiet"]
    install += ["--no-index", "--no-deps", "--disable-pip-version-check", str(wheel)]
    said(install, home, COMMAND_SECONDS)
    (packages,) = home.glob("lib/python*/site-packages")
    # a folder named in a .pth is searched last, and its own .pth files (an editable omisync) are not read
    (packages / "borrowed.pth").write_text(sysconfig.get_path("purelib") + "\n" + sysconfig.get_path("platlib") + "\n")
    return home / "bin" / "omisync"


@pytest.fixture
def elsewhere(tmp_path: Path, empty_dsn: str) -> Path:
    """A folder with nothing but a configuration for an empty database."""
    words = (ROOT / "config.toml").read_text()
    given = 'dsn = "postgresql://omisync:change-me@127.0.0.1:5432/shop"'
    assert given in words
    (tmp_path / "config.toml").write_text(words.replace(given, f'dsn = "{empty_dsn}"'))
    return tmp_path


def test_the_wheel_holds_every_file_of_the_package_and_what_an_operator_needs_beside_it(wheel: Path) -> None:
    held = set(zipfile.ZipFile(wheel).namelist())
    package = [file for file in (ROOT / "omisync").rglob("*") if file.is_file() and "__pycache__" not in file.parts]
    beside = [
        *(ROOT / "sql").rglob("*.sql"),
        *(ROOT / "systemd").iterdir(),
        ROOT / "config.toml",
        *(ROOT / "docs").glob("*.md"),
    ]
    wanted = {str(file.relative_to(ROOT)) for file in package}
    wanted |= {f"omisync/_share/{file.relative_to(ROOT)}" for file in beside}
    assert wanted - held == set()


def test_nothing_but_the_package_is_in_the_wheel(wheel: Path) -> None:
    tops = {name.split("/")[0] for name in zipfile.ZipFile(wheel).namelist()}
    assert tops == {"omisync", wheel.name.split("-")[0] + "-" + wheel.name.split("-")[1] + ".dist-info"}


def test_the_installed_program_is_the_wheels_own(program: Path, tmp_path: Path) -> None:
    python = str(program.parent / "python")
    where = said([python, "-c", "import omisync; print(omisync.__file__)"], tmp_path, COMMAND_SECONDS).strip()
    assert Path(where).is_relative_to(program.parents[1])
    version = said([str(program), "--version"], tmp_path, COMMAND_SECONDS)
    assert version == "omisync 0.1.0\n"


def test_the_installed_program_plans_and_migrates_an_empty_database(program: Path, elsewhere: Path) -> None:
    plan = said([str(program), "migrate", "--plan"], elsewhere, COMMAND_SECONDS)
    assert plan.splitlines() == [f"would apply {name}" for name in MIGRATIONS]
    applied = said([str(program), "migrate"], elsewhere, COMMAND_SECONDS)
    assert applied.splitlines() == [f"applied {name}" for name in MIGRATIONS]
    again = said([str(program), "migrate", "--json"], elsewhere, COMMAND_SECONDS)
    assert json.loads(again) == {"schema": "omisync", "applied": [], "after": []}


async def test_what_the_installed_program_migrated_takes_orders(program: Path, elsewhere: Path, empty_dsn: str) -> None:
    said([str(program), "migrate"], elsewhere, COMMAND_SECONDS)
    connection = await asyncpg.connect(empty_dsn, timeout=CONNECT_SECONDS)
    try:
        payload = '{"order_number": "WEB-1001", "items": [{"sku": "TEE-M", "quantity": 1}]}'
        row = await connection.fetchval("SELECT omisync.add_order($1)", payload)
        assert await connection.fetchval("SELECT state FROM omisync.outbox WHERE id = $1", row) == "pending"
    finally:
        await connection.close(timeout=CONNECT_SECONDS)
    listed = json.loads(said([str(program), "outbox", "list", "--json"], elsewhere, COMMAND_SECONDS))
    assert [(entry["order_number"], entry["kind"]) for entry in listed] == [("WEB-1001", "order.add")]
