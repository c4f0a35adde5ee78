"""The passes of `verify` and what they found, written with the run and read back as a report."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from itertools import batched, islice
from typing import Any, Final

from sqlalchemy import BigInteger, ColumnElement, Connection, Select, delete, exists, func, insert, select, text

from gpm_cdc.domain.digests import Digest
from gpm_cdc.domain.lsn import Lsn, parse, render
from gpm_cdc.errors.state import PassUnknown
from gpm_cdc.state.model import FindingRow, Run, UnsettledRow, VerifyPass, VerifyTable
from gpm_cdc.verification.exchange import FindingList, finding_of, located
from gpm_cdc.verification.rendering import shortened
from gpm_cdc.verification.report import Basis, Finding, PassKind, Report, Since, TableReport, Unsettled, Verdict

type Many = VerifyTable | FindingRow | UnsettledRow
"""What a pass has many of."""

FULL: Final = "full"
LONGEST_TEXT: Final = 2_000
"""Characters that are kept of one value. What is longer would make the size of a pass a matter of luck."""

_AT_ONCE: Final = 1_000
_SUMMED: Final = (VerifyTable.missing, VerifyTable.extra, VerifyTable.different)
_PRUNED_AT_ONCE: Final = 50
"""Passes that one pass may rid of their findings, so that none has to work off what years have left."""

_WRITABLE: Final = (
    "SELECT count(*) = 4 AND bool_and(has_table_privilege(c.oid, 'SELECT') AND has_table_privilege(c.oid, 'INSERT')"
    " AND has_table_privilege(c.oid, 'DELETE'))"
    " AND bool_or(EXISTS (SELECT FROM pg_attribute AS a WHERE a.attrelid = c.oid AND a.attname = 'resumed_pass'))"
    " FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace"
    " WHERE n.nspname = 'gpm_cdc' AND c.relname IN ('verify_pass', 'verify_table', 'finding', 'unsettled')"
)
"""As in the history of runs: a refused INSERT would put an error into the server's log, and so would a revision that
does not have the columns yet."""


@dataclass(frozen=True, slots=True)
class PassSummary:
    """A pass in a list of passes. `missing`, `extra` and `different` are of all tables; `kept` findings are listed."""

    number: int
    stream: str
    started_at: datetime
    verdict: Verdict
    from_lsn: str | None
    as_of_lsn: str | None
    kind: PassKind
    strict: bool
    version: str
    seconds: float
    elements_checked: int
    tables: int
    missing: int
    extra: int
    different: int
    finding_count: int
    kept: int
    unsettled_count: int
    resumed_pass: int | None
    since_lsn: str | None


@dataclass(frozen=True, slots=True)
class Unfinished:
    """A pass that has settled some of its tables. Whether it is still running cannot be seen here."""

    number: int
    basis: Basis


def keepable(connection: Connection) -> bool:
    """Whether the tables are there and may be written."""
    return bool(connection.execute(text(_WRITABLE)).scalar_one())


def keep(connection: Connection, number: int, report: Report, *, strict: bool, version: str, limit: int) -> None:
    """Write down what the verify that is run `number` found, with at most `limit` findings and open questions each.

    What was written while it went on is replaced.
    """
    _begin(
        connection,
        number,
        report.basis,
        kind=report.kind,
        state="interrupted" if report.interrupted else "ended",
        strict=strict,
        version=version,
        seconds=report.seconds,
        elements_checked=report.elements_checked,
        finding_count=report.finding_count,
        unsettled_count=report.unsettled_count,
        resumed_pass=report.resumed_pass,
        since_lsn=None if report.since is None else render(report.since.position),
        since=None if report.since is None else report.since.ended_at,
    )
    _insert(connection, number, VerifyTable, map(_table_values, report.tables))
    _insert(connection, number, FindingRow, map(_finding_values, islice(report.findings, limit)))
    _insert(connection, number, UnsettledRow, map(_unsettled_values, islice(report.unsettled, limit)))


def begin(connection: Connection, number: int, basis: Basis, *, version: str, resumed: int | None = None) -> None:
    """Write down that the verify that is run `number` goes on, and will `add` what it settles.

    What pass `resumed` kept goes: add its tables in the same transaction.
    """
    about = {"kind": basis.kind, "strict": basis.strict}
    _begin(connection, number, basis, state="open", version=version, resumed_pass=resumed, **about)
    if resumed is not None:
        connection.execute(delete(VerifyPass).where(VerifyPass.run_id == resumed))


def add(connection: Connection, number: int, table: TableReport, findings: Iterable[Finding], *, limit: int) -> None:
    """Write down a table that an open pass has settled, with so many findings that the pass has no more than `limit`.

    Nothing is written where the pass is gone or has ended.
    """
    tables = select(func.count()).where(VerifyTable.run_id == number).scalar_subquery()
    kept = select(func.count()).where(FindingRow.run_id == number).scalar_subquery()
    goes_on = exists().where(VerifyPass.run_id == number, VerifyPass.state == "open")
    place, known, is_open = connection.execute(select(tables, kept, goes_on)).one()
    if not is_open:
        return
    _insert(connection, number, VerifyTable, [_table_values(table)], after=place)
    entries = map(_finding_values, islice(findings, max(0, limit - known)))
    _insert(connection, number, FindingRow, entries, after=known)


def unfinished(connection: Connection, stream: str) -> Iterator[Unfinished]:
    """The passes of `stream` that have settled tables but not all of them, the newest first."""
    columns = (VerifyPass.mapping_hash, VerifyPass.filled_lsn, VerifyPass.chosen, VerifyPass.strict)
    settled = exists().where(VerifyTable.run_id == VerifyPass.run_id, VerifyTable.settled)
    rows = connection.execute(
        select(VerifyPass.run_id, *columns)
        .join(Run, VerifyPass.run_id == Run.id)
        .where(Run.stream == stream, VerifyPass.kind == FULL, VerifyPass.state != "ended", settled)
        .order_by(Run.id.desc())
    )
    for number, mapping_hash, filled, chosen, strict in rows:
        # Passes of earlier versions do not say what they are about.
        if mapping_hash is not None and filled is not None and chosen is not None:
            yield Unfinished(number, Basis(mapping_hash, parse(filled), tuple(chosen), strict))


def settled_tables(connection: Connection, number: int) -> list[TableReport]:
    """The tables that pass `number` has settled."""
    return [_table(row) for row in _rows(connection, VerifyTable, number) if row["settled"]]


def kept_findings(connection: Connection, number: int) -> Iterator[Finding]:
    """The findings of pass `number` that were kept, in the order of its tables."""
    return map(finding_of, _entries(connection, FindingRow, number))


def _begin(connection: Connection, number: int, basis: Basis | None, **values: object) -> None:
    about = {
        "mapping_hash": None if basis is None else basis.mapping_hash,
        "filled_lsn": None if basis is None else render(basis.filled),
        "chosen": None if basis is None else list(basis.tables),
    }
    counts = dict.fromkeys(("seconds", "elements_checked", "finding_count", "unsettled_count"), 0)
    connection.execute(delete(VerifyPass).where(VerifyPass.run_id == number))
    connection.execute(insert(VerifyPass).values(run_id=number, **{**counts, **about, **values}))


def prune(connection: Connection, stream: str, days: int) -> None:
    """Delete findings and open questions of passes of `stream` that began more than `days` days ago, oldest first.

    The passes themselves and their numbers stay.
    """
    for model in (FindingRow, UnsettledRow):
        old = (
            select(Run.id)
            .where(Run.stream == stream, Run.started_at < func.now() - func.make_interval(0, 0, 0, days))
            .where(exists().where(model.run_id == Run.id))
            .order_by(Run.id)
            .limit(_PRUNED_AT_ONCE)
        )
        for number in connection.execute(old).scalars().all():
            # One statement for each, since each may take only so long.
            connection.execute(delete(model).where(model.run_id == number))


def passes(connection: Connection, stream: str, limit: int) -> list[PassSummary]:
    """The newest `limit` passes of `stream`, newest first."""
    rows = connection.execute(_summaries(stream).order_by(Run.id.desc()).limit(limit))
    return [PassSummary(*row) for row in rows]


def load(connection: Connection, stream: str, number: int) -> tuple[PassSummary, Report]:
    """Pass `number` of `stream`, with the findings that were kept. PassUnknown where there is none."""
    summary = _found(connection, stream, number)
    findings = list(kept_findings(connection, number))
    unsettled = [
        Unsettled(row["table_name"], row["key"], row["reason"]) for row in _rows(connection, UnsettledRow, number)
    ]
    ended = connection.execute(select(VerifyPass.since).where(VerifyPass.run_id == number)).scalar_one()
    report = Report(
        position=_parsed(summary.as_of_lsn),
        seconds=summary.seconds,
        tables=list(map(_table, _rows(connection, VerifyTable, number))),
        findings=findings,
        unsettled=unsettled,
        began=_parsed(summary.from_lsn),
        left_out=summary.finding_count - len(findings),
        unsettled_left_out=summary.unsettled_count - len(unsettled),
        interrupted=_is_interrupted(connection, number),
        resumed_pass=summary.resumed_pass,
        kind=summary.kind,
        since=None if summary.since_lsn is None or ended is None else Since(parse(summary.since_lsn), ended),
    )
    return summary, report


def _is_interrupted(connection: Connection, number: int) -> bool:
    state = connection.execute(select(VerifyPass.state).where(VerifyPass.run_id == number)).scalar_one()
    return state == "interrupted"


def read_findings(connection: Connection, stream: str, number: int) -> FindingList:
    """Which elements the findings of pass `number` are about. PassUnknown where `stream` has no such pass."""
    summary = _found(connection, stream, number)
    findings = [located(entry) for entry in _entries(connection, FindingRow, number)]
    return FindingList(findings, summary.finding_count - len(findings))


def _found(connection: Connection, stream: str, number: int) -> PassSummary:
    row = connection.execute(_summaries(stream).where(Run.id == number)).one_or_none()
    if row is None:
        raise PassUnknown(number=number, stream=stream)
    return PassSummary(*row)


def _summaries(stream: str) -> Select[*tuple[Any, ...]]:
    def over_tables(column: ColumnElement[Any]) -> ColumnElement[Any]:
        return select(column).where(VerifyTable.run_id == Run.id).scalar_subquery()

    kept = select(func.count()).where(FindingRow.run_id == Run.id).scalar_subquery()
    sums = (over_tables(func.coalesce(func.sum(column), 0).cast(BigInteger)) for column in _SUMMED)
    return (
        select(
            Run.id, Run.stream, Run.started_at, Run.verdict, Run.first_lsn, Run.last_lsn, VerifyPass.kind,
            VerifyPass.strict, VerifyPass.version, VerifyPass.seconds, VerifyPass.elements_checked,
            over_tables(func.count()), *sums, VerifyPass.finding_count, kept, VerifyPass.unsettled_count,
            VerifyPass.resumed_pass,
            VerifyPass.since_lsn,
        )
        .join(VerifyPass, VerifyPass.run_id == Run.id)
        .where(Run.stream == stream, Run.verdict.is_not(None), VerifyPass.state != "open")
    )  # fmt: skip


def _rows(connection: Connection, model: type[Many], number: int) -> Iterator[Mapping[str, Any]]:
    rows = connection.execute(select(model.__table__).where(model.run_id == number).order_by(model.number))
    return (dict(row) for row in rows.mappings())


def _entries(connection: Connection, model: type[FindingRow], number: int) -> Iterator[dict[str, Any]]:
    """Findings in their JSON form."""
    return ({**row, "table": row["table_name"]} for row in _rows(connection, model, number))


def _insert(
    connection: Connection, number: int, model: type[Many], entries: Iterable[Mapping[str, object]], *, after: int = 0
) -> None:
    """Rows that are numbered from the one after `after` on."""
    for part in batched(enumerate(entries, after + 1), _AT_ONCE):
        connection.execute(insert(model), [{"run_id": number, "number": place, **entry} for place, entry in part])


def _table_values(table: TableReport) -> dict[str, object]:
    return {
        "table_name": table.table,
        "row_count": table.rows,
        "node_count": table.nodes,
        "relationship_count": table.relationships,
        "missing": table.missing,
        "extra": table.extra,
        "different": table.different,
        "postgres_digest": table.postgres.render(),
        "neo4j_digest": table.neo4j.render(),
        "from_lsn": _rendered(table.began),
        "as_of_lsn": _rendered(table.position),
        "seconds": table.seconds,
        "settled": table.settled,
        "resumed": table.resumed,
    }


def _table(row: Mapping[str, Any]) -> TableReport:
    return TableReport(
        row["table_name"],
        row["row_count"],
        row["node_count"],
        row["relationship_count"],
        Digest.parse(row["postgres_digest"]),
        Digest.parse(row["neo4j_digest"]),
        row["missing"],
        row["extra"],
        row["different"],
        _parsed(row["from_lsn"]),
        _parsed(row["as_of_lsn"]),
        row["seconds"],
        row["settled"],
        row["resumed"],
    )


def _rendered(position: Lsn | None) -> str | None:
    return None if position is None else render(position)


def _parsed(text: str | None) -> Lsn | None:
    return None if text is None else parse(text)


def _finding_values(finding: Finding) -> dict[str, object]:
    entry = shortened(finding, LONGEST_TEXT).as_json()
    return {"table_name": entry.pop("table"), **entry}


def _unsettled_values(question: Unsettled) -> dict[str, object]:
    entry = question.as_json()
    return {"table_name": entry.pop("table"), **entry}
