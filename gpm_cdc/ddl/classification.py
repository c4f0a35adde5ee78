"""What one parsed statement does to what the stream depends on, whatever is mapped: a pure function of its text."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

from pglast import ast
from pglast.enums import (
    AlterPublicationAction,
    DropBehavior,
    ObjectType,
    TransactionStmtKind,
)

from gpm_cdc.ddl.altering import alterations
from gpm_cdc.ddl.effects import Effect
from gpm_cdc.domain.catalogue import TableName

type Node = Any
"""A node of the parse tree: which fields it has depends on its class, which the dispatch below decides."""

type Classifier = Callable[[Node, str], Iterator[Effect]]
"""From a statement and the schema of unqualified names to effects."""

_HARMLESS: Final[frozenset[str]] = frozenset(
    f"{name}Stmt"
    for name in (
        "AlterCollation", "AlterDatabaseRefreshColl", "AlterDatabase", "AlterDefaultPrivileges", "AlterDomain",
        "AlterEventTrig", "AlterExtensionContents", "AlterExtension", "AlterFdw", "AlterForeignServer",
        "AlterFunction", "AlterObjectDepends", "AlterOpFamily", "AlterOperator", "AlterPolicy",
        "AlterSeq", "AlterStats", "AlterSubscription", "AlterTSConfiguration", "AlterTSDictionary",
        "AlterTableSpaceOptions", "AlterType", "AlterUserMapping", "CheckPoint", "ClosePortal",
        "Comment", "CompositeType", "ConstraintsSet", "CreateAm", "CreateCast", "CreateConversion",
        "CreateDomain", "CreateEnum", "CreateEventTrig", "CreateExtension", "CreateFdw", "CreateForeignServer",
        "CreateForeignTable", "CreateFunction", "CreateOpClass", "CreateOpFamily", "CreatePLang", "CreatePolicy",
        "CreatePublication", "CreateRange", "CreateRole", "CreateSeq", "CreateStats", "CreateSubscription",
        "CreateTableSpace", "CreateTransform", "CreateTrig", "CreateUserMapping", "Createdb", "Deallocate", "Define",
        "Discard", "DropSubscription", "DropTableSpace", "DropUserMapping", "Dropdb", "Fetch", "GrantRole",
        "ImportForeignSchema", "Index", "Listen", "Load", "Lock", "Notify", "Prepare", "ReassignOwned",
        "RefreshMatView", "Reindex", "Rule", "SecLabel", "Unlisten", "VariableShow", "View",
    )
)  # fmt: skip
"""Statements that change no row, no column and no name of an existing table. Rows that triggers and rules which they
make write later come as rows do."""

_WITHOUT_DEPENDENTS: Final = frozenset(
    (
        ObjectType.OBJECT_VIEW, ObjectType.OBJECT_MATVIEW, ObjectType.OBJECT_SEQUENCE, ObjectType.OBJECT_TRIGGER,
        ObjectType.OBJECT_RULE, ObjectType.OBJECT_POLICY, ObjectType.OBJECT_FOREIGN_TABLE,
        ObjectType.OBJECT_EVENT_TRIGGER, ObjectType.OBJECT_STATISTIC_EXT,
    )
)  # fmt: skip
"""What can be dropped, even with CASCADE, without taking a column of a table along."""

_STREAM_SETTINGS: Final = frozenset(
    ("wal_level", "max_replication_slots", "max_slot_wal_keep_size", "max_wal_senders", "idle_replication_slot_timeout")
)
_SLOT_FUNCTIONS: Final = frozenset(
    (
        "pg_drop_replication_slot", "pg_replication_slot_advance", "pg_logical_slot_get_changes",
        "pg_logical_slot_get_binary_changes",
    )
)  # fmt: skip
_BUILT_IN: Final = frozenset(
    (
        "array_agg", "avg", "count", "current_setting", "currval", "generate_series", "json_agg", "jsonb_agg",
        "lastval", "length", "lower", "max", "min", "nextval", "now", "row_number", "set_config", "setval",
        "string_agg", "sum", "to_char", "upper", "version",
    )
)  # fmt: skip
"""Functions of Postgres that files of statements call by their bare name; others may be anybody's."""


def classify(statement: Node, schema: str = "public") -> tuple[Effect, ...]:
    """What `statement` does, never nothing: `schema` is where unqualified names are looked up."""
    name = type(statement).__name__
    classifier = _CLASSIFIERS.get(name)
    if classifier is None:
        return (Effect("nothing" if name in _HARMLESS else "not_known"),)
    found = tuple(dict.fromkeys(classifier(statement, schema)))
    telling = tuple(effect for effect in found if effect.code != "nothing")
    return telling or found[:1] or (Effect("nothing"),)


