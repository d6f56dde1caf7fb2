"""Several replicas on one database: rows a second with the stub answering after 50 ms."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from tests.bench.drain import RATE, Contender, drain, omisync_contender
from tests.bench.drain import Plan as DrainPlan
from tests.bench.figures import Finding, Series, alternate
from tests.bench.ground import OUT_OF_THE_WAY, Ground, Worker, ground

DELAY: Final = 0.05
IN_FLIGHT: Final = 50
"""Of each replica."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What is measured."""

    rounds: int
    rows: int
    seconds: float
    replicas: Sequence[int]


class _Replicas(Worker):
    """The first of several, which answers for all."""

    def __init__(self, workers: Sequence[Worker]) -> None:
        first = workers[0]
        super().__init__(first.process, first._guarded, first.log)
        self._workers = workers

    def check(self) -> None:
        for worker in self._workers[1:]:
            worker.check()
        super().check()

    async def stop(self, *how: object) -> None:
        del how
        for worker in self._workers:
            worker.process.terminate()
        for worker in self._workers:
            await worker.stop()


async def measure(plan: Plan) -> Finding:
    """Every number of replicas, in turn."""
    async with ground() as this, this.stub(DELAY):
        names = {f"omisync, {count} replica{'s' if count > 1 else ''}": count for count in plan.replicas}
        base = await omisync_contender(this, plan.rows)

        async def one(name: str, _: int) -> Mapping[str, float]:
            contender = _with_replicas(this, base, names[name])
            return await drain(this, contender, DrainPlan(plan.rows, plan.seconds, 1, (), ()), IN_FLIGHT)

        print(f"scaling: {plan.rows} rows, {IN_FLIGHT} in flight a replica, the stub after {DELAY * 1000:g} ms")
        found = await alternate(plan.rounds, list(names), one)
        return _finding(found, plan, await this.settings())


def _with_replicas(this: Ground, base: Contender, count: int) -> Contender:
    async def start(in_flight: int) -> Worker:
        workers = []
        for number in range(count):
            replica = this.configure(
                base.dsn, name=f"omisync-{number}", omisell=OUT_OF_THE_WAY, outbox={"concurrency": in_flight}
            )
            workers.append(await this.daemon(replica, wait=False))
        return _Replicas(workers)

    return Contender(base.dsn, base.clean, base.remaining, base.fill, start)


def _finding(found: Mapping[str, Mapping[str, Series]], plan: Plan, settings: Mapping[str, object]) -> Finding:
    rates = {name: series[RATE] for name, series in found.items()}
    one = next(iter(rates.values()))
    return Finding(
        name="scaling",
        title="Replicas on one database, the stub answering after 50 ms",
        head=["", RATE, "times one replica"],
        lines=[[name, str(series), f"{series.median / one.median:.2f}"] for name, series in rates.items()],
        rounds=found,
        settings={**settings, "rounds": plan.rounds, "rows": plan.rows, "in flight a replica": IN_FLIGHT},
        notes=["all replicas, Postgres and the stub share the cores of one machine"],
        bars={RATE: rates},
        unit=RATE,
    )
