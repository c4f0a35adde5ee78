-- What Postgres knows about the tables in scope, as one JSON document: one statement is one view of the catalogue, so
-- that a concurrent ALTER TABLE is seen wholly or not at all.
-- Parameters: schemas (text[]), table_schemas and table_names (text[], pairwise further tables).
-- to_jsonb(row) ->> 'column' reads columns that only later versions have.
with recursive scope as (
    select c.oid
    from pg_class c
    join pg_namespace n on n.oid = c.relnamespace
    where c.relkind in ('r', 'p')
      and c.relpersistence <> 't'
      and n.nspname <> 'gpm_cdc'
      and (
          n.nspname = any (%(schemas)s::text[])
          or (n.nspname, c.relname) in (select * from unnest(%(table_schemas)s::text[], %(table_names)s::text[]))
      )
    union
    select c.oid
    from scope s
    join pg_inherits i on i.inhparent = s.oid
    join pg_class c on c.oid = i.inhrelid and c.relispartition
), relation as (
    select c.*, n.nspname
    from scope s
    join pg_class c using (oid)
    join pg_namespace n on n.oid = c.relnamespace
), attribute as (
    select a.*
    from pg_attribute a
    join relation r on r.oid = a.attrelid
    where a.attnum > 0 and not a.attisdropped
), type_in_use (oid) as (
    select atttypid from attribute
    union
    select step.oid
    from type_in_use u
    join pg_type t on t.oid = u.oid
    cross join lateral (values (t.typelem), (t.typbasetype)) as step (oid)
    where step.oid <> 0
), key_index as (
    select i.*,
           (select json_agg(a.attname order by k.place)
            from unnest(i.indkey::int2[]) with ordinality as k (attnum, place)
            join pg_attribute a on a.attrelid = i.indrelid and a.attnum = k.attnum
            where k.place <= i.indnkeyatts) as columns
    from pg_index i
    join relation r on r.oid = i.indrelid
    where i.indisunique and i.indisvalid and i.indpred is null and i.indexprs is null
)
select json_build_object(
    'relations', (
        select json_agg(json_build_object(
            'oid', r.oid::int8, 'schema', r.nspname, 'name', r.relname, 'kind', r.relkind,
            'persistence', r.relpersistence, 'replica_identity', r.relreplident, 'row_security', r.relrowsecurity,
            'parent', (
                select json_build_array(pn.nspname, p.relname)
                from pg_inherits i
                join pg_class p on p.oid = i.inhparent
                join pg_namespace pn on pn.oid = p.relnamespace
                where r.relispartition and i.inhrelid = r.oid
            )
        ))
        from relation r
    ),
    'columns', (
        select json_agg(json_build_object(
            'relation', a.attrelid::int8, 'name', a.attname, 'type', a.atttypid::int8, 'modifier', a.atttypmod,
            'not_null', a.attnotnull, 'position', a.attnum, 'generated', a.attgenerated,
            'deterministic', coalesce(
                (select l.collisdeterministic from pg_collation l where l.oid = a.attcollation), true)
        ) order by a.attrelid, a.attnum)
        from attribute a
    ),
    -- Several base types (point, name, int2vector) have an element type without being arrays: an array is what its
    -- element's type calls its array.
    'types', (
        select json_agg(json_build_object(
            'oid', t.oid::int8, 'schema', n.nspname, 'name', t.typname, 'kind', t.typtype,
            'modifier', t.typtypmod, 'base', t.typbasetype::int8,
            'element', (select e.oid::int8 from pg_type e where e.oid = t.typelem and e.typarray = t.oid)
        ))
        from type_in_use u
        join pg_type t using (oid)
        join pg_namespace n on n.oid = t.typnamespace
    ),
    'keys', (
        select json_agg(json_build_object(
            'relation', k.indrelid::int8, 'name', c.relname, 'columns', k.columns, 'immediate', k.indimmediate,
            'primary', k.indisprimary, 'identity', k.indisreplident
        ) order by k.indrelid, c.relname)
        from key_index k
        join pg_class c on c.oid = k.indexrelid
    ),
    -- Rows with a parent are the copies that Postgres keeps per partition. A PERIOD key compares by containment, so its
    -- reference is not an equality of columns and makes no relationship.
    'foreign_keys', (
        select json_agg(json_build_object(
            'relation', f.conrelid::int8, 'name', f.conname,
            'columns', (
                select json_agg(a.attname order by k.place)
                from unnest(f.conkey) with ordinality as k (attnum, place)
                join pg_attribute a on a.attrelid = f.conrelid and a.attnum = k.attnum
            ),
            'target', json_build_array(tn.nspname, t.relname),
            'target_columns', (
                select json_agg(a.attname order by k.place)
                from unnest(f.confkey) with ordinality as k (attnum, place)
                join pg_attribute a on a.attrelid = f.confrelid and a.attnum = k.attnum
            ),
            'deferrable', f.condeferrable, 'validated', f.convalidated,
            'enforced', coalesce((to_jsonb(f) ->> 'conenforced')::boolean, true),
            'on_update', f.confupdtype, 'on_delete', f.confdeltype
        ) order by f.conrelid, f.conname)
        from pg_constraint f
        join relation r on r.oid = f.conrelid
        join pg_class t on t.oid = f.confrelid
        join pg_namespace tn on tn.oid = t.relnamespace
        where f.contype = 'f'
          and f.conparentid = 0
          and not coalesce((to_jsonb(f) ->> 'conperiod')::boolean, false)
    ),
    -- What citext compares by, if a table has a column of it: lower() under the database's own collation. libc and the
    -- builtin C and C.UTF-8 map each character by itself. ICU and PG_UNICODE_FAST do not: a final sigma is another letter.
    -- Beyond the first two planes of Unicode no letter has another case, and asking for each would take a quarter second.
    'lowercase', case when exists (select from type_in_use u join pg_type t using (oid) where t.typname = 'citext')
        and exists (
            select from pg_database d
            where d.datname = current_database()
              and d.encoding = pg_char_to_encoding('UTF8')
              and (d.datlocprovider = 'c'
                   or (d.datlocprovider = 'b' and to_jsonb(d) ->> 'datlocale' in ('C', 'C.UTF-8')))
        )
        then (
            select coalesce(json_object_agg(code, lower(chr(code) collate "default")), '{}')
            from generate_series(1, 131071) as code
            where code not between 55296 and 57343 and lower(chr(code) collate "default") <> chr(code)
        )
    end
) as catalogue
