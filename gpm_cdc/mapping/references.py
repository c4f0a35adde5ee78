"""Whether the references of a mapping can be followed: columns, targets, comparability, and what Postgres enforces."""

from collections.abc import Iterable, Iterator

from gpm_cdc.domain.catalogue import Catalogue, ForeignKey, Table, TableName
from gpm_cdc.domain.finding import Finding
from gpm_cdc.mapping.columns import property_columns
from gpm_cdc.mapping.equality import (
    BY_IMAGE,
    Pair,
    Reference,
    foreign_key_of,
    graph_type,
    is_enforced,
    is_number,
    pairs_of,
    remedy,
)
from gpm_cdc.mapping.identity import unique_columns
from gpm_cdc.mapping.model import ForeignKeyRelationship, GraphMapping, NodeTable, RelationshipTable
from gpm_cdc.mapping.spelling import listed, nearest, toml_list, type_name


def node_findings(node: NodeTable, table: Table, mapping: GraphMapping, catalogue: Catalogue) -> Iterator[Finding]:
    """What is wrong with the relationships of `node`."""
    kept = {column.name for column in property_columns(node, table)}
    for relationship in node.relationships:
        if not relationship.type:
            yield _type_empty(node.table)
        problems = list(_reference_findings(node, table, relationship, mapping, catalogue))
        yield from problems
        if problems:
            continue
        key = foreign_key_of(table, relationship)
        if relationship.enforced and (key is None or not is_enforced(key)):
            yield _not_enforced(table, relationship, key)
        dropped = [column for column in relationship.columns if column not in kept]
        if dropped and not (relationship.enforced and _never_moves(key)):
            yield _dropped(table, relationship, dropped)


def relationship_findings(
    declared: RelationshipTable, table: Table, mapping: GraphMapping, catalogue: Catalogue
) -> Iterator[Finding]:
    """What is wrong with the two ends of a relationship table."""
    if (declared.type is None) == (declared.type_from is None):
        yield Finding.worded(
            "relationship_type_unclear",
            "blocks",
            declared.table,
            "{subject} needs exactly one of type and type_from.",
            "Remove one of them, or add type.",
        )
    elif not all(declared.types) or not declared.types:
        yield _type_empty(declared.table)
    for end in (declared.start, declared.end):
        problems = list(_reference_findings(declared, table, end, mapping, catalogue))
        yield from problems
        key = foreign_key_of(table, end)
        if not problems and (key is None or not is_enforced(key)):
            yield Finding.worded(
                "endpoint_loose",
                "blocks",
                _subject(table, end.columns),
                "No validated and enforced foreign key leads from {subject} to {target}, and a relationship without "
                "its ends "
                "cannot exist.",
                "Map {table} as a [[node]] with two relationships that say enforced = false, or add the foreign key.",
                target=end.target,
                table=table.name,
            )


def _reference_findings(
    mapped: NodeTable | RelationshipTable,
    table: Table,
    reference: Reference,
    mapping: GraphMapping,
    catalogue: Catalogue,
) -> Iterator[Finding]:
    """What makes `reference` meaningless, whatever Postgres enforces."""
    unknown = [column for column in reference.columns if table.column(column) is None]
    for column in unknown:
        yield column_unknown(table, column)
    generated = [column.name for column in table.columns if column.name in reference.columns and column.generated != ""]
    for name in generated:
        yield Finding.worded(
            "reference_generated",
            "blocks",
            _subject(table, (name,)),
            "{subject} is a generated column, which does not arrive in the stream, so it cannot lead anywhere.",
            "Refer by ordinary columns, or remove the relationship.",
        )
    target = catalogue.tables.get(reference.target)
    node = mapping.node(reference.target)
    if target is None or node is None:
        yield _target_unknown(table, reference, mapping, catalogue)
        return
    missing = [column for column in reference.target_columns if target.column(column) is None]
    for column in missing:
        yield column_unknown(target, column)
    if len(reference.columns) != len(reference.target_columns) or not reference.columns:
        yield Finding.worded(
            "reference_arity",
            "blocks",
            _subject(table, reference.columns),
            "{subject} names {count} columns and {target_count} target_columns.",
            "Name as many columns as target_columns, pairwise and at least one.",
            count=len(reference.columns),
            target_count=len(reference.target_columns),
        )
    elif not unknown and not missing:
        yield from _target_findings(table, reference, target, node)
        yield from _pair_findings(table, target, pairs_of(mapped, reference, mapping, catalogue))


def _target_findings(table: Table, reference: Reference, target: Table, node: NodeTable) -> Iterator[Finding]:
    if not unique_columns(target, reference.target_columns):
        yield Finding.worded(
            "target_not_unique",
            "blocks",
            _subject(table, reference.columns),
            "{subject} refers to {target} ({columns}), which no unique index covers: a row could have many targets.",
            "Name the columns of a primary key or unique index of {target} as target_columns.",
            target=target.name,
            columns=listed(reference.target_columns),
        )
    properties = {column.name for column in property_columns(node, target)}
    hidden = [column for column in reference.target_columns if column not in properties]
    if hidden:
        yield Finding.worded(
            "target_not_property",
            "blocks",
            _subject(table, reference.columns),
            "{subject} finds its target by {target}.{column}, which is not a property of the node.",
            "Make it one: remove {column} from exclude, or add it to include.",
            target=target.name,
            column=hidden[0],
        )


