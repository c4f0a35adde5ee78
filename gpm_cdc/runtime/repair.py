"""`repair`: asks the stream to make rows or tables right, and waits until it has.

Nothing here writes to the graph. What is asked stands in Postgres's log as a message, and the stream does it when it
gets there, at a position where both sides are known exactly.
"""

import asyncio
import time
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from gpm_cdc.config.settings import Settings
from gpm_cdc.domain.catalogue import TableName
from gpm_cdc.domain.lsn import Lsn
from gpm_cdc.domain.values import GraphValue
from gpm_cdc.errors.verify import KeyUnfit, RepairTooWide, RepairUnattended, TableNotMapped
from gpm_cdc.mapping.model import GraphMapping
from gpm_cdc.projection.plan import FieldPlan, GraphPlan, PlannedTable, RowKey
from gpm_cdc.replication.rereading import Rereads, prefix_of, together, whole, write
from gpm_cdc.runtime.mapped import Mapped, bind
from gpm_cdc.runtime.wait import wait
from gpm_cdc.source.copy import copy_where, snapshot_session
from gpm_cdc.source.session import Connection, connect, query
from gpm_cdc.source.system import current_position
from gpm_cdc.source.unapplied import is_running
from gpm_cdc.verification.exchange import Located
from gpm_cdc.verification.report import COUNTED_AS, Finding

_RUNNER_SECONDS: Final = 5.0
"""A stream that reads something again, or that is taken over, has no runner for a moment."""

_POLL_SECONDS: Final = 0.1

KEYS_PER_TABLE: Final = 100_000
"""Above this the whole table is read again, which costs less than so many look-ups."""

MANY_ROWS: Final = "many rows"

REPAIR_TIMEOUT: Final = 600.0
"""Seconds: reading a large table again takes as long as copying it."""