def table_name(relation: Node, schema: str) -> TableName:
    """The table that a RangeVar names."""
    return TableName(relation.schemaname or schema, relation.relname)


def new_table(statement: Node, schema: str) -> TableName | None:
    """The table that `statement` surely makes; None also for IF NOT EXISTS, where it may be an old one."""
    if isinstance(statement, ast.CreateStmt):
        return None if statement.if_not_exists else table_name(statement.relation, schema)
    if isinstance(statement, ast.CreateTableAsStmt):
        return None if statement.if_not_exists else _made_by_query(statement.into, schema)
    if isinstance(statement, ast.SelectStmt) and statement.intoClause is not None:
        return table_name(statement.intoClause.rel, schema)
    return None


def _made_by_query(target: Node, schema: str) -> TableName:
    """The table that an IntoClause names."""
    return table_name(target.rel, schema)


def partition(statement: Node, schema: str) -> tuple[TableName, TableName] | None:
    """The partition that `statement` makes or attaches, and the table it then belongs to."""
    if isinstance(statement, ast.CreateStmt) and statement.partbound is not None:
        return table_name(statement.relation, schema), table_name((statement.inhRelations or ())[0], schema)
    if isinstance(statement, ast.AlterTableStmt) and statement.objtype == ObjectType.OBJECT_TABLE:
        for action in statement.cmds or ():
            if isinstance(action.def_, ast.PartitionCmd) and action.def_.bound is not None:
                return table_name(action.def_.name, schema), table_name(statement.relation, schema)
    return None


def search_path(statement: Node) -> str | None:
    """The schema of unqualified names from `statement` on, if it sets that."""
    values: list[str] = []
    if isinstance(statement, ast.VariableSetStmt) and statement.name == "search_path":
        values = [str(_constant(value)) for value in statement.args or ()] or ["public"]
    elif isinstance(statement, ast.SelectStmt):
        for call in _nodes(statement, ast.FuncCall):
            arguments = [_constant(argument) for argument in call.args or ()]
            if call.funcname[-1].sval == "set_config" and arguments[0] == "search_path":
                values = str(arguments[1]).split(",")
    else:
        return None
    named = [value.strip().strip('"') for value in values]
    return next((value for value in named if value != "$user"), None)


def _constant(node: Node) -> object:
    value = getattr(node, "val", None)
    return getattr(value, "sval", None)


def _nodes(tree: Node, kinds: type | tuple[type, ...]) -> Iterator[Node]:
    """Every node of `kinds` in a tree, the root included, as written. Trees may be deeper than the stack."""
    waiting = [tree]
    while waiting:
        node = waiting.pop()
        if isinstance(node, tuple):
            waiting.extend(reversed(node))
        elif isinstance(node, ast.Node):
            if isinstance(node, kinds):
                yield node
            waiting.extend(reversed([getattr(node, attribute) for attribute in node]))


def _written(statement: Node, schema: str) -> Iterator[Effect]:
    """The tables that a statement with its WITH queries writes to."""
    for write in _nodes(statement, (ast.InsertStmt, ast.UpdateStmt, ast.DeleteStmt, ast.MergeStmt)):
        yield Effect("rows_written", table_name(write.relation, schema))


def _selected(statement: Node, schema: str) -> Iterator[Effect]:
    yield from _written(statement, schema)
    made = new_table(statement, schema)
    if made is not None:
        yield Effect("table_created", made)
    for call in _nodes(statement, ast.FuncCall):
        name = call.funcname[-1].sval
        arguments = [_constant(argument) for argument in call.args or ()]
        if name in _SLOT_FUNCTIONS:
            yield Effect("slot_touched", subject=str(arguments[0] or ""))
        elif name == "set_config" and arguments[:2] == ["session_replication_role", "replica"]:
            yield Effect("checks_suspended")
        elif name not in _BUILT_IN and not (len(call.funcname) > 1 and call.funcname[0].sval == "pg_catalog"):
            yield Effect("code_run")


def _altered(statement: Node, schema: str) -> Iterator[Effect]:
    if statement.objtype == ObjectType.OBJECT_TYPE:
        yield Effect("composite_changed", subject=str(table_name(statement.relation, schema)))
    elif statement.objtype == ObjectType.OBJECT_TABLE:
        yield from alterations(statement, table_name(statement.relation, schema))


