"""What the speed measurements stand on: a durable Postgres, the stub, and processes that end when we do."""

import asyncio
import contextlib
import json
import os
import signal
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import asyncpg

from omisync.demo.guarded import Guarded
from omisync.demo.postgres import EmbeddedPostgres, free_port
from omisync.demo.processes import command, environment
from omisync.store.migrations import migrate
from tests.bench.figures import durable, server
from tests.bench.stub import SKUS

SECRET = "bench-secret"
STATEMENT_SECONDS = 300.0
"""Filling and cleaning of large tables included."""
READY_SECONDS = 60.0
STOP_SECONDS = 30.0
LOOK_SECONDS = 0.02
HERE = Path(__file__).parent
ROOT = HERE.parent.parent

OUT_OF_THE_WAY = {"bucket_size": 1_000_000, "leak_per_minute": 1_000_000.0}
"""A budget that never limits."""

FILL = (
    "INSERT INTO omisync.outbox (kind, order_number, payload) SELECT 'order.add', order_number, payload"
    " FROM bench.orders ORDER BY n"
)


@dataclass(frozen=True, slots=True)
class Replica:
    """Where one daemon listens, and its configuration."""

    config: Path
    webhook: str
    admin: str


class Worker:
    """A process of one contender, its output in a file."""

    def __init__(self, process: asyncio.subprocess.Process, guarded: Guarded, log: Path) -> None:
        self.process = process
        self.log = log
        self._guarded = guarded

    @property
    def pid(self) -> int:
        """Its process id."""
        return self.process.pid

    def check(self) -> None:
        """Raise if it ended with a fault."""
        if self.process.returncode:
            said = self.log.read_text(errors="replace").splitlines()[-12:]
            raise RuntimeError(f"a process ended with {self.process.returncode}:\n" + "\n".join(said))

    async def stop(self, number: signal.Signals = signal.SIGTERM) -> None:
        """End it, by force if it takes long."""
        with contextlib.suppress(ProcessLookupError):
            self.process.send_signal(number)
        try:
            await asyncio.wait_for(self.process.wait(), STOP_SECONDS)
        except TimeoutError:
            self.process.kill()
            await self.process.wait()
        self._guarded.forget(self.process.pid)


class Ground:
    """One Postgres and all the processes of one measurement."""

    def __init__(self, postgres: EmbeddedPostgres, guarded: Guarded, folder: Path) -> None:
        self.postgres = postgres
        self.folder = folder
        self._guarded = guarded
        self.http: aiohttp.ClientSession
        self._workers: list[Worker] = []
        self.stub_url = ""

    async def database(self, name: str, *, schema: bool = True) -> str:
        """A fresh database, ours in it unless `schema` is False."""
        admin = await asyncpg.connect(self.postgres.dsn())
        await admin.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")
        await admin.execute(f"CREATE DATABASE {name}")
        await admin.close()
        dsn = self.postgres.dsn(name)
        if schema:
            await migrate(dsn)
        return dsn

    @contextlib.asynccontextmanager
    async def connected(self, dsn: str) -> AsyncIterator[Any]:
        """A connection for filling and looking."""
        connection = await asyncpg.connect(dsn, command_timeout=STATEMENT_SECONDS)
        try:
            yield connection
        finally:
            await connection.close()

    async def settings(self) -> dict[str, object]:
        """Postgres's settings."""
        async with self.connected(self.postgres.dsn()) as connection:
            return await server(connection)

    async def start(self, *arguments: str, extra: Mapping[str, str] | None = None, name: str = "worker") -> Worker:
        """Start a process."""
        log = self.folder / f"{name}-{len(self._workers)}.log"
        with log.open("wb") as output:
            process = await asyncio.create_subprocess_exec(
                *arguments,
                cwd=ROOT,
                env=environment({"PYTHONPATH": os.fspath(ROOT), **(extra or {})}),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=output,
                stderr=asyncio.subprocess.STDOUT,
                start_new_session=True,
            )
        self._guarded.process(process.pid, signal.SIGKILL)
        worker = Worker(process, self._guarded, log)
        self._workers.append(worker)
        return worker

    async def program(self, file: str, *arguments: str) -> Worker:
        """Start one of our own scripts in this folder."""
        return await self.start(sys.executable, os.fspath(HERE / file), *arguments, name=Path(file).stem)

    @contextlib.asynccontextmanager
    async def stub(self, delay: float = 0.0, *, limit: int = 1_000_000, record: bool = False) -> AsyncIterator[None]:
        """The stub, from here on at `stub_url`."""
        port = free_port()
        self.stub_url = f"http://127.0.0.1:{port}"
        more = ("--record",) if record else ()
        worker = await self.program("stub.py", f"--port={port}", f"--delay={delay}", f"--limit={limit}", *more)
        try:
            await self.answers(f"{self.stub_url}/bench/counts", worker)
            yield
        finally:
            await worker.stop()

    async def ask_stub(self, what: str) -> Any:
        """`counts`, `seen`, `reset`, `mark`."""
        async with self.http.get(f"{self.stub_url}/bench/{what}") as answer:
            return await answer.json()

    async def answers(self, url: str, worker: Worker) -> None:
        """Wait until `url` answers 200."""
        async with asyncio.timeout(READY_SECONDS):
            while True:
                worker.check()
                with contextlib.suppress(aiohttp.ClientError, OSError):
                    async with self.http.get(url) as answer:
                        if answer.status == 200:
                            return
                await asyncio.sleep(LOOK_SECONDS)

    def configure(
        self,
        dsn: str,
        *,
        name: str = "omisync",
        omisell: Mapping[str, object] | None = None,
        outbox: Mapping[str, object] | None = None,
        log_level: str = "info",
    ) -> Replica:
        """A daemon's configuration: the defaults but for what is given."""
        webhook, admin = f"127.0.0.1:{free_port()}", f"127.0.0.1:{free_port()}"
        sections: Mapping[str, Mapping[str, object]] = {
            "database": {"dsn": dsn},
            "omisell": {
                "base_url": self.stub_url,
                "api_key": "key",
                "api_secret": "secret",
                "seller_id": 1,
                "country": "VN",
                "shop_id": 1,
                "pickup_id": 1,
                **(omisell or {}),
            },
            "webhook": {"listen": webhook, "secret": SECRET},
            "outbox": outbox or {},
            "admin": {"listen": admin},
            "log": {"format": "json", "level": log_level},
        }
        path = self.folder / f"{name}.toml"
        lines = []
        for section, values in sections.items():
            lines += [f"[{section}]", *(f"{key} = {json.dumps(value)}" for key, value in values.items()), ""]
        path.write_text("\n".join(lines))
        return Replica(path, f"http://{webhook}/webhooks/omisell", f"http://{admin}")

    async def daemon(self, replica: Replica, *, wait: bool = True) -> Worker:
        """Start `omisync run`, and wait until it is ready."""
        worker = await self.start(*command("run", "--config", str(replica.config)), name="daemon")
        if wait:
            await self.answers(f"{replica.admin}/readyz", worker)
        return worker

    async def close(self) -> None:
        """End what is still running."""
        for worker in self._workers:
            if worker.process.returncode is None:
                await worker.stop(signal.SIGKILL)


