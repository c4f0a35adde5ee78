"""`gpm-cdc status`: where the stream stands."""

import asyncio
from datetime import UTC

import click

from gpm_cdc.cli.options import examples, with_settings
from gpm_cdc.cli.rendering import show_json, show_table, talk
from gpm_cdc.config.settings import Settings
from gpm_cdc.domain.lsn import render
from gpm_cdc.errors.base import ExitCode
from gpm_cdc.errors.run import StreamUnknown
from gpm_cdc.runtime.status import Status, read_status
from gpm_cdc.wording import say


@click.command(
    help="""Say where the stream stands: checkpoint, slot, lag, who runs it. Changes nothing and needs no mapping.

    The lag in bytes is the log between the graph's position and the end of Postgres's log, whoever wrote it. The lag in
    seconds is 0 when there is none, otherwise what Postgres measures for a stream that runs, and unknown for one that
    does not. The exit code is 1 if the stream cannot go on, and 2 if neither server knows it.""",
    epilog=examples("gpm-cdc status", "gpm-cdc status --json | jq .lag_bytes"),
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
@with_settings
def status(settings: Settings, *, as_json: bool) -> ExitCode:
    """The command; its help is above, since it is text for people."""
    found = asyncio.run(read_status(settings))
    if as_json:
        show_json(_document(found))
    elif found.known:
        show_table((say("what"), say("state")), _lines(found))
    if not found.known:
        raise StreamUnknown(stream=settings.stream)
    if found.problem is None:
        return ExitCode.DONE
    talk("The stream cannot go on: {problem}", problem=found.problem)
    talk("  next: {remedy}", remedy=found.problem.advice)
    return ExitCode.FINDING


def _document(found: Status) -> dict[str, object]:
    checkpoint, slot, problem = found.checkpoint, found.slot, found.problem
    verified = found.verified
    return {
        "stream": found.stream,
        "phase": None if checkpoint is None else checkpoint.phase,
        "position": None if checkpoint is None else render(checkpoint.position.lsn),
        "epoch": None if checkpoint is None else checkpoint.epoch,
        "owner": None if checkpoint is None else checkpoint.owner,
        "running": found.runner is not None,
        "runner": found.runner,
        "postgres_position": render(found.end),
        "lag_bytes": found.lag_bytes,
        "lag_seconds": found.lag_seconds,
        "slot": None
        if slot is None
        else {
            "name": slot.name,
            "active": slot.active_pid is not None,
            "active_pid": slot.active_pid,
            "wal_status": slot.wal_status,
            "confirmed": render(slot.confirmed),
            "retained_bytes": slot.retained,
        },
        "publication_exists": found.publication,
        "verified": None
        if verified is None
        else {
            "pass": verified.number,
            "kind": verified.kind,
            "verdict": verified.verdict,
            "as_of_lsn": verified.as_of_lsn,
            "started_at": verified.started_at.astimezone(UTC).isoformat(timespec="milliseconds"),
        },
        "problem": None
        if problem is None
        else {"code": problem.code, "message": str(problem), "remedy": problem.advice},
    }


def _lines(found: Status) -> list[tuple[str, object]]:
    checkpoint, slot = found.checkpoint, found.slot
    lines: list[tuple[str, object]] = [
        (say("stream"), found.stream),
        (say("run by"), found.runner or say("nobody")),
    ]
    if checkpoint is None:
        lines.append((say("checkpoint"), say("none: the graph does not know the stream")))
    else:
        lines += [
            (say("phase"), checkpoint.phase),
            (say("graph is at"), render(checkpoint.position.lsn)),
            (say("Postgres is at"), render(found.end)),
            (say("lag"), _lag(found)),
            (say("last owner"), say("{owner}, epoch {epoch}", owner=checkpoint.owner, epoch=checkpoint.epoch)),
        ]
    if slot is None:
        lines.append((say("slot"), say("none")))
    else:
        lines += [
            (say("slot"), _slot(slot.name, slot.active_pid, slot.wal_status)),
            (say("log retained"), say("unknown") if slot.retained is None else _size(slot.retained)),
        ]
    lines.append((say("publication"), say("exists") if found.publication else say("none")))
    if found.verified is not None:
        began = f"{found.verified.started_at.astimezone():%Y-%m-%d %H:%M:%S}"
        kind, verdict = found.verified.kind, found.verified.verdict
        told = say("{verdict}, {kind} pass of {began}", verdict=verdict, kind=kind, began=began)
        lines.append((say("verified"), told))
    return lines


def _slot(name: str, pid: int | None, wal_status: str | None) -> str:
    used = say("not in use") if pid is None else say("in use by process {pid}", pid=pid)
    return say("{name}, {used}, log {wal_status}", name=name, used=used, wal_status=wal_status or say("not reserved"))


def _lag(found: Status) -> str:
    if found.lag_bytes is None:
        return say("unknown until the tables are copied")
    if found.lag_seconds is None:
        return _size(found.lag_bytes)
    return say("{size}, {seconds} s", size=_size(found.lag_bytes), seconds=f"{found.lag_seconds:.1f}")


def _size(count: float) -> str:
    units = ("B", "kB", "MB", "GB", "TB")
    for unit in units[:-1]:
        if count < 1024:  # noqa: PLR2004 - Postgres's own unit
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1024
    return f"{count:.1f} {units[-1]}"
