-- The role that gpm-cdc connects as: it may stream, and read what it copies. Run by a superuser (or by the
-- administrator that a hosting platform gives you) in the database that holds the tables; running it again is harmless.
--
--     psql -d shop -v role=gpm_cdc -v schema=public -v owner=shop -f sql/role.sql
--
--   role    the role to make or to complete; default gpm_cdc
--   schema  the schema of the tables; default public. For more schemas, run it once for each
--   owner   who makes tables in that schema: later tables become readable too; default is who runs this
--
-- It sets no password, since a statement may end in the server's log. Afterwards, in psql: \password gpm_cdc
--
-- Know that a role with REPLICATION can stream every table of the database, row security or not.

\set ON_ERROR_STOP on
\if :{?role} \else \set role gpm_cdc \endif
\if :{?schema} \else \set schema public \endif
\if :{?owner} \else \set owner :USER \endif

BEGIN;

SELECT format('CREATE ROLE %I LOGIN REPLICATION', :'role')
WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = :'role') \gexec
SELECT format('ALTER ROLE %I LOGIN REPLICATION', :'role')
WHERE EXISTS (SELECT FROM pg_roles WHERE rolname = :'role' AND NOT (rolcanlogin AND rolreplication)) \gexec

SELECT format('GRANT CONNECT ON DATABASE %I TO %I', current_database(), :'role') \gexec
GRANT USAGE ON SCHEMA :"schema" TO :"role";
GRANT SELECT ON ALL TABLES IN SCHEMA :"schema" TO :"role";
ALTER DEFAULT PRIVILEGES FOR ROLE :"owner" IN SCHEMA :"schema" GRANT SELECT ON TABLES TO :"role";

COMMIT;