@contextlib.asynccontextmanager
async def ground(postgres: EmbeddedPostgres | None = None) -> AsyncIterator[Ground]:
    """Postgres up, and all of it gone in the end; a server that is given stays up."""
    async with contextlib.AsyncExitStack() as stack:
        guarded = Guarded()
        stack.callback(guarded.close)
        folder = guarded.folder("omisync-bench-")
        stack.callback(guarded.remove, folder)
        running = postgres or stack.enter_context(durable())
        this = Ground(running, guarded, folder)
        this.http = await stack.enter_async_context(aiohttp.ClientSession())
        stack.push_async_callback(this.close)
        yield this


async def make_orders(connection: Any, count: int) -> None:
    """Puts `bench.orders` there: so many payloads of about 2 KB, the same for every contender."""
    await connection.execute("CREATE SCHEMA IF NOT EXISTS bench")
    await connection.execute("DROP TABLE IF EXISTS bench.orders")
    await connection.execute(
        "CREATE TABLE bench.orders AS SELECT n, 'B-' || n AS order_number,"
        " jsonb_set($1::text::jsonb, '{order_number}', to_jsonb('B-' || n)) AS payload FROM generate_series(1, $2) n",
        json.dumps(payload()),
        count,
    )


def payload() -> dict[str, object]:
    """An Add Order body of about 2 KB; the people are invented."""
    place = {"province_name": "Hồ Chí Minh", "district_name": "Quận 1", "subdistrict_name": "Phường Bến Nghé"}
    items: Sequence[Mapping[str, object]] = [
        {
            "sku": sku,
            "variant_name": f"Áo thun cotton cổ tròn, mẫu {sku}",
            "quantity": 1 + number % 2,
            "original_price": 189_000,
            "discounted_price": 149_000,
            "note": "Gói riêng, kèm thiệp mừng; khách sẽ kiểm hàng khi nhận.",
        }
        for number, sku in enumerate(SKUS, 1)
    ]
    return {
        "shop_id": 1,
        "pickup_id": 1,
        "order_number": "",
        "created_time": 1_700_000_000,
        "shipping_fee": 30_000,
        "receiver": {
            "fullname": "Nguyễn Thị An",
            "phone": "+84900000000",
            "email": "an@shop.example",
            "address": "1 Lê Lợi",
            "country": "VN",
            "zip_code": "700000",
            **place,
        },
        "payment_information": {"payment_type": 1, "payment_status": 100, "payment_method": "COD"},
        "note": "Giao trong giờ hành chính; gọi trước khi giao ít nhất ba mươi phút. " * 3,
        "items": items,
    }