MAX_DELETE: Final = 1_000
"""How many elements a repair may delete unless more is allowed: a mistake in the mapping shows as many of them."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What somebody wants repaired: whole tables, rows by their keys, findings, rows that a condition in SQL holds for.

    Keys are as Postgres prints them.
    """

    tables: Sequence[TableName] = ()
    keys: Sequence[tuple[TableName, RowKey]] = ()
    findings: Iterable[Finding | Located] = ()
    conditions: Mapping[TableName, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class RepairPlan:
    """What a repair would do. `deletes` are elements that no row accounts for; `left` findings are not ours to mend.

    `reasons` tell why a table is read again as a whole.
    """

    rereads: Rereads
    deletes: int = 0
    left: int = 0
    reasons: Mapping[TableName, str] = field(default_factory=dict)

    def require_narrow(self, limit: int) -> None:
        """RepairTooWide if more than `limit` elements would be deleted."""
        if self.deletes > limit:
            raise RepairTooWide(count=f"{self.deletes:,}", limit=f"{limit:,}", allow=self.deletes)


def plan_of_tables(plan: GraphPlan, tables: Sequence[TableName]) -> RepairPlan:
    """Every row of `tables`. TableNotMapped for another one."""
    for table in tables:
        _planned(plan, table)
    return RepairPlan(whole(tables))


def plan_of_keys(plan: GraphPlan, keys: Iterable[tuple[TableName, RowKey]]) -> RepairPlan:
    """Single rows, by their keys as Postgres prints them. KeyUnfit for one that has not as many parts as the key."""
    rereads: Rereads = {}
    for table, key in keys:
        planned = _planned(plan, table)
        if len(key) != planned.key_size:
            raise KeyUnfit(table=table, columns=", ".join(planned.columns[: planned.key_size]), count=len(key))
        rereads = together(rereads, {table: frozenset([key])})
    return RepairPlan(rereads)


async def plan_where(settings: Settings, mapped: Mapped, table: TableName, condition: str) -> RepairPlan:
    """The rows of `table` that `condition`, in SQL, holds for now; the whole table if they are too many.

    TableNotMapped for another table, ConditionRefused for what is no condition.
    """
    planned = _planned(mapped.plan, table)
    partitioned = mapped.catalogue.tables[table].kind == "p"
    columns = planned.columns[: planned.key_size]
    async with snapshot_session(settings.conninfo, None) as session:
        rows = await copy_where(session, (table, partitioned), columns, condition, KEYS_PER_TABLE + 1)
    if len(rows) > KEYS_PER_TABLE:
        return RepairPlan(whole([table]), reasons={table: MANY_ROWS})
    keys = frozenset(tuple(map(str, row)) for row in rows)
    return RepairPlan({table: keys} if keys else {})


def plan_of_findings(plan: GraphPlan, findings: Iterable[Finding | Located]) -> RepairPlan:
    """The rows that `findings` are about. A table with too many of them, or with an unusable key, as a whole."""
    keys: defaultdict[TableName, set[RowKey]] = defaultdict(set)
    unusable: set[TableName] = set()
    deletes = left = 0
    for finding in findings:
        if finding.kind == "foreign":
            left += 1
            continue
        deletes += COUNTED_AS[finding.kind] == "extra"
        table = TableName.parse(finding.table)
        key = _printed(_planned(plan, table), finding.exact_key if isinstance(finding, Finding) else finding.key)
        if key is None:
            unusable.add(table)
        elif len(keys[table]) <= KEYS_PER_TABLE:
            keys[table].add(key)
    reasons = dict.fromkeys(unusable, "an element without a usable key")
    reasons |= {table: MANY_ROWS for table, found in keys.items() if len(found) > KEYS_PER_TABLE}
    rows = {table: frozenset(found) for table, found in keys.items() if table not in reasons}
    return RepairPlan({**rows, **whole(sorted(reasons))}, deletes, left, reasons)


def _planned(plan: GraphPlan, table: TableName) -> PlannedTable:
    planned = plan.tables.get(table)
    if planned is None:
        raise TableNotMapped(table=table, tables=", ".join(map(str, plan.tables)))
    return planned


def _printed(planned: PlannedTable, key: Mapping[str, GraphValue]) -> RowKey | None:
    """The key as Postgres prints it; None if the graph holds it in a form that no row's key has."""
    texts = [_text(field, key.get(field.column)) for field in planned.fields[: planned.key_size]]
    known = [text for text in texts if text is not None]
    return tuple(known) if len(known) == len(texts) else None


def _text(planned: FieldPlan, value: GraphValue) -> str | None:
    if isinstance(value, bool):
        text = "t" if value else "f"
    elif isinstance(value, bytes):
        text = "\\x" + value.hex()
    elif isinstance(value, int | float | str):
        text = str(value)
    else:
        return None
    try:
        back = planned.type.stored(planned.type.decode(text))
    except ValueError:
        return None
    return text if repr(back) == repr(value) else None


async def planned_repair(settings: Settings, mapping: GraphMapping, wanted: Wanted) -> RepairPlan:
    """What repairing all of this would do, by the tables as they are now.

    MappingInvalid, and what the parts raise: TableNotMapped, KeyUnfit, ConditionRefused.
    """
    async with connect(settings.conninfo) as postgres:
        mapped = await bind(postgres, mapping)
    found = plan_of_findings(mapped.plan, wanted.findings)
    parts = [plan_of_keys(mapped.plan, wanted.keys), plan_of_tables(mapped.plan, wanted.tables)]
    parts += [await plan_where(settings, mapped, table, condition) for table, condition in wanted.conditions.items()]
    rereads, reasons = found.rereads, dict(found.reasons)
    for part in parts:
        rereads = together(rereads, part.rereads)
        reasons |= part.reasons
    return RepairPlan(rereads, found.deletes, found.left, reasons)


async def _require_runner(postgres: Connection, stream: str) -> None:
    deadline = time.monotonic() + _RUNNER_SECONDS
    while not await is_running(postgres, stream):
        if time.monotonic() > deadline:
            raise RepairUnattended(stream=stream)
        await asyncio.sleep(_POLL_SECONDS)


async def repair(settings: Settings, rereads: Rereads, *, timeout: float) -> Lsn:  # noqa: ASYNC109 - what --timeout says
    """Ask the stream for it, and return the position of the graph once it is done.

    RepairUnattended while nobody runs the stream; WaitExpired after `timeout` seconds, though it will still be done.
    """
    # A commit that waited for a synchronous standby would be in the stream all the same.
    async with connect(settings.conninfo, synchronous_commit="local") as postgres:
        await _require_runner(postgres, settings.stream)
        await query(
            postgres, "SELECT pg_logical_emit_message(true, %s, %s)", [prefix_of(settings.stream), write(rereads)]
        )
        asked = await current_position(postgres)
    return await wait(settings, asked, timeout=timeout)