def _renamed(statement: Node, schema: str) -> Iterator[Effect]:
    if statement.renameType == ObjectType.OBJECT_TABLE:
        yield Effect("table_renamed", table_name(statement.relation, schema))
    elif statement.renameType == ObjectType.OBJECT_COLUMN and statement.relationType == ObjectType.OBJECT_TABLE:
        yield Effect("column_renamed", table_name(statement.relation, schema), column=statement.subname)
    elif statement.renameType == ObjectType.OBJECT_SCHEMA:
        yield Effect("schema_renamed", subject=statement.subname)
    elif statement.renameType == ObjectType.OBJECT_PUBLICATION:
        yield Effect("publication_gone", subject=statement.object.sval)
    elif statement.renameType == ObjectType.OBJECT_ROLE:
        yield Effect("role_altered", subject=statement.subname)


def _moved(statement: Node, schema: str) -> Iterator[Effect]:
    if statement.objectType == ObjectType.OBJECT_TABLE:
        yield Effect("table_renamed", table_name(statement.relation, schema))


def _dropped(statement: Node, schema: str) -> Iterator[Effect]:
    cascades = statement.behavior == DropBehavior.DROP_CASCADE
    for target in statement.objects:
        name = _dotted(target)
        if statement.removeType == ObjectType.OBJECT_TABLE:
            yield Effect("table_dropped", TableName(".".join(name[:-1]) or schema, name[-1]))
        elif statement.removeType == ObjectType.OBJECT_PUBLICATION:
            yield Effect("publication_gone", subject=name[-1])
        elif statement.removeType == ObjectType.OBJECT_INDEX:
            yield Effect("index_dropped", subject=".".join(name))
        elif cascades and statement.removeType == ObjectType.OBJECT_SCHEMA:
            yield Effect("schema_dropped", subject=name[-1])
        elif cascades and statement.removeType not in _WITHOUT_DEPENDENTS:
            yield Effect("dependents_dropped", subject=".".join(name))


def _dotted(node: Node) -> list[str]:
    """The parts of a name, however the parse tree wraps it."""
    return [part.sval for part in _nodes(node, ast.String)]


def _owned(statement: Node, _schema: str) -> Iterator[Effect]:
    for role in statement.roles:
        yield Effect("dependents_dropped", subject=role.rolename or "CURRENT_USER")


def _created(statement: Node, schema: str) -> Iterator[Effect]:
    found = partition(statement, schema)
    if found is not None:
        yield Effect("partition_created", found[1])
    else:
        yield Effect("table_created", table_name(statement.relation, schema))


def _created_as(statement: Node, schema: str) -> Iterator[Effect]:
    if statement.objtype == ObjectType.OBJECT_TABLE:
        yield Effect("table_created", table_name(statement.into.rel, schema))
        yield from classify(statement.query, schema)


def _schema_made(statement: Node, _schema: str) -> Iterator[Effect]:
    for element in statement.schemaElts or ():
        yield from classify(element, statement.schemaname or "public")


def _copied(statement: Node, schema: str) -> Iterator[Effect]:
    if statement.query is not None:
        yield from classify(statement.query, schema)
    elif statement.is_from:
        yield Effect("rows_written", table_name(statement.relation, schema))


def _truncated(statement: Node, schema: str) -> Iterator[Effect]:
    for relation in statement.relations:
        yield Effect("table_truncated", table_name(relation, schema))


def _transaction(statement: Node, _schema: str) -> Iterator[Effect]:
    if statement.kind == TransactionStmtKind.TRANS_STMT_PREPARE:
        yield Effect("transaction_prepared")


def _explained(statement: Node, schema: str) -> Iterator[Effect]:
    if any(option.defname == "analyze" for option in statement.options or ()):
        yield from classify(statement.query, schema)


def _queried(statement: Node, schema: str) -> Iterator[Effect]:
    yield from classify(statement.query, schema)


def _set(statement: Node, _schema: str) -> Iterator[Effect]:
    if statement.name == "session_replication_role" and [_constant(each) for each in statement.args or ()] == [
        "replica"
    ]:
        yield Effect("checks_suspended")


def _set_elsewhere(statement: Node, schema: str) -> Iterator[Effect]:
    yield from _set(statement.setstmt, schema)


def _system_set(statement: Node, _schema: str) -> Iterator[Effect]:
    if statement.setstmt.name in _STREAM_SETTINGS:
        yield Effect("setting_of_stream", subject=statement.setstmt.name)


def _granted(statement: Node, _schema: str) -> Iterator[Effect]:
    if not statement.is_grant:
        yield Effect("rights_revoked")


