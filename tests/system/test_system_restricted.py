"""The daemon under the unit's restrictions, with a real filter of system calls and namespaces of its own."""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import aiohttp
import asyncpg
import pytest

from tests.chaos.world import until
from tests.system import restricted
from tests.system.manager import SECONDS, UNITS, managed, open_socket

if TYPE_CHECKING:
    from omisync.simulator import Simulator

RESTRICTED = (sys.executable, str(Path(restricted.__file__)), str(UNITS / "omisync.service"))
SECRET = "the secret of the hook"

PROBE = """
import ctypes, errno, mmap, os, socket

libc = ctypes.CDLL(None, use_errno=True)

def call(answer):
    if answer < 0:
        raise OSError(ctypes.get_errno(), "")

TRIED = {
    "a file": lambda: open("/tmp/omisync-probe", "w"),
    "a raw socket": lambda: socket.socket(socket.AF_NETLINK, socket.SOCK_RAW),
    "memory to write and execute": lambda: mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC),
    "a namespace": lambda: call(libc.unshare(0x10000000)),
    "a mount": lambda: call(libc.mount(b"tmpfs", b"/mnt", b"tmpfs", 0, None)),
    "a debugger": lambda: call(libc.ptrace(16, os.getppid(), 0, 0)),
    "a socket": lambda: socket.socket().close(),
}
for what, tried in TRIED.items():
    try:
        tried()
    except OSError as error:
        print(what, errno.errorcode[error.errno])
    else:
        print(what, "granted")
print(*sorted(os.listdir("/dev")))
"""


def tried(*program: str) -> "subprocess.CompletedProcess[str]":
    """A program's end and words under the unit's restrictions."""
    command = [*RESTRICTED, *program]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=SECONDS)  # noqa: S603 - ours


def can_restrict() -> bool:
    """Whether this process may make namespaces, as root outside of a tight container may."""
    if os.geteuid() or shutil.which("systemd-analyze") is None:
        return False
    return tried("/bin/true").returncode == 0


pytestmark = pytest.mark.skipif(not can_restrict(), reason="needs root, who may make namespaces, and systemd-analyze")


def of_process(pid: int) -> dict[str, str]:
    """What the kernel says of a process."""
    told = Path(f"/proc/{pid}/status").read_text()
    return dict(line.split(":\t", 1) for line in told.splitlines())


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder that also another user can reach."""
    with tempfile.TemporaryDirectory() as name:
        made = Path(name)
        made.chmod(0o755)
        yield made


def test_what_the_unit_forbids_is_refused() -> None:
    done = tried(sys.executable, "-c", PROBE)
    assert done.stdout.splitlines() == [
        "a file EROFS",
        "a raw socket EPERM",
        "memory to write and execute EACCES",
        "a namespace EPERM",
        "a mount EPERM",
        "a debugger EPERM",
        "a socket granted",
        "full null random tty urandom zero",
    ]


async def test_the_daemon_does_all_its_work_under_the_units_restrictions(
    folder: Path, dsn: str, simulator: "Simulator"
) -> None:
    config = folder / "config.toml"
    config.write_text(f"""
[database]
dsn = "{dsn}"
[omisell]
base_url = "{simulator.url}"
api_key = "k_demo"
api_secret = "s_demo"
seller_id = 77
country = "VN"
shop_id = 21001
pickup_id = 167
[webhook]
secret = "{SECRET}"
authorization = "token"
[admin]
listen = "127.0.0.1:0"
""")
    order = {"order_number": "A-1", "items": [{"sku": "TEE-M", "quantity": 1}]}
    sql = await asyncpg.connect(dsn, timeout=SECONDS, command_timeout=SECONDS)
    session = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=SECONDS))
    async with managed(folder, config) as manager, session:
        (folder / "notify").chmod(0o777)
        with open_socket() as listening:
            service = await manager.starts(*RESTRICTED, passed=listening)
            await service.tells("READY=1")
            await service.tells("STATUS=")
            await sql.execute("SELECT omisync.add_order($1)", json.dumps(order))
            await until(lambda: sql.fetchval("SELECT omisell_order_number IS NOT NULL FROM omisync.orders"))
            number = await sql.fetchval("SELECT omisell_order_number FROM omisync.orders")
            data = {"order_number": "A-1", "omisell_order_number": number}
            body = {"event": "order.ready_to_ship", "data": data | {"status_id": 460, "updated_time": 4_000_000_000}}
            url = f"http://127.0.0.1:{listening.getsockname()[1]}/webhooks/omisell"
            async with session.post(url, json=body, headers={"Authorization": SECRET}) as answer:
                assert answer.status == 200
            await until(lambda: sql.fetchval("SELECT synced_at IS NOT NULL FROM omisync.orders"))
        held = of_process(service.process.pid)
        assert (held["Seccomp"], held["NoNewPrivs"]) == ("2", "1")
        assert (int(held["CapBnd"], 16), int(held["CapEff"], 16)) == (0, 0)
        assert await service.stops() == 0
    await sql.close()
