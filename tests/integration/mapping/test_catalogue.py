import pytest

from gpm_cdc.domain.catalogue import PgType, Table, TableName, UniqueKey
from tests.integration.mapping.database import Postgres, catalogue_of, execute, server_version

TABLES = """
create schema other;
create schema gpm_cdc;
create table gpm_cdc.run (id int primary key);
create table other.target (id int primary key);
create table parent (id int primary key, code text not null unique, label text unique deferrable);
create table child (
    id bigint primary key,
    parent_id int references parent on update cascade on delete set null deferrable,
    code text references parent (code) on update restrict,
    elsewhere int references other.target,
    doubled bigint generated always as (id * 2) stored
);
create unique index child_partial on child (parent_id) where parent_id > 0;
create unique index child_expression on child ((id + 1));
create unique index child_including on child (elsewhere) include (doubled);
alter table child add constraint late foreign key (parent_id) references parent not valid;
alter table child drop column code;
alter table child enable row level security;
create unlogged table scratch (id int primary key);
create temporary table passing (id int primary key);
create view seen as select * from parent;
create table bare (n int);
create table deferred (id int primary key deferrable);
create table indexed (id int primary key, code text not null);
create unique index indexed_code on indexed (code);
alter table indexed replica identity using index indexed_code;
create table whole (a int, b int);
alter table whole replica identity full;
create table nothing (id int primary key);
alter table nothing replica identity nothing;
"""


@pytest.fixture
def tables(postgres: Postgres) -> dict[str, Table]:
    """The tables above by name."""
    execute(postgres, TABLES)
    return {name.name: table for name, table in catalogue_of(postgres).tables.items()}


def test_scope(tables: dict[str, Table], postgres: Postgres) -> None:
    """Ordinary tables of the schemas asked for, further ones by name, never temporary ones, views or our own."""
    assert list(tables) == [
        "bare", "child", "deferred", "indexed", "nothing", "parent", "scratch", "whole",
    ]  # fmt: skip
    ours, target = TableName("gpm_cdc", "run"), TableName("other", "target")
    more = catalogue_of(postgres, tables=(ours, target, TableName("no", "such")))
    assert set(more.tables) - {table.name for table in tables.values()} == {target}
    assert list(catalogue_of(postgres, "gpm_cdc", "other").tables) == [target]
    assert more.server_version == server_version(postgres)


def test_empty(postgres: Postgres) -> None:
    """A schema that is empty or does not exist makes an empty catalogue."""
    assert catalogue_of(postgres, "missing").tables == {}


def test_keys(tables: dict[str, Table]) -> None:
    """Unique keys are whole indexes over plain columns; included columns are none of theirs."""
    assert tables["child"].primary_key == UniqueKey("child_pkey", ("id",), immediate=True, primary=True)
    assert [key.columns for key in tables["child"].unique_keys] == [("elsewhere",), ("id",)]
    deferrable = [key.columns for key in tables["parent"].unique_keys if not key.immediate]
    assert deferrable == [("label",)]
    assert tables["bare"].primary_key is None


def test_identity(tables: dict[str, Table]) -> None:
    """The identity columns are those that Postgres would send with a DELETE."""
    found = {name: (table.replica_identity, table.identity_columns) for name, table in tables.items()}
    assert found["parent"] == ("d", ("id",))
    assert found["bare"] == ("d", ())
    assert found["deferred"] == ("d", ())
    assert found["indexed"] == ("i", ("code",))
    assert found["whole"] == ("f", ("a", "b"))
    assert found["nothing"] == ("n", ())


def test_dropped_identity_index(tables: dict[str, Table], postgres: Postgres) -> None:
    """A table whose replica identity index is gone carries nothing."""
    execute(postgres, "drop index indexed_code")
    indexed = catalogue_of(postgres).tables[tables["indexed"].name]
    assert (indexed.replica_identity, indexed.identity_columns) == ("i", ())


def test_columns(tables: dict[str, Table]) -> None:
    """Columns in their order, without dropped ones, generated ones marked."""
    child = tables["child"]
    assert [(column.name, column.position) for column in child.columns] == [
        ("id", 1), ("parent_id", 2), ("elsewhere", 4), ("doubled", 5),
    ]  # fmt: skip
    assert [column.generated for column in child.columns] == ["", "", "", "s"]
    assert [column.not_null for column in child.columns] == [True, False, False, False]
    assert child.row_security
    assert tables["scratch"].persistence == "u"


def test_foreign_keys(tables: dict[str, Table]) -> None:
    """Foreign keys with their target, actions and what Postgres enforces of them."""
    late, elsewhere, parent = (
        next(key for key in tables["child"].foreign_keys if key.name == name)
        for name in ("late", "child_elsewhere_fkey", "child_parent_id_fkey")
    )
    assert len(tables["child"].foreign_keys) == 3
    assert (late.validated, late.enforced) == (False, True)
    assert elsewhere.target == TableName("other", "target")
    assert (parent.columns, parent.target_columns, parent.deferrable) == (("parent_id",), ("id",), True)
    assert (parent.on_update, parent.on_delete) == ("cascade", "set null")