def _role_altered(statement: Node, _schema: str) -> Iterator[Effect]:
    yield Effect("role_altered", subject=statement.role.rolename or "CURRENT_USER")


def _roles_dropped(statement: Node, _schema: str) -> Iterator[Effect]:
    for role in statement.roles:
        yield Effect("role_altered", subject=role.rolename)


def _enum_altered(statement: Node, _schema: str) -> Iterator[Effect]:
    code = "enum_value_added" if statement.oldVal is None else "enum_value_renamed"
    yield Effect(code, subject=".".join(_dotted(statement.typeName)))


def _owned_otherwise(statement: Node, _schema: str) -> Iterator[Effect]:
    if statement.objectType == ObjectType.OBJECT_PUBLICATION:
        yield Effect("publication_altered", subject=statement.object.sval)


def _clustered(statement: Node, schema: str) -> Iterator[Effect]:
    yield Effect("table_rewritten", statement.relation and table_name(statement.relation, schema))


def _vacuumed(statement: Node, schema: str) -> Iterator[Effect]:
    if any(option.defname == "full" and _switched_on(option) for option in statement.options or ()):
        for each in statement.rels or (None,):
            yield Effect("table_rewritten", each and table_name(each.relation, schema))


def _moved_all(statement: Node, _schema: str) -> Iterator[Effect]:
    if statement.objtype == ObjectType.OBJECT_TABLE:
        yield Effect("tables_moved", subject=statement.new_tablespacename)


def _code(_statement: Node, _schema: str) -> Iterator[Effect]:
    yield Effect("code_run")


def _published(statement: Node, schema: str) -> Iterator[Effect]:
    name = statement.pubname
    if statement.options:
        narrowed = any(map(_narrows, statement.options))
        yield Effect("publication_narrowed" if narrowed else "publication_altered", subject=name)
    elif statement.action == AlterPublicationAction.AP_SetObjects:
        yield Effect("publication_replaced", subject=name)
    elif statement.action == AlterPublicationAction.AP_AddObjects:
        yield Effect("publication_table_added", subject=name)
    else:
        for part in statement.pubobjects or ():
            if part.pubtable is None:
                yield Effect("publication_replaced", subject=name)
            else:
                table = table_name(part.pubtable.relation, schema)
                yield Effect("publication_table_dropped", table, subject=name)


_EVERY_OPERATION: Final = frozenset(("insert", "update", "delete", "truncate"))


def _narrows(option: Node) -> bool:
    value = "" if option.arg is None else " ".join(_dotted(option.arg)).lower()
    if option.defname == "publish":
        return {word.strip() for word in value.split(",")} != _EVERY_OPERATION
    return option.defname == "publish_via_partition_root" and not _switched_on(option)


def _switched_on(option: Node) -> bool:
    """Whether an option is true, which it is without a value."""
    if isinstance(option.arg, ast.Integer):
        return bool(option.arg.ival)
    return " ".join(_dotted(option.arg)).lower() not in {"false", "off"}


_CLASSIFIERS: Final[Mapping[str, Classifier]] = {
    "SelectStmt": _selected,
    "InsertStmt": _written,
    "UpdateStmt": _written,
    "DeleteStmt": _written,
    "MergeStmt": _written,
    "CopyStmt": _copied,
    "TruncateStmt": _truncated,
    "AlterTableStmt": _altered,
    "RenameStmt": _renamed,
    "AlterObjectSchemaStmt": _moved,
    "DropStmt": _dropped,
    "DropOwnedStmt": _owned,
    "CreateStmt": _created,
    "CreateTableAsStmt": _created_as,
    "CreateSchemaStmt": _schema_made,
    "TransactionStmt": _transaction,
    "ExplainStmt": _explained,
    "DeclareCursorStmt": _queried,
    "VariableSetStmt": _set,
    "AlterDatabaseSetStmt": _set_elsewhere,
    "AlterRoleSetStmt": _set_elsewhere,
    "AlterSystemStmt": _system_set,
    "GrantStmt": _granted,
    "AlterRoleStmt": _role_altered,
    "DropRoleStmt": _roles_dropped,
    "AlterEnumStmt": _enum_altered,
    "AlterPublicationStmt": _published,
    "AlterOwnerStmt": _owned_otherwise,
    "AlterTableMoveAllStmt": _moved_all,
    "ClusterStmt": _clustered,
    "VacuumStmt": _vacuumed,
    "DoStmt": _code,
    "CallStmt": _code,
    "ExecuteStmt": _code,
}
