"""A file of statements, held against what is mapped: what the stream will do with each."""

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from typing import Final

from pglast.parser import ParseError, get_postgresql_version, parse_sql

from gpm_cdc.ddl.classification import Node, classify, new_table, partition, search_path
from gpm_cdc.ddl.effects import BLOCKING, EFFECTS, OUTCOMES, Effect, Nature, Outcome
from gpm_cdc.ddl.script import Lines, Piece, outline, pieces
from gpm_cdc.domain.catalogue import TableName
from gpm_cdc.errors.ddl import StatementUnreadable
from gpm_cdc.mapping.model import GraphMapping
from gpm_cdc.wording import say

_NEVER_FOLLOWED: Final = frozenset(("pg_catalog", "information_schema", "pg_temp", "gpm_cdc"))
_RUNNING: Final = frozenset(
    ("\\i", "\\ir", "\\include", "\\include_relative", "\\copy", "\\gexec", "\\c", "\\connect", "\\!")
)
"""What psql does that runs statements, or moves what follows to another database."""

_OF_PUBLICATION: Final = frozenset(code for code in EFFECTS if code.startswith("publication_"))
_OF_PARTITION: Final = {"table_dropped": "partition_dropped", "table_truncated": "partition_truncated"}
_PERHAPS_OF_PARTITION: Final = {
    **dict.fromkeys(
        (*_OF_PARTITION, "table_rewritten", "partition_attached", "partition_detached"), "unmapped_content"
    ),
    **dict.fromkeys(("identity_chosen", "identity_removed", "primary_key_dropped"), "unmapped_identity"),
}
"""What an effect on a table that is not mapped means if that is a partition of one that is."""

