"""The history of runs: one row per `run` and `verify`."""

from collections.abc import Mapping
from typing import Literal

from sqlalchemy import Connection, func, insert, update

from gpm_cdc.domain.lsn import Lsn, render
from gpm_cdc.state.model import Run

type RunCommand = Literal["run", "verify"]
type Outcome = Literal["done", "failed", "stopped"]
type Verdict = Literal["clean", "drift", "inconclusive"]


def begin(connection: Connection, *, stream: str, command: RunCommand, owner: str) -> int:
    """Write down that a command starts now; its number, for `finish`."""
    started = insert(Run).values(stream=stream, command=command, owner=owner).returning(Run.id)
    return connection.execute(started).scalar_one()


def finish(
    connection: Connection,
    number: int,
    *,
    outcome: Outcome,
    positions: tuple[Lsn | None, Lsn | None],
    verdict: Verdict | None,
    detail: Mapping[str, object],
) -> None:
    """Write down that the command `number` ends now. `positions` are the graph's first and last one, if known."""
    first, last = positions
    connection.execute(
        update(Run)
        .where(Run.id == number)
        .values(
            ended_at=func.now(),
            outcome=outcome,
            first_lsn=None if first is None else render(first),
            last_lsn=None if last is None else render(last),
            verdict=verdict,
            detail=dict(detail),
        )
    )
