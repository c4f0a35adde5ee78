"""`check`: every condition on both servers, with its remedy. Changes nothing anywhere."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from gpm_cdc.config.settings import Settings
from gpm_cdc.domain.catalogue import Catalogue, TableName
from gpm_cdc.domain.finding import Finding
from gpm_cdc.errors.base import GpmCdcError
from gpm_cdc.errors.mapping import MappingMissing
from gpm_cdc.errors.sink import GraphNotEmpty
from gpm_cdc.errors.source import ReplicationRefused, SourceIsStandby, WalLevelTooLow, WalSendersTaken
from gpm_cdc.mapping.fingerprint import mapping_hash
from gpm_cdc.mapping.model import GraphMapping
from gpm_cdc.mapping.validation import validate
from gpm_cdc.ports.graph import Checkpoint
from gpm_cdc.projection.plan import plan
from gpm_cdc.runtime.continuity import begun, contradictions, other_source, publication_problem, slot_problem
from gpm_cdc.runtime.graph import open_graph
from gpm_cdc.runtime.limits import limit_findings
from gpm_cdc.runtime.mapped import Mapped, mapped_catalogue, read_mapping
from gpm_cdc.sink import preflight as graph_side
from gpm_cdc.sink.writer import Neo4jWriter
from gpm_cdc.source import preflight as source_side
from gpm_cdc.source.publication import PublicationState, read_publication
from gpm_cdc.source.session import Connection, connect
from gpm_cdc.source.slot import SlotState, read_slot
from gpm_cdc.source.stream import ReplicationStream, SystemIdentity
from gpm_cdc.source.system import lock_holder, require_logical

_ORDER = {"blocks": 0, "warns": 1, "notes": 2}


@dataclass(frozen=True, slots=True)
class Report:
    """What `check` found, what blocks first. Versions are as the servers state them."""

    postgres_version: str
    neo4j_version: str
    neo4j_edition: str
    findings: tuple[Finding, ...]

    @property
    def blocked(self) -> int:
        """How many findings block."""
        return sum(finding.blocks for finding in self.findings)


@dataclass(frozen=True, slots=True)
class _Source:
    """What the source says of the stream. `identity` is None where no walsender can be had."""

    facts: source_side.ServerFacts
    slot: SlotState | None
    publication: PublicationState | None
    runner: str | None
    identity: SystemIdentity | None
    rights: Mapping[TableName, source_side.TableRights]
    writers: Sequence[source_side.OpenTransaction]


async def check(settings: Settings, *, adopt: bool = False) -> Report:
    """Examine both servers for the stream of `settings`. `adopt` says that `run --adopt` is meant.

    Raises the errors of servers that cannot be reached, or that are too old, and of a mapping that cannot be read.
    """
    examination = _Examination(settings, adopt=adopt)
    async with connect(settings.conninfo) as postgres, open_graph(settings) as writer:
        return await examination.run(postgres, writer)


class _Examination:
    def __init__(self, settings: Settings, *, adopt: bool) -> None:
        self._settings = settings
        self._adopt = adopt
        self._found: list[Finding] = []

    async def run(self, postgres: Connection, writer: Neo4jWriter) -> Report:
        mapping = self._mapping()
        mapped = None
        source = None
        if await self._suits(postgres):
            catalogue = await mapped_catalogue(postgres, mapping)
            mapped = self._bind(mapping, catalogue)
            source = await self._read(postgres, tuple(mapping.tables()))
        graph = await graph_side.read_graph(writer, self._settings.neo4j_database)
        found = await writer.checkpoint(self._settings.stream)
        self._found += graph_side.graph_findings(graph, self._settings.neo4j_database)
        if mapped is not None:
            self._found += graph_side.index_findings(graph, mapped.plan) if found is None else ()
            self._found += limit_findings(mapped.plan)
        if found is None:
            await self._labels(writer, mapping)
        if source is not None:
            self._judge(source, mapping, mapped, found)
        return Report(
            postgres_version=postgres.info.parameter_status("server_version") or "?",
            neo4j_version=graph.version,
            neo4j_edition=graph.edition,
            findings=tuple(sorted(self._found, key=lambda finding: _ORDER[finding.severity])),
        )

    def _mapping(self) -> GraphMapping:
        try:
            return read_mapping(self._settings)
        except MappingMissing as problem:
            self._blocked(problem, "gpm-cdc.toml")
            return GraphMapping()

    async def _suits(self, postgres: Connection) -> bool:
        """Whether a stream can begin at this server at all."""
        try:
            await require_logical(postgres)
        except WalLevelTooLow as problem:
            self._blocked(problem, "wal_level")
        except SourceIsStandby as problem:
            self._blocked(problem, "postgres")
            return False
        return True

    def _bind(self, mapping: GraphMapping, catalogue: Catalogue) -> Mapped | None:
        if not mapping.nodes:
            return None
        findings = validate(mapping, catalogue)
        self._found += findings
        if any(finding.blocks for finding in findings):
            return None
        return Mapped(mapping, catalogue, plan(mapping, catalogue), mapping_hash(mapping))

    async def _read(self, postgres: Connection, tables: Sequence[TableName]) -> _Source:
        settings = self._settings
        facts = await source_side.read_server(postgres)
        return _Source(
            facts=facts,
            slot=await read_slot(postgres, settings.slot_name),
            publication=await read_publication(postgres, settings.publication_name),
            runner=await lock_holder(postgres, settings.stream),
            identity=await self._identity(),
            rights=await source_side.read_rights(postgres, tables),
            writers=await source_side.read_writers(postgres),
        )

    async def _identity(self) -> SystemIdentity | None:
        """What a replication connection says; that there is one proves more than the catalogue does."""
        settings = self._settings
        try:
            stream = await ReplicationStream.open(
                settings.conninfo,
                wal_sender_timeout=settings.wal_sender_timeout,
                lock_timeout=settings.lock_timeout,
            )
        except (ReplicationRefused, WalSendersTaken) as problem:
            self._blocked(problem, str(problem.facts.get("role", "max_wal_senders")))
            return None
        try:
            return await stream.identify()
        finally:
            await stream.close()

    async def _labels(self, writer: Neo4jWriter, mapping: GraphMapping) -> None:
        """Nodes that are there before the stream has begun."""
        stream = self._settings.stream
        counts = await graph_side.count_labels(writer, [node.label for node in mapping.nodes])
        for label, count in counts.items():
            if count and self._adopt:
                self._found.append(
                    Finding.worded(
                        "graph_adopted",
                        "notes",
                        label,
                        "{count} nodes bear {subject}: those that have a row are made equal to it, the others deleted.",
                        count=count,
                    )
                )
            elif count:
                self._blocked(GraphNotEmpty(count=count, label=label, stream=stream), label)

    def _judge(self, source: _Source, mapping: GraphMapping, mapped: Mapped | None, found: Checkpoint | None) -> None:
        settings, facts = self._settings, source.facts
        self._found += source_side.room_findings(
            facts, slots=0 if source.slot else 1, walsenders=0 if source.runner else 1
        )
        self._found += source_side.retention_findings(facts)
        if mapped is not None:
            columns = {table: planned.columns for table, planned in mapped.plan.tables.items()}
            self._found += source_side.reading_findings(facts, source.rights, columns)
        if source.publication is None and not begun(found):
            self._found += source_side.publishing_findings(facts, source.rights, settings.publication_name)
        self._found += source_side.delay_findings(
            source.writers, begun=source.slot is not None, patience=settings.lock_timeout
        )
        for subject, problem in self._contradictions(source, mapping, mapped, found):
            self._blocked(problem, subject)

    def _contradictions(
        self, source: _Source, mapping: GraphMapping, mapped: Mapped | None, found: Checkpoint | None
    ) -> Iterator[tuple[str, GpmCdcError]]:
        settings = self._settings
        slot = slot_problem(source.slot, settings.slot_name, found, source.runner)
        if slot is not None:
            yield settings.slot_name, slot
        if mapping.nodes:
            tables = tuple(mapping.tables())
            publication = publication_problem(source.publication, settings.publication_name, found, tables)
            if publication is not None:
                yield settings.publication_name, publication
        if found is None or not begun(found) or source.identity is None:
            return
        problems = (
            other_source(found, source.identity) if mapped is None else contradictions(found, mapped, source.identity)
        )
        for problem in problems:
            yield settings.stream, problem

    def _blocked(self, problem: GpmCdcError, subject: str) -> None:
        self._found.append(Finding(problem.code, "blocks", subject, str(problem), problem.advice))
