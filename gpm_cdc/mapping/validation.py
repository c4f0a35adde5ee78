"""Whether a mapping fits a catalogue and itself. Every rule that the projection relies on is checked here."""

from collections import Counter, defaultdict
from collections.abc import Iterator

from gpm_cdc.domain.catalogue import Catalogue, Table, TableName
from gpm_cdc.domain.finding import Finding
from gpm_cdc.domain.types import value_type
from gpm_cdc.errors.mapping import MappingInvalid
from gpm_cdc.errors.values import TypeChoiceRefused, UnsupportedType
from gpm_cdc.mapping import ambiguity, references
from gpm_cdc.mapping.columns import property_columns
from gpm_cdc.mapping.identity import key_problem, refusal
from gpm_cdc.mapping.model import GraphMapping, NodeTable, RelationshipTable, Selector
from gpm_cdc.mapping.spelling import listed, nearest, toml_list, type_name

type _Mapped = NodeTable | RelationshipTable

_DISCRIMINATORS = frozenset({"text", "varchar", "name", "char"})
_FLOATS = frozenset({"float4", "float8"})


def validate(mapping: GraphMapping, catalogue: Catalogue) -> tuple[Finding, ...]:
    """Everything that is wrong with `mapping` for the tables of `catalogue`, and what it leaves out; never raises.

    Findings that block mean that `projection.plan` must not be called. Findings come table by table in the mapping's
    order, then those about several tables, then tables that the mapping does not mention.
    """
    return tuple(
        dict.fromkeys(
            (
                *_mention_findings(mapping),
                *(finding for mapped in _mapped(mapping) for finding in _table_findings(mapped, mapping, catalogue)),
                *ambiguity.label_findings(mapping),
                *ambiguity.relationship_findings(mapping),
                *_unmapped_findings(mapping, catalogue),
            )
        )
    )


def require_valid(mapping: GraphMapping, catalogue: Catalogue) -> None:
    """Raise MappingInvalid with every blocking finding, if there is one."""
    findings = tuple(finding for finding in validate(mapping, catalogue) if finding.blocks)
    if findings:
        details = "\n".join(f"- {finding.message} {finding.remedy}" for finding in findings)
        raise MappingInvalid(count=len(findings), details=details, findings=findings)


def _mapped(mapping: GraphMapping) -> tuple[_Mapped, ...]:
    return (*mapping.nodes, *mapping.relationships)


def _mention_findings(mapping: GraphMapping) -> Iterator[Finding]:
    for table, count in Counter(mapping.tables()).items():
        if count > 1:
            yield Finding.worded(
                "table_mapped_twice", "blocks", table, "{subject} is mapped {count} times.", "Keep one.", count=count
            )
        if table in mapping.ignore:
            yield Finding.worded(
                "table_mapped_and_ignored",
                "blocks",
                table,
                "{subject} is mapped and stands in ignore as well.",
                "Remove it from one of the two.",
            )


def _table_findings(mapped: _Mapped, mapping: GraphMapping, catalogue: Catalogue) -> Iterator[Finding]:
    table = catalogue.tables.get(mapped.table)
    if table is None or table.partition_of is not None:
        yield _not_a_root(mapped.table, table, catalogue)
        return
    refused = refusal(table, catalogue)
    if refused is not None:
        yield refused
    yield from _key_findings(mapped, table, check=refused is None)
    yield from _property_findings(mapped, table)
    yield from _selector_findings(mapped, table)
    if isinstance(mapped, NodeTable):
        yield from references.node_findings(mapped, table, mapping, catalogue)
    else:
        yield from references.relationship_findings(mapped, table, mapping, catalogue)


def _not_a_root(name: TableName, table: Table | None, catalogue: Catalogue) -> Finding:
    if table is not None:
        root = references.root_of(table, catalogue)
        return Finding.worded(
            "table_is_partition",
            "blocks",
            name,
            "{subject} is a partition of {root}; the stream tells its rows as rows of {root}.",
            "Map {root} instead.",
            root=root,
        )
    close = nearest(str(name), (str(known.name) for known in catalogue.roots()))
    return Finding.worded(
        "table_unknown",
        "blocks",
        name,
        "There is no table {subject} (a view or a foreign table has no changes to stream).",
        "Remove it from the mapping, or create it." if close is None else "Did you mean {close}?",
        close=close,
    )


def _key_findings(mapped: _Mapped, table: Table, *, check: bool) -> Iterator[Finding]:
    unknown = [name for name in mapped.key if table.column(name) is None]
    for name in unknown:
        yield references.column_unknown(table, name)
    if not mapped.key:
        yield Finding.worded(
            "key_empty", "blocks", mapped.table, "{subject} has an empty key.", 'Name its columns, as in key = ["id"].'
        )
    elif check and not unknown:
        problem = key_problem(table, mapped.key)
        if problem is not None:
            yield problem
    for name in mapped.key:
        column = table.column(name)
        if column is not None and column.type.resolved.name in _FLOATS:
            yield Finding.worded(
                "key_float",
                "warns",
                f"{mapped.table}.{name}",
                "{subject} is a floating-point key: 0.0 and -0.0 are one key in the graph, and NaN cannot be one.",
                "Use a key of another type where the table has one.",
            )


