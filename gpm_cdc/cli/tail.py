"""`gpm-cdc tail`: the changes and the Cypher that they would become."""

import asyncio
import json
import math
import signal
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing, suppress
from datetime import UTC, datetime, timedelta
from typing import Final

import click

from gpm_cdc.cli.options import examples, with_settings
from gpm_cdc.cli.rendering import talk
from gpm_cdc.config.settings import Settings
from gpm_cdc.domain.lsn import render
from gpm_cdc.runtime.mapped import read_mapping
from gpm_cdc.runtime.tail import TracedChange, TracedTransaction, tail as follow
from gpm_cdc.wording import say

_POSTGRES_EPOCH: Final = datetime(2000, 1, 1, tzinfo=UTC)


@click.command(
    help="""Print each transaction that is committed from now on: its changes, and the Cypher that they would become.

    Reads from a temporary replication slot and writes nothing to either server; the stream's publication has to be
    there. The graph is not asked, so statements that depend on its answer (moving the relationship of a changed foreign
    key, for one) are left out. Interrupt it to end it.""",
    epilog=examples("gpm-cdc tail", "gpm-cdc tail --limit 1 --json | jq ."),
)
@click.option("--limit", type=click.IntRange(min=1), metavar="N", help="Stop after N transactions.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document per transaction and line.")
@with_settings
def tail(settings: Settings, *, limit: int | None, as_json: bool) -> None:
    """The command; its help is above, since it is text for people."""
    mapping = read_mapping(settings)
    asyncio.run(_until_interrupted(follow(settings, mapping, _ready), limit, as_json=as_json))


async def _until_interrupted(
    transactions: AsyncGenerator[TracedTransaction], limit: int | None, *, as_json: bool
) -> None:
    printing = asyncio.create_task(_print(transactions, limit, as_json=as_json))
    loop = asyncio.get_running_loop()
    for name in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(name, printing.cancel)
    with suppress(asyncio.CancelledError):
        await printing


async def _print(transactions: AsyncGenerator[TracedTransaction], limit: int | None, *, as_json: bool) -> None:
    shown = 0
    async with aclosing(transactions) as following:
        async for transaction in following:
            click.echo(json.dumps(_document(transaction), ensure_ascii=False) if as_json else _text(transaction))
            shown += 1
            if shown == limit:
                return


def _ready() -> None:
    talk("Following; interrupt to end.")


def _document(transaction: TracedTransaction) -> dict[str, object]:
    return {
        "lsn": render(transaction.end_lsn),
        "committed_at": _committed(transaction),
        "changes": [_change(change) for change in transaction.changes],
        "statements": [
            {"cypher": statement.text, "rows": _plain(statement.rows)} for statement in transaction.statements
        ],
    }


def _change(change: TracedChange) -> dict[str, object]:
    document: dict[str, object] = {"kind": change.kind, "table": change.table}
    if change.old is not None:
        document["old"] = change.old
    if change.new is not None:
        document["new"] = change.new
    if change.unchanged:
        document["unchanged"] = change.unchanged
    return document


def _text(transaction: TracedTransaction) -> str:
    lines = [say("-- {lsn}, committed {time}", lsn=render(transaction.end_lsn), time=_committed(transaction))]
    lines += [f"   {change.kind} {change.table}{_rows_of(change)}" for change in transaction.changes]
    for statement in transaction.statements:
        lines.append(statement.text)
        lines += [f"   {json.dumps(_plain(row), ensure_ascii=False)}" for row in statement.rows]
    return "\n".join(lines)


def _rows_of(change: TracedChange) -> str:
    parts = [
        *([_row(change.old)] if change.old is not None else []),
        *(["->"] if change.old is not None and change.new is not None else []),
        *([_row(change.new)] if change.new is not None else []),
        *([say("(unchanged: {columns})", columns=", ".join(change.unchanged))] if change.unchanged else []),
    ]
    return "".join(f" {part}" for part in parts)


def _row(values: Mapping[str, str | None]) -> str:
    return json.dumps(dict(values), ensure_ascii=False)


def _committed(transaction: TracedTransaction) -> str:
    return (_POSTGRES_EPOCH + timedelta(microseconds=transaction.commit_time_us)).isoformat()


def _plain(value: object) -> object:
    """`value` as JSON can hold it: bytes in hexadecimal, numbers that are none by their names."""
    if isinstance(value, bytes | bytearray):
        return value.hex()
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if isinstance(value, list | tuple):
        return [_plain(part) for part in value]
    return value