def _pair_findings(table: Table, target: Table, pairs: Iterable[Pair]) -> Iterator[Finding]:
    for pair in pairs:
        facts = {
            "type": type_name(pair.column.type),
            "target": f"{target.name}.{pair.target.name}",
            "target_type": type_name(pair.target.type),
        }
        subject = _subject(table, (pair.column.name,))
        deterministic = pair.column.deterministic and pair.target.deterministic
        if pair.join is None or not deterministic:
            yield Finding.worded(
                "reference_not_comparable",
                "blocks",
                subject,
                "{subject} ({type}) refers to {target} ({target_type}). Values of these types can be equal in "
                "Postgres and "
                "differ in the graph, and nothing is known by which they could be matched.",
                remedy(pair.column.type, pair.target.type)
                if deterministic
                else "Give both columns a collation that is deterministic, or remove the relationship.",
                **facts,
            )
        elif pair.join == BY_IMAGE and not _same_image(pair):
            yield Finding.worded(
                "reference_types_differ",
                "blocks",
                subject,
                "{subject} becomes {image} and {target}, which it refers to, becomes {target_image}: they are never "
                "equal.",
                "Choose the same in types for both.",
                image=graph_type(pair.own),
                target_image=graph_type(pair.other),
                **facts,
            )


def _same_image(pair: Pair) -> bool:
    """Whether both columns become the same, or different kinds of numbers, which can be equal."""
    images = graph_type(pair.own), graph_type(pair.other)
    # A type that becomes nothing is reported with the table that the column belongs to.
    return None in images or images[0] == images[1] or (is_number(pair.column.type) and is_number(pair.target.type))


def _target_unknown(table: Table, reference: Reference, mapping: GraphMapping, catalogue: Catalogue) -> Finding:
    subject = _subject(table, reference.columns)
    target = catalogue.tables.get(reference.target)
    if target is not None and target.partition_of is not None:
        return Finding.worded(
            "target_is_partition",
            "blocks",
            subject,
            "{subject} refers to {target}, which is a partition of {root}.",
            "Write target = {example}",
            target=reference.target,
            root=root_of(target, catalogue),
            example=f'"{root_of(target, catalogue)}"',
        )
    if reference.target in {mapped.table for mapped in mapping.relationships}:
        return Finding.worded(
            "target_is_relationship",
            "blocks",
            subject,
            "{subject} refers to {target}, which is mapped as a relationship, and no relationship can end at one.",
            "Map {target} as a [[node]].",
            target=reference.target,
        )
    close = nearest(str(reference.target), (str(node.table) for node in mapping.nodes))
    remedy = "Map {target} as a [[node]], or remove the relationship."
    if close is not None:
        remedy = (
            "Write target = {close} if that was meant; else map {target} as a [[node]], or remove the relationship."
        )
    return Finding.worded(
        "target_unknown",
        "blocks",
        subject,
        "{subject} refers to {target}, which is not mapped as a node.",
        remedy,
        target=reference.target,
        close=f'"{close}"',
    )


def root_of(table: Table, catalogue: Catalogue) -> TableName:
    """The topmost table of the partition tree that `table` is in, as far as the catalogue has it."""
    name, above = table.name, table.partition_of
    while above is not None:
        name = above
        parent = catalogue.tables.get(above)
        above = None if parent is None else parent.partition_of
    return name


def column_unknown(table: Table, column: str) -> Finding:
    """The finding that `table` has no such column, with the nearest one that it has."""
    known = [existing.name for existing in table.columns]
    close = nearest(column, known)
    return Finding.worded(
        "column_unknown",
        "blocks",
        f"{table.name}.{column}",
        "{table} has no column {column}.",
        "Its columns are: {known}." if close is None else "Did you mean {close}?",
        table=table.name,
        column=column,
        close=close,
        known=listed(known),
    )


def _not_enforced(table: Table, relationship: ForeignKeyRelationship, key: ForeignKey | None) -> Finding:
    if key is None:
        remedy = "Add enforced = false to the relationship, or add the foreign key to the table."
    elif not key.enforced:
        remedy = "Add enforced = false to the relationship, or run ALTER TABLE ... ALTER CONSTRAINT {name} ENFORCED;"
    else:
        remedy = "Add enforced = false to the relationship, or run ALTER TABLE ... VALIDATE CONSTRAINT {name};"
    return Finding.worded(
        "reference_not_enforced",
        "blocks",
        _subject(table, relationship.columns),
        "{subject} counts as an enforced reference to {target}, but no validated and enforced foreign key says so: "
        "relationships whose target comes later would be missing.",
        remedy,
        target=relationship.target,
        name="" if key is None else key.name,
    )


def _never_moves(key: ForeignKey | None) -> bool:
    # Any other action lets one statement swap two referenced keys while the children, for which no event is sent, stay
    # as they are. A deferrable constraint allows that over several statements.
    return key is not None and key.on_update == "restrict" and not key.deferrable


def _dropped(table: Table, relationship: ForeignKeyRelationship, dropped: list[str]) -> Finding:
    return Finding.worded(
        "foreign_key_dropped",
        "blocks",
        _subject(table, relationship.columns),
        "{subject} must stay a property: the referenced key can move to another row without a change here, and then "
        "only "
        "the property tells where the relationship belongs.",
        "Keep {columns} (keep_foreign_keys = true, not in exclude), or declare the foreign key ON UPDATE RESTRICT and "
        "NOT DEFERRABLE.",
        columns=toml_list(dropped),
    )


def _type_empty(table: TableName) -> Finding:
    return Finding.worded(
        "type_empty",
        "blocks",
        table,
        "A relationship of {subject} has an empty type.",
        'Write a name, as in type = "CUSTOMER".',
    )


def _subject(table: Table, columns: tuple[str, ...]) -> str:
    return f"{table.name}.{columns[0]}" if len(columns) == 1 else f"{table.name} ({listed(columns)})"