_OF_REFERENCE: Final = frozenset(("foreign_key_dropped", "foreign_key_loosened"))
_OF_SCHEMA: Final = {"schema_dropped": "table_dropped", "schema_renamed": "table_renamed"}
_OF_COLUMN: Final = frozenset(("column_dropped", "column_renamed"))
_NEW: Final = frozenset(("table_created",))


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What is known of the stream. Without a `mapping` every table counts as mapped, unless the file makes it."""

    mapping: GraphMapping | None = None
    publication: str = "gpm_cdc"
    slot: str = "gpm_cdc"


@dataclass(frozen=True, slots=True)
class Judgement:
    """One effect with what comes of it, in words. `subject` is the table, or what else it is about; may be empty."""

    code: str
    nature: Nature
    outcome: Outcome
    subject: str
    message: str
    remedy: str
    error: str


@dataclass(frozen=True, slots=True)
class Verdict:
    """A statement: where it begins (both from 1), its outline, and at least one judgement, the worst first."""

    line: int
    column: int
    statement: str
    judgements: tuple[Judgement, ...]

    @property
    def outcome(self) -> Outcome:
        """The worst of it."""
        return self.judgements[0].outcome


@dataclass(frozen=True, slots=True)
class Report:
    """A file: its statements in the order of writing."""

    verdicts: tuple[Verdict, ...]

    @property
    def blocked(self) -> bool:
        """Whether any statement needs a person before the stream can go on rightly."""
        return any(verdict.outcome in BLOCKING for verdict in self.verdicts)

    @property
    def counts(self) -> dict[Outcome, int]:
        """How many statements have each outcome."""
        counted = Counter(verdict.outcome for verdict in self.verdicts)
        return {outcome: counted[outcome] for outcome in OUTCOMES}


def judge(text: str, surroundings: Surroundings, *, where: str) -> Report:
    """What the stream does with each statement of `text`; `where` names the file in errors. StatementUnreadable."""
    file, lines = _File(surroundings), Lines(text)
    verdicts = []
    for piece in pieces(text):
        if piece.kind == "statement":
            effects = file.read(_parsed(piece, lines, where))
        elif piece.kind == "meta" and (command := piece.text.split()[0]) in _RUNNING:
            effects = (Effect("psql_runs", subject=command),)
        else:
            continue
        if effects:
            line, column = lines.place(piece.start)
            shown = piece.text.split()[0] if piece.kind == "meta" else outline(piece.text)
            verdicts.append(Verdict(line, column, shown, _judged(effects)))
    return Report(tuple(verdicts))


def _parsed(piece: Piece, lines: Lines, where: str) -> list[Node]:
    try:
        return [raw.stmt for raw in parse_sql(piece.text)]
    except ParseError as problem:
        offset = problem.args[1] if len(problem.args) > 1 and isinstance(problem.args[1], int) else 0
    # Outside the except block: the parser's message quotes the file, and must not ride along.
    line, column = lines.place(piece.start + max(offset, 0))
    raise StatementUnreadable(path=where, line=line, column=column, version=get_postgresql_version()[0])


def _judged(effects: Iterable[Effect]) -> tuple[Judgement, ...]:
    judgements = dict.fromkeys(map(_judgement, effects))
    return tuple(sorted(judgements, key=lambda each: -OUTCOMES.index(each.outcome)))


def _judgement(effect: Effect) -> Judgement:
    consequence = EFFECTS[effect.code]
    subject = str(effect.table) if effect.table is not None else effect.subject
    return Judgement(
        code=effect.code,
        nature=consequence.nature,
        outcome=consequence.outcome,
        subject=subject,
        message=say(consequence.message, subject=subject),
        remedy=say(consequence.remedy, subject=subject),
        error=consequence.error,
    )


@dataclass(slots=True)
class _File:
    """What the statements so far have made of names, which decides what the later ones mean."""

    surroundings: Surroundings
    schema: str = "public"
    made: set[TableName] = field(default_factory=set)
    partitions: dict[TableName, TableName] = field(default_factory=dict)

    def read(self, statements: Iterable[Node]) -> tuple[Effect, ...]:
        """The effects of further statements, as things stand when they run."""
        found: list[Effect] = []
        for statement in statements:
            effects = classify(statement, self.schema)
            found.extend(known for effect in effects for known in self._known(effect))
            self._note(statement, effects)
        return tuple(found)

    def _note(self, statement: Node, effects: Iterable[Effect]) -> None:
        self.schema = search_path(statement) or self.schema
        for effect in effects:
            if effect.code in {"table_dropped", "table_renamed"} and effect.table is not None:
                self._forget(effect.table, statement)
        made = new_table(statement, self.schema)
        if made is not None:
            self.made.add(made)
        belongs = partition(statement, self.schema)
        if belongs is not None:
            self.partitions[belongs[0]] = belongs[1]

    def _forget(self, table: TableName, statement: Node) -> None:
        self.partitions.pop(table, None)
        if table not in self.made:
            return
        self.made.discard(table)
        schema = getattr(statement, "newschema", None)
        name = getattr(statement, "newname", None)
        if schema or name:
            self.made.add(TableName(schema or table.schema, name or table.name))

    def _known(self, effect: Effect) -> Iterator[Effect]:
        """`effect` in view of what is mapped, of the stream's own names, and of what the file has made."""
        if effect.code in _OF_PUBLICATION:
            yield self._of_publication(effect)
        elif effect.code in _OF_SCHEMA:
            yield from self._of_schema(effect)
        elif effect.code == "slot_touched" and effect.subject not in {self.surroundings.slot, ""}:
            yield Effect("nothing")
        elif effect.code == "table_rewritten" and effect.table is None:
            yield replace(effect, subject=say("every mapped table"))
        elif effect.table is None or effect.code in _NEW:
            yield effect
        else:
            yield self._of_table(effect, effect.table)

    def _of_publication(self, effect: Effect) -> Effect:
        if effect.subject != self.surroundings.publication:
            return Effect("publication_other", subject=effect.subject)
        if effect.table is not None and not self._mapped(effect.table):
            return Effect("table_unmapped", effect.table)
        return effect

    def _of_schema(self, effect: Effect) -> Iterator[Effect]:
        code = _OF_SCHEMA[effect.code]
        mapping = self.surroundings.mapping
        if mapping is None:
            yield Effect(code, subject=say("Every table of schema {schema}", schema=effect.subject))
            return
        tables = [table for table in mapping.tables() if table.schema == effect.subject]
        yield from (Effect(code, table) for table in tables)
        if not tables:
            yield Effect("dependents_dropped" if code == "table_dropped" else "schema_touched", subject=effect.subject)

    def _of_table(self, effect: Effect, table: TableName) -> Effect:
        root = self._root(table)
        if root in self.made:
            return Effect("table_of_file", table)
        if root != table and self._mapped(root):
            code = _OF_PARTITION.get(effect.code, effect.code)
            return replace(effect, code=code, table=root)
        if not self._mapped(table):
            return Effect(self._unmapped(effect, table), table)
        if effect.code in _OF_REFERENCE and not self._relies_on_references(table):
            return Effect("nothing", table)
        if effect.code in _OF_COLUMN and self._names(table, effect.column):
            return replace(effect, code="mapped_column_gone")
        return effect

    def _root(self, table: TableName) -> TableName:
        seen = {table}
        while table in self.partitions and self.partitions[table] not in seen:
            table = self.partitions[table]
            seen.add(table)
        return table

    def _mapped(self, table: TableName) -> bool:
        mapping = self.surroundings.mapping
        if table.schema in _NEVER_FOLLOWED:
            return False
        return mapping is None or table in set(mapping.tables())

    def _names(self, table: TableName, column: str) -> bool:
        """Whether the mapping says something of this column, so that it does not fit without it."""
        mapping = self.surroundings.mapping
        return mapping is not None and column in mapping.columns_named(table)

    def _unmapped(self, effect: Effect, table: TableName) -> str:
        mapping = self.surroundings.mapping
        if table.schema in _NEVER_FOLLOWED or (mapping is not None and table in mapping.ignore):
            return "table_unmapped"
        return _PERHAPS_OF_PARTITION.get(effect.code, "table_unmapped")

    def _relies_on_references(self, table: TableName) -> bool:
        mapping = self.surroundings.mapping
        if mapping is None:
            return True
        node = mapping.node(table)
        return node is None or any(relationship.enforced for relationship in node.relationships)
