"""`omisync demo`: puts up the stage, lets the shop trade, and proves that nothing is lost, double or different."""

import asyncio
import signal
from dataclasses import dataclass
from typing import Final

from rich.console import Console
from rich.text import Text

from omisync.demo import people
from omisync.demo.configuration import LEAK_PER_MINUTE
from omisync.demo.errors import DemoError
from omisync.demo.live import Screen
from omisync.demo.play import Looks, settle, trouble
from omisync.demo.proof import Verdict, render
from omisync.demo.stage import Stage, set_up
from omisync.demo.trade import Pace, Trade

SETTLE_SECONDS: Final = 60.0
"""How long all may take to come to rest after the last order, and a little more for each order."""
SETTLE_SECONDS_AN_ORDER: Final = 0.25
SEED: Final = 20260701

INTERRUPTS: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@dataclass(frozen=True, slots=True)
class DemoOptions:
    """What the user asked for.

    Args:
        orders: How many to place; 60 if neither this nor `seconds` is given.
        seconds: For how long to place orders.
        faults: Let Omisell misbehave, kill the daemon and restart Postgres meanwhile.
        keep: Stay up after the proof, until Ctrl-C.
        seed: Of the shoppers and the faults.
    """

    orders: int | None = None
    seconds: float | None = None
    faults: bool = False
    keep: bool = False
    seed: int = SEED


class _Interrupted:
    """Turns the signals that ask us to end into the end of a task, once."""

    def __init__(self, task: "asyncio.Task[int]") -> None:
        self._task = task
        self.number: int | None = None

    def __call__(self, number: int) -> None:
        if self.number is None:  # a second one must not cut off the cleaning up
            self.number = number
            self._task.cancel()


async def run_demo(options: DemoOptions, console: Console) -> int:
    """Run the demo.

    Returns:
        0 if the proof holds, 1 if it does not or a part failed, 128 + the signal if interrupted. Whatever
        happens, no process and no folder stay behind.
    """
    demo = _Demo(options, console)
    task = asyncio.ensure_future(demo.run())
    interrupted = _Interrupted(task)
    loop = asyncio.get_running_loop()
    for number in INTERRUPTS:
        loop.add_signal_handler(number, interrupted, number)
    try:
        return await task
    except asyncio.CancelledError:
        if interrupted.number is None:
            raise
        if demo.verdict is not None:  # --keep: the proof has been given, and this is the end that was asked for
            return demo.code(demo.verdict)
        console.print("stopped; nothing is left behind")
        return 128 + interrupted.number
    except DemoError as error:
        Console(stderr=True).print(Text(f"omisync demo: {error}"), soft_wrap=True)
        return 1
    finally:
        for number in INTERRUPTS:
            loop.remove_signal_handler(number)


class _Demo:
    def __init__(self, options: DemoOptions, console: Console) -> None:
        self._options = options
        self._console = console
        self._pace = Pace.of(options.orders, options.seconds)
        self.verdict: Verdict | None = None

    async def run(self) -> int:
        async with set_up(self._say, faults=self._options.faults, seed=self._options.seed) as stage:
            self._say(
                f"Omisell's limit is scaled for the demo, {LEAK_PER_MINUTE} calls a minute in place of 100: an "
                "order's days are seconds here"
            )
            verdict = await self._play(stage)
            self._console.print(render(verdict))
            self.verdict = verdict
            if self._options.keep:
                await self._keep(stage)
        return self.code(verdict)

    @staticmethod
    def code(verdict: Verdict) -> int:
        return 0 if verdict.holds else 1

    def _say(self, words: str) -> None:
        self._console.print(Text(words), soft_wrap=True)

    async def _play(self, stage: Stage) -> Verdict:
        options = self._options
        orders = people.orders(options.seed, stage.omisell.products, stage.omisell.places)
        trade = Trade(stage.shop, orders, seed=options.seed)
        screen = Screen(self._console, Looks(stage), goal=self._pace.orders)
        try:
            async with asyncio.TaskGroup() as group:
                endless = (group.create_task(screen.show()), group.create_task(trade.follow()))
                screen.phase("placing orders")
                night = group.create_task(trouble(stage, self._pace.duration, screen)) if options.faults else None
                placed = await trade.place_all(self._pace)
                if night is not None:
                    await night
                    await stage.omisell.behave()
                    screen.happened("calm: Omisell behaves again")
                screen.phase("waiting until all has come to rest")
                verdict = await settle(stage, trade, SETTLE_SECONDS + SETTLE_SECONDS_AN_ORDER * placed)
                for task in endless:
                    task.cancel()
        except BaseExceptionGroup as errors:
            raise errors.exceptions[0] from errors
        return verdict

    async def _keep(self, stage: Stage) -> None:
        self._say(f"still up, until Ctrl-C:\n  admin page    {stage.admin_url}/\n  Omisell's page {stage.omisell.url}/")
        await asyncio.Event().wait()
