-- The publication of a stream, where gpm-cdc itself may not make it: that takes the ownership of every table in it, and
-- CREATE on the database. Run by the owner or a superuser, before the first `gpm-cdc run`: a slot made before its
-- publication loses changes. Running it again brings the publication to the given tables.
--
--     psql -d shop -v stream=gpm_cdc -v schema=public -f sql/publication.sql
--     psql -d shop -v tables='{public.orders,public.customers}' -f sql/publication.sql
--
--   stream  the stream's name, as in GPM_STREAM; default gpm_cdc
--   schema  publish every table of this schema that can be published; default public
--   tables  or exactly these, as an array. Partitions are published as their root
--
-- It prints the tables that it published. Those without a replica identity refuse UPDATE and DELETE from now on: the last
-- column says which; give them a primary key or a replica identity first.

\set ON_ERROR_STOP on
\if :{?stream} \else \set stream gpm_cdc \endif
\if :{?schema} \else \set schema public \endif
\if :{?tables} \else \set tables '' \endif

BEGIN;
-- A publication change waits for long transactions on its tables, and every writer behind it waits too.
SET LOCAL lock_timeout = '10s';

CREATE TEMPORARY TABLE chosen ON COMMIT DROP AS
SELECT c.oid::regclass AS name
FROM pg_class AS c
WHERE CASE WHEN :'tables' <> '' THEN c.oid = ANY (NULLIF(:'tables', '')::regclass[])
      ELSE c.relnamespace = (SELECT oid FROM pg_namespace WHERE nspname = :'schema')
           AND c.relkind IN ('r', 'p') AND c.relpersistence = 'p' AND NOT c.relispartition
           AND NOT EXISTS (SELECT FROM pg_depend AS d
                           WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e')
      END;

DO $$
BEGIN
    IF NOT EXISTS (SELECT FROM chosen) THEN
        RAISE EXCEPTION 'there is no table to publish' USING HINT = 'Name another schema with -v schema=..., or tables.';
    END IF;
END
$$;

SELECT format('CREATE PUBLICATION %I WITH (publish_via_partition_root = true)', :'stream')
WHERE NOT EXISTS (SELECT FROM pg_publication WHERE pubname = :'stream') \gexec
SELECT format('ALTER PUBLICATION %I SET (publish = ''insert, update, delete, truncate'', '
              'publish_via_partition_root = true)', :'stream') \gexec
SELECT format('ALTER PUBLICATION %I SET TABLE %s', :'stream',
              (SELECT string_agg(format('ONLY %s', name), ', ' ORDER BY name::text) FROM chosen)) \gexec

SELECT c.oid::regclass AS table,
       c.relreplident = 'f' OR EXISTS (
           SELECT FROM pg_index AS i
           WHERE i.indrelid = c.oid AND i.indisvalid AND i.indimmediate
             AND CASE c.relreplident WHEN 'd' THEN i.indisprimary WHEN 'i' THEN i.indisreplident ELSE false END
       ) AS has_replica_identity
FROM pg_publication_rel AS p JOIN pg_class AS c ON c.oid = p.prrelid
WHERE p.prpubid = (SELECT oid FROM pg_publication WHERE pubname = :'stream')
ORDER BY 1;

COMMIT;
