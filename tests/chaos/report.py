"""The figures of a run: a table for people, JSON for the README."""

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

from omisync.demo.proof import Fault
from tests.chaos.hands import BY_ITSELF
from tests.chaos.options import Options
from tests.chaos.recovery import BOUND_SECONDS, Recovery
from tests.chaos.verdict import Judgement

NAMED: Final = 40
BEFORE_SECONDS: Final = 10.0
AFTER_SECONDS: Final = 30.0
"""Throughput is looked at so long before and after a fault; the backlog is worked off meanwhile."""
BLOWS: Final = ("kill", "crash_loop", "terminate", "database_restart", "fail_over", "backends_killed", "outage")


@dataclass(frozen=True, slots=True)
class Sample:
    """Everything at one moment, `at` seconds after the beginning."""

    at: float
    placed: int
    cancelled: int
    done: int
    pending: int
    failed: int
    refreshes: int
    at_omisell: int
    daemons: int
    database: bool

    def line(self, before: "Sample") -> str:
        """One moment as one line."""
        rate = (self.done - before.done) / (self.at - before.at) if self.at > before.at else 0.0
        return (
            f"{self.at:7.1f} s {self.daemons} up{'' if self.database else ', no database'}: placed {self.placed}, "
            f"cancelled {self.cancelled}, done {self.done} ({rate:.0f}/s), pending {self.pending}, "
            f"failed {self.failed}, at Omisell {self.at_omisell}, to fetch {self.refreshes}"
        )


@dataclass(frozen=True, slots=True)
class Report:
    """A run's outcome."""

    options: Options
    judgement: Judgement
    done: Mapping[str, int]
    recoveries: tuple[Recovery, ...]
    samples: tuple[Sample, ...]
    happened: tuple[tuple[float, str], ...]
    omisell: Mapping[str, Any]
    cancelled: int
    starts: int
    conditions: Mapping[str, object]

    @property
    def holds(self) -> bool:
        """Nothing is lost, double or different, no daemon ended by itself, and everything recovered in time."""
        return self.judgement.holds and not self.done.get(BY_ITSELF) and not self.late

    @property
    def late(self) -> tuple[Recovery, ...]:
        """What took longer to recover than the contract allows."""
        return tuple(each for each in self.recoveries if not each.in_time)

    def throughput(self) -> Mapping[str, tuple[float, float]]:
        """Rows ended a second, before and after each kind of blow: means over all of its blows."""
        found: dict[str, list[tuple[float, float]]] = {}
        for at, words in self.happened:
            kind = words.split(" ")[0]
            if kind in BLOWS:
                before, after = self._rate(at - BEFORE_SECONDS, at), self._rate(at, at + AFTER_SECONDS)
                if before is not None and after is not None:
                    found.setdefault(kind, []).append((before, after))
        return {
            kind: (statistics.mean(b for b, _ in pairs), statistics.mean(a for _, a in pairs))
            for kind, pairs in found.items()
        }

    def _rate(self, begin: float, end: float) -> float | None:
        within = [sample for sample in self.samples if begin <= sample.at <= end and sample.database]
        if len(within) < 2 or within[-1].at == within[0].at:
            return None
        return (within[-1].done - within[0].done) / (within[-1].at - within[0].at)

    def as_json(self) -> dict[str, object]:
        """Everything that is worth keeping."""
        verdict, pushes = self.judgement.orders, self.omisell["pushes"]
        return {
            "replay": self.options.replay,
            "conditions": self.conditions,
            "holds": self.holds,
            "orders": verdict.placed,
            "cancels": self.cancelled,
            **{fault.value: self.judgement.count(fault) for fault in Fault},
            "verdict": {key: value for key, value in asdict(verdict).items() if key != "findings"},
            "findings": [f"{each.order_number}: {each.fault}: {each.why}" for each in self.judgement.findings],
            "struck": dict(sorted(self.done.items())),
            "daemon_starts": self.starts,
            "omisell_faults": dict(sorted(self.omisell["faults"].items())),
            "pushes": dict(sorted(pushes.items())),
            "recoveries": self.recovered(),
            "recovery_bound_seconds": BOUND_SECONDS,
            "late": [asdict(each) for each in self.late],
            "throughput_rows_a_second": {
                kind: {"before": round(before, 2), "after": round(after, 2)}
                for kind, (before, after) in self.throughput().items()
            },
            "samples": [asdict(sample) for sample in self.samples],
            "happened": [[round(at, 1), words] for at, words in self.happened],
        }

    def recovered(self) -> dict[str, dict[str, object]]:
        """How soon each kind of blow was over."""
        return {kind: self._recovered(kind) for kind in sorted({each.kind for each in self.recoveries})}

    def _recovered(self, kind: str) -> dict[str, object]:
        taken = [each.seconds for each in self.recoveries if each.kind == kind and each.seconds is not None]
        return {
            "measured": len(taken),
            "median": round(statistics.median(taken), 1) if taken else None,
            "longest": round(max(taken), 1) if taken else None,
        }

    def render(self) -> str:
        """A table, and what broke by name."""
        data = self.as_json()
        rows: list[tuple[str, object]] = [
            ("orders", data["orders"]),
            ("cancels", data["cancels"]),
            *((words, number) for words, number in self.done.items()),
            ("Omisell's faults", sum(self.omisell["faults"].values())),
            *((f"  {kind}", number) for kind, number in sorted(self.omisell["faults"].items())),
            ("pushes sent", self.omisell["pushes"].get("sent", 0)),
            ("pushes dropped", self.omisell["pushes"].get("dropped", 0) + self.omisell["pushes"].get("given_up", 0)),
        ]
        rows += [(f"recovered from {kind}, seconds", _figures(each)) for kind, each in _items(data["recoveries"])]
        rows += [
            (f"rows a second around {kind}", _figures(each)) for kind, each in _items(data["throughput_rows_a_second"])
        ]
        rows += [(fault.value, self.judgement.count(fault)) for fault in Fault]
        width = max(len(words) for words, _ in rows)
        lines = [f"{words:<{width}}  {value}" for words, value in rows]
        lines += [f"late: {each.kind} took {each.seconds} s" for each in self.late]
        lines += [f"{each.order_number}: {each.fault}: {each.why}" for each in self.judgement.findings[:NAMED]]
        if len(self.judgement.findings) > NAMED:
            lines.append(f"… and {len(self.judgement.findings) - NAMED} more")
        lines.append("It holds." if self.holds else f"It does not hold. Replay with: {self.options.replay}")
        return "\n".join(lines)


def _items(mapping: object) -> Sequence[tuple[str, Mapping[str, object]]]:
    assert isinstance(mapping, dict)
    return list(mapping.items())


def _figures(values: Mapping[str, object]) -> str:
    return ", ".join(f"{name} {value}" for name, value in values.items())
