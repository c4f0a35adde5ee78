"""Which pass runs when: full ones and incremental ones beside a stream."""

import asyncio
from collections.abc import Mapping
from types import SimpleNamespace

import pytest

from gpm_cdc.config.settings import Settings
from gpm_cdc.domain.lsn import Lsn
from gpm_cdc.errors.base import GpmCdcError
from gpm_cdc.errors.verify import GraphBehind, NeverVerified, VerifiedTooLongAgo
from gpm_cdc.mapping.model import GraphMapping
from gpm_cdc.runtime import passes
from gpm_cdc.runtime.passes import Schedule, verify_regularly
from gpm_cdc.runtime.verify import VerifyOrders
from gpm_cdc.verification.report import Report

HOUR = 3_600.0
DAY = 24 * HOUR


class Clock:
    """Time that passes only while a pass is waited for; `log` is when which pass ran."""

    def __init__(self, until: float, problems: Mapping[int, GpmCdcError]) -> None:
        """`problems` by the number of the pass, from 0."""
        self.now = 0.0
        self.log: list[tuple[float, str]] = []
        self.stop = asyncio.Event()
        self._until = until
        self._problems = problems

    def monotonic(self) -> float:
        """As time has it."""
        return self.now

    async def wait_for(self, awaitable: object, seconds: float) -> None:
        """As asyncio has it."""
        asyncio.ensure_future(awaitable).cancel()  # type: ignore[call-overload]
        self.now += seconds
        if self.now <= self._until:
            raise TimeoutError

    async def recorded_pass(self, settings: Settings, mapping: GraphMapping, orders: VerifyOrders, _: object) -> object:
        """A pass that takes no time, or cannot be."""
        del settings, mapping
        number = len(self.log)
        self.log.append((self.now, orders.kind))
        if number in self._problems:
            raise self._problems[number]
        return Report(Lsn(1), 0.0, [], [], [], kind=orders.kind), None


async def _run(
    monkeypatch: pytest.MonkeyPatch, schedule: Schedule, until: float, problems: Mapping[int, GpmCdcError] | None = None
) -> list[tuple[float, str]]:
    clock = Clock(until, problems or {})
    monkeypatch.setattr(passes, "time", SimpleNamespace(monotonic=clock.monotonic))
    monkeypatch.setattr(passes, "asyncio", SimpleNamespace(wait_for=clock.wait_for, to_thread=asyncio.to_thread))
    monkeypatch.setattr(passes, "recorded_pass", clock.recorded_pass)
    await verify_regularly(Settings(), GraphMapping(), schedule, clock.stop)
    return clock.log


async def test_full_passes_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """The first after as long as there is between two."""
    assert await _run(monkeypatch, Schedule(HOUR, None), 2.5 * HOUR) == [(HOUR, "full"), (2 * HOUR, "full")]


async def test_incremental_passes_in_between(monkeypatch: pytest.MonkeyPatch) -> None:
    """A full one takes the place of the incremental one that is due at the same time."""
    log = await _run(monkeypatch, Schedule(3 * HOUR, HOUR), 5 * HOUR)
    assert log == [
        (HOUR, "incremental"),
        (2 * HOUR, "incremental"),
        (3 * HOUR, "full"),
        (4 * HOUR, "incremental"),
        (5 * HOUR, "incremental"),
    ]


@pytest.mark.parametrize("problem", [NeverVerified(stream="s"), VerifiedTooLongAgo(stream="s", days=8, limit=7)])
async def test_a_full_pass_first_where_none_counts(monkeypatch: pytest.MonkeyPatch, problem: GpmCdcError) -> None:
    """At once instead of the incremental one, which has nothing to rest on."""
    log = await _run(monkeypatch, Schedule(None, HOUR), 2 * HOUR, {0: problem})
    assert log == [(HOUR, "incremental"), (HOUR, "full"), (2 * HOUR, "incremental")]


async def test_a_full_pass_that_proves_nothing_is_not_repeated_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """It found drift: the next one is a day later, or when it is due."""
    never = NeverVerified(stream="s")
    refused = dict.fromkeys(range(100), never)
    del refused[1]
    log = await _run(monkeypatch, Schedule(None, 6 * HOUR), 1.5 * DAY, refused)
    assert [when for when, kind in log if kind == "full"] == [6 * HOUR, 6 * HOUR + DAY]
    log = await _run(monkeypatch, Schedule(2 * HOUR, HOUR), 4 * HOUR, refused)
    assert [when for when, kind in log if kind == "full"] == [HOUR, 3 * HOUR]


async def test_a_pass_that_cannot_be_is_tried_again_when_the_next_is_due(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever the reason."""
    behind = GraphBehind(seconds=1, position="0/1", target="0/2", detail="nobody runs the stream")
    log = await _run(monkeypatch, Schedule(2 * HOUR, HOUR), 4 * HOUR, dict.fromkeys(range(9), behind))
    assert log == [
        (HOUR, "incremental"),
        (2 * HOUR, "full"),
        (3 * HOUR, "incremental"),
        (4 * HOUR, "full"),
    ]