def _property_findings(mapped: _Mapped, table: Table) -> Iterator[Finding]:
    chosen = mapped.properties
    named = (*(chosen.include or ()), *chosen.exclude, *chosen.rename, *chosen.types)
    for name in dict.fromkeys(named):
        if table.column(name) is None:
            yield references.column_unknown(table, name)
    yield from _selection_findings(mapped, table)
    owners: defaultdict[str, list[str]] = defaultdict(list)
    for column in property_columns(mapped, table):
        owners[chosen.name_of(column.name)].append(column.name)
        try:
            value_type(column.type, chosen.types.get(column.name))
        except UnsupportedType as problem:
            yield Finding.worded(
                "type_unsupported",
                "blocks",
                f"{table.name}.{column.name}",
                "{subject} has the type {type}, which is not supported: {reason}",
                "{advice}",
                type=type_name(column.type),
                reason=problem,
                advice=problem.advice,
            )
        except TypeChoiceRefused as problem:
            yield Finding("type_choice_refused", "blocks", f"{table.name}.{column.name}", str(problem), problem.advice)
    for name, columns in owners.items():
        if len(columns) > 1:
            yield Finding.worded(
                "property_shared",
                "blocks",
                table.name,
                "The columns {columns} of {subject} would become one property, {name}.",
                "Change rename so that each has a name of its own.",
                columns=listed(columns),
                name=name,
            )
        if not name:
            yield Finding.worded(
                "property_empty",
                "blocks",
                f"{table.name}.{columns[0]}",
                "{subject} is renamed to an empty name.",
                "Write a name, or remove it from rename.",
            )


def _selection_findings(mapped: _Mapped, table: Table) -> Iterator[Finding]:
    chosen = mapped.properties
    if chosen.include is not None and chosen.exclude:
        yield Finding.worded(
            "include_and_exclude",
            "blocks",
            table.name,
            "{subject} has both include and exclude.",
            "Keep one: include names all properties, exclude the columns that become none.",
        )
    elif isinstance(mapped, NodeTable) or not mapped.keyed_by_endpoints:
        ends = frozenset[str]() if isinstance(mapped, NodeTable) else _ends(mapped)
        for name in mapped.key:
            if name not in ends and table.column(name) is not None and not chosen.selects(name):
                yield Finding.worded(
                    "key_left_out",
                    "blocks",
                    f"{table.name}.{name}",
                    "{subject} belongs to the key and is left out of the properties, where a key always is.",
                    "Add it to include, or remove it from exclude.",
                )
    for column in table.columns:
        if column.generated != "" and chosen.include is not None and column.name in chosen.include:
            yield Finding.worded(
                "generated_included",
                "blocks",
                f"{table.name}.{column.name}",
                "{subject} is a generated column, which does not arrive in the stream.",
                "Remove it from include.",
            )


def _ends(mapped: RelationshipTable) -> frozenset[str]:
    return frozenset((*mapped.start.columns, *mapped.end.columns))


def _selector_findings(mapped: _Mapped, table: Table) -> Iterator[Finding]:
    setting, selector = _selector(mapped)
    if selector is None:
        return
    column = table.column(selector.column)
    if column is None:
        yield references.column_unknown(table, selector.column)
        return
    resolved = column.type.resolved
    if column.generated != "" or not (resolved.kind == "e" or resolved.name in _DISCRIMINATORS):
        yield Finding.worded(
            "selector_type",
            "blocks",
            f"{table.name}.{column.name}",
            "{subject} ({type}) cannot choose in {setting}, which takes an ordinary column of type text, varchar or "
            "enum.",
            "Name such a column, or remove {setting}.",
            type=type_name(column.type),
            setting=setting,
        )
    if not selector.values:
        yield Finding.worded(
            "selector_empty",
            "blocks",
            f"{table.name}.{column.name}",
            "{setting} of {table} lists no values, so it chooses nothing.",
            'List them, as in values = {{ manager = "Manager" }}, or remove {setting}.',
            setting=setting,
            table=table.name,
        )


def _selector(mapped: _Mapped) -> tuple[str, Selector | None]:
    if isinstance(mapped, NodeTable):
        return "labels_from", mapped.labels_from
    return "type_from", mapped.type_from


def _unmapped_findings(mapping: GraphMapping, catalogue: Catalogue) -> Iterator[Finding]:
    mentioned = {*mapping.tables(), *mapping.ignore}
    for table in catalogue.roots():
        if table.name in mentioned:
            continue
        refused = refusal(table, catalogue)
        if refused is None:
            yield Finding.worded(
                "table_unmapped",
                "warns",
                table.name,
                "{subject} is neither mapped nor ignored, so its rows are not in the graph.",
                "Map it (gpm-cdc map shows how it would look), or add it to ignore: ignore = {ignore}",
                ignore=toml_list((table.name,)),
            )
        else:
            yield Finding(refused.code, "warns", refused.subject, refused.message, refused.remedy)