def test_newest_constraints(postgres: Postgres) -> None:
    """What Postgres 18 added: NOT ENFORCED is told, PERIOD keys make no reference, virtual columns are generated."""
    if server_version(postgres) < 180_000:
        execute(postgres, "create table a (id int primary key, b int references a)")
        (only,) = catalogue_of(postgres).tables.values()
        assert only.foreign_keys[0].enforced
        return
    execute(
        postgres,
        """
        create table a (id int primary key, b int references a not enforced, c int generated always as (id + 1)
        virtual); create table p (id int4range, during daterange, primary key (id, during without overlaps));
        create table q (
            id int4range, during daterange, foreign key (id, period during) references p (id, period during)
        );
        """,
    )
    tables = {name.name: table for name, table in catalogue_of(postgres).tables.items()}
    assert not tables["a"].foreign_keys[0].enforced
    assert tables["a"].columns[2].generated == "v"
    assert tables["q"].foreign_keys == ()


def test_types(postgres: Postgres) -> None:
    """Arrays have their element and domains their base, each with the modifier that applies; nothing else has."""
    execute(
        postgres,
        """
        create domain price as numeric(12, 2);
        create domain list_price as price;
        create type mood as enum ('good', 'bad');
        create table t (
            a list_price, b varchar(7)[], c price[], d mood[], e point, f name, g int2vector, h numeric(5, 2), i mood
        );
        """,
    )
    (table,) = catalogue_of(postgres).tables.values()
    found: dict[str, PgType] = {column.name: column.type for column in table.columns}
    modifier = (12 << 16 | 2) + 4
    assert (found["a"].kind, found["a"].modifier) == ("d", -1)
    assert (found["a"].resolved.name, found["a"].resolved.modifier) == ("numeric", modifier)
    assert found["b"].element is not None
    assert (found["b"].element.name, found["b"].element.modifier) == ("varchar", 11)
    assert found["c"].element is not None
    assert found["c"].element.resolved.modifier == modifier
    assert found["d"].element is not None
    assert (found["d"].element.name, found["d"].element.kind, found["d"].element.schema) == ("mood", "e", "public")
    assert [found[name].element for name in "efg"] == [None, None, None]
    assert found["h"].modifier == (5 << 16 | 2) + 4
    assert found["i"].kind == "e"


PARTITIONS = """
create schema archive;
create table target (id int primary key);
create table root (id int, region text, target_id int, primary key (id, region)) partition by list (region);
create table inner_part partition of root for values in ('a', 'b') partition by list (region);
create table leaf_a partition of inner_part for values in ('a');
create table archive.leaf_b partition of inner_part for values in ('b');
create table leaf_c partition of root for values in ('c');
alter table leaf_c add foreign key (target_id) references target;
alter table root add column other_id int references target;
create table pointing (id int primary key, r int, s text, foreign key (r, s) references root);
"""

FOREIGN_PARTITION = """
create foreign data wrapper nowhere;
create server nowhere foreign data wrapper nowhere;
create table root (id int) partition by list (id);
create foreign table remote partition of root for values in (1) server nowhere;
"""


def test_partitions(postgres: Postgres) -> None:
    """A root lists everything below it, in any schema; a foreign key of the root is no partition's own."""
    execute(postgres, PARTITIONS)
    tables = catalogue_of(postgres).tables
    root, leaf_b = tables[TableName("public", "root")], tables[TableName("archive", "leaf_b")]
    assert root.kind == "p"
    assert list(map(str, root.partitions)) == ["archive.leaf_b", "public.inner_part", "public.leaf_a", "public.leaf_c"]
    assert leaf_b.partition_of == TableName("public", "inner_part")
    assert tables[TableName("public", "inner_part")].partitions == (leaf_b.name, TableName("public", "leaf_a"))
    assert [key.columns for key in root.foreign_keys] == [("other_id",)]
    assert leaf_b.foreign_keys == ()
    assert {name.name: [key.columns for key in keys] for name, keys in root.partition_foreign_keys.items()} == {
        "leaf_c": [("target_id",)]
    }
    assert [key.columns for key in tables[TableName("public", "pointing")].foreign_keys] == [("r", "s")]
    assert leaf_b.identity_columns == ("id", "region")


def test_foreign_partition(postgres: Postgres) -> None:
    """A partition that is a foreign table is listed by its root and is no table itself."""
    execute(postgres, FOREIGN_PARTITION)
    (root,) = catalogue_of(postgres).tables.values()
    assert root.partitions == (TableName("public", "remote"),)
