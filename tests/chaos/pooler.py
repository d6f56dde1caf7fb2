"""PgBouncer in transaction mode (Debian's package) between the daemons and the database."""

import asyncio
import contextlib
import os
import pwd
import shutil
import signal
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from omisync.demo.errors import DemoError
from omisync.demo.guarded import Guarded
from omisync.demo.postgres import free_port

PLACES: Final = ("/usr/sbin/pgbouncer", "/usr/bin/pgbouncer", "/usr/local/bin/pgbouncer")
READY_SECONDS: Final = 10.0
LOOK_SECONDS: Final = 0.05


def pgbouncer() -> str | None:
    """The program, if it is installed."""
    found = shutil.which("pgbouncer")
    return found or next((place for place in PLACES if Path(place).is_file()), None)


class Pooler:
    """PgBouncer, running; it may be killed and started again.

    Args:
        guarded: Kills it should we be killed.
        server: The port of the Postgres behind it.
        database: The one database that it serves.
        users: Passwords by login.
    """

    def __init__(self, guarded: Guarded, *, server: int, database: str, users: Mapping[str, str]) -> None:
        self._guarded = guarded
        self.port = free_port()
        self._user = pwd.getpwnam("nobody") if os.geteuid() == 0 else None
        self._folder = guarded.folder("omisync-pgbouncer-", Path("/tmp"))  # noqa: S108 - of mode 0700
        self._process: subprocess.Popen[bytes] | None = None
        self._write("users.txt", "".join(f'"{login}" "{password}"\n' for login, password in users.items()))
        self._write(
            "pgbouncer.ini",
            f"[databases]\n{database} = host=127.0.0.1 port={server} dbname={database}\n"
            "[pgbouncer]\n"
            f"listen_addr = 127.0.0.1\nlisten_port = {self.port}\nunix_socket_dir =\n"
            f"auth_type = plain\nauth_file = {self._folder}/users.txt\n"
            "pool_mode = transaction\ndefault_pool_size = 12\nmax_client_conn = 500\n"
            "ignore_startup_parameters = extra_float_digits\nserver_login_retry = 1\nquery_wait_timeout = 10\n"
            f"logfile = {self._folder}/pgbouncer.log\n",
        )
        if self._user is not None:
            os.chown(self._folder, self._user.pw_uid, self._user.pw_gid)

    def _write(self, name: str, text: str) -> None:
        path = self._folder / name
        path.touch(mode=0o600)
        path.write_text(text)
        if self._user is not None:
            os.chown(path, self._user.pw_uid, self._user.pw_gid)

    async def start(self) -> None:
        """Start it; returns once it listens.

        Raises:
            DemoError: It does not; with its log.
        """
        program = pgbouncer()
        if program is None:
            raise DemoError("pgbouncer is not installed: apt-get install pgbouncer")
        self._process = subprocess.Popen(  # noqa: S603, ASYNC220 - our own arguments; starting takes no time
            [program, "-q", str(self._folder / "pgbouncer.ini")],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
            cwd=self._folder,
            user=None if self._user is None else self._user.pw_uid,
            group=None if self._user is None else self._user.pw_gid,
            extra_groups=None if self._user is None else [],
        )
        self._guarded.process(self._process.pid, signal.SIGKILL)
        deadline = time.monotonic() + READY_SECONDS
        while time.monotonic() < deadline:
            with contextlib.suppress(OSError):
                _, writer = await asyncio.open_connection("127.0.0.1", self.port)
                writer.close()
                return
            await asyncio.sleep(LOOK_SECONDS)
        log = self._folder / "pgbouncer.log"
        raise DemoError(f"pgbouncer does not listen: {log.read_text() if log.exists() else 'it left no log'}")

    def kill(self) -> None:
        """End it without a word."""
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            process.wait(READY_SECONDS)
            self._guarded.forget(process.pid)

    def close(self) -> None:
        """End it and remove its folder."""
        self.kill()
        self._guarded.remove(self._folder)
