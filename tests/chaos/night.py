"""One run: the night, the calm, the verdict."""

import asyncio
import contextlib
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import aiohttp
import asyncpg

from omisync.demo import people
from omisync.demo.shop import DATABASE_AWAY
from tests.chaos.hands import Hands
from tests.chaos.options import Options
from tests.chaos.plan import Blow, plan
from tests.chaos.recovery import Recoveries
from tests.chaos.report import Report, Sample
from tests.chaos.servers import STATEMENT_SECONDS
from tests.chaos.shoppers import Crowd
from tests.chaos.stage import Stage, set_up
from tests.chaos.tables import conditions
from tests.chaos.verdict import Judgement, diary, look

STILL_SECONDS: Final = 240.0
"""What has not come to rest after so long without any change never will: twice as long as a detail that nobody hurries
for may wait."""
REST_LOOK_SECONDS: Final = 2.0
SAMPLE_SECONDS: Final = 1.0
PROBE_SECONDS: Final = 2.0
NAMED: Final = 20

COUNTS: Final = """
    SELECT count(*) FILTER (WHERE state = 'done'), count(*) FILTER (WHERE state IN ('pending', 'sending')),
           count(*) FILTER (WHERE state = 'failed'), (SELECT count(*) FROM omisync.refreshes)
    FROM omisync.outbox
"""


@dataclass(slots=True)
class Diary:
    """What happened when, and a sample of everything each second."""

    say: Callable[[str], None]
    began: float = field(default_factory=time.monotonic)
    samples: list[Sample] = field(default_factory=list)
    happened: list[tuple[float, str]] = field(default_factory=list)

    @property
    def now(self) -> float:
        """Seconds since the beginning."""
        return time.monotonic() - self.began

    def note(self, words: str) -> None:
        """Note something and say it."""
        self.happened.append((self.now, words))
        self.say(f"{self.now:7.1f} s   {words}")


async def run(options: Options, say: Callable[[str], None] = print) -> Report:
    """Run a night of chaos.

    Raises:
        DemoError: A part could not be started, or the shop's database stayed away.
    """
    say(f"replay with: {options.replay}")
    async with set_up(options) as stage:
        where = await conditions(stage)
        diary_of_all = Diary(say)
        orders = people.orders(options.seed, stage.omisell.products, stage.omisell.places)
        crowd = Crowd(stage.shop, orders, rate=options.rate, limit=options.orders, seed=options.seed)
        recoveries = Recoveries(stage.servers, options.replicas, lambda: ready(stage))
        hands = Hands(stage, crowd, recoveries, diary_of_all.note)
        try:
            judgement = await _night(options, stage, crowd, hands, recoveries, diary_of_all)
        except BaseExceptionGroup as errors:
            raise errors.exceptions[0] from errors
        return Report(
            options=options,
            judgement=judgement,
            done=dict(hands.done),
            recoveries=tuple(recoveries.measured),
            samples=tuple(diary_of_all.samples),
            happened=tuple(diary_of_all.happened),
            omisell=await stage.omisell.ledger(),
            cancelled=crowd.cancelled,
            starts=sum(replica.starts for replica in stage.replicas),
            conditions=where,
        )


async def _night(
    options: Options, stage: Stage, crowd: Crowd, hands: Hands, recoveries: Recoveries, diary_of_all: Diary
) -> Judgement:
    async with asyncio.TaskGroup() as group:
        endless = [
            group.create_task(each) for each in (crowd.follow(), _sample(stage, crowd, diary_of_all), hands.watch())
        ]
        strikes = group.create_task(_strike(plan(options), hands, diary_of_all))
        await crowd.shop_for(options.seconds)
        await strikes
        diary_of_all.note(f"calm: {crowd.placed} orders were placed")
        await hands.calm()
        await recoveries.done()
        judgement = await _rest(stage, crowd, hands, diary_of_all)
        for task in endless:
            task.cancel()
    if not judgement.holds:
        named = list(dict.fromkeys(finding.order_number for finding in judgement.findings))[:NAMED]
        (stage.folder / "broken").touch()
        (stage.folder / "orders.txt").write_text(await diary(stage, named))
    return judgement


async def _strike(blows: Sequence[Blow], hands: Hands, diary_of_all: Diary) -> None:
    async with asyncio.TaskGroup() as group:
        for blow in blows:
            await asyncio.sleep(blow.at - diary_of_all.now)
            group.create_task(hands.strike(blow))


async def _rest(stage: Stage, crowd: Crowd, hands: Hands, diary_of_all: Diary) -> Judgement:
    """Wait until all has come to rest and agrees, or nothing changes any more."""
    before: object = None
    changed = time.monotonic()
    while time.monotonic() < changed + STILL_SECONDS:
        crowd.check()
        with contextlib.suppress(*DATABASE_AWAY):
            verdict = (await look(stage, full=False)).orders
            now = (verdict.moving, verdict.waiting, len(verdict.findings), diary_of_all.samples[-1].refreshes)
            if now != before:
                before, changed = now, time.monotonic()
            if verdict.moving == 0:
                await crowd.finish()
                await hands.hurry()
            if verdict.holds and not (verdict.moving or verdict.waiting or crowd.to_cancel):
                judgement = await look(stage, full=True)
                if judgement.holds:
                    return judgement
        await asyncio.sleep(REST_LOOK_SECONDS)
    return await look(stage, full=True)


async def ready(stage: Stage) -> int:
    """How many replicas say that they can work."""
    return sum([await _answers(stage.session, replica.daemon.pid, replica.admin_url) for replica in stage.replicas])


async def _answers(session: aiohttp.ClientSession, pid: int | None, url: str) -> bool:
    if pid is None:
        return False
    with contextlib.suppress(aiohttp.ClientError, TimeoutError, OSError):
        async with session.get(f"{url}/readyz", timeout=aiohttp.ClientTimeout(total=PROBE_SECONDS)) as answer:
            return answer.status == 200
    return False


async def _sample(stage: Stage, crowd: Crowd, diary_of_all: Diary) -> None:
    connection: Any = None
    done = pending = failed = refreshes = 0
    async with contextlib.AsyncExitStack() as stack:
        stack.callback(lambda: None if connection is None else connection.terminate())
        while True:
            due = time.monotonic() + SAMPLE_SECONDS
            try:
                if connection is None or connection.is_closed():
                    connection = await asyncpg.connect(
                        stage.servers.admin_dsn, timeout=STATEMENT_SECONDS, command_timeout=STATEMENT_SECONDS
                    )
                done, pending, failed, refreshes = await connection.fetchrow(COUNTS)
            except (*DATABASE_AWAY, asyncpg.PostgresError):
                if connection is not None:
                    connection.terminate()
                    connection = None
            there = await stage.omisell.orders()
            up = sum(replica.daemon.pid is not None for replica in stage.replicas)
            sample = Sample(
                diary_of_all.now,
                crowd.placed,
                crowd.cancelled,
                done,
                pending,
                failed,
                refreshes,
                there,
                up,
                connection is not None,
            )
            before = diary_of_all.samples[-1] if diary_of_all.samples else sample
            diary_of_all.samples.append(sample)
            diary_of_all.say(sample.line(before))
            await asyncio.sleep(due - time.monotonic())
