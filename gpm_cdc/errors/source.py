"""What can go wrong on the Postgres side."""

from gpm_cdc.errors.base import ExitCode, GpmCdcError


class SourceError(GpmCdcError):
    """The parent of this module's errors."""


class SourceUnreachable(SourceError):
    """No server answers."""

    code = "source_unreachable"
    message = "Postgres cannot be reached: {detail}"
    remedy = "check that the server runs and that GPM_POSTGRES_DSN (or PGHOST, PGPORT) names it"
    exit_code = ExitCode.REPEAT
    retryable = True


class SourceLoginRefused(SourceError):
    """Wrong user or password, or no entry in pg_hba.conf."""

    code = "source_login_refused"
    message = "Postgres refuses the login: {detail}"
    remedy = "check user and password in GPM_POSTGRES_DSN (or GPM_POSTGRES_DSN_FILE, PGUSER, PGPASSWORD)"


class SourceDatabaseMissing(SourceError):
    """The named database does not exist."""

    code = "source_database_missing"
    message = "Postgres has no such database: {detail}"
    remedy = "correct the database name in GPM_POSTGRES_DSN"


class ReplicationRefused(SourceError):
    """The role may not replicate."""

    code = "replication_refused"
    message = "role {role} may not open a replication connection"
    remedy = "as a superuser: ALTER ROLE {role} WITH REPLICATION (sql/role.sql makes a role with all it needs)"


class WalSendersTaken(SourceError):
    """Every walsender of the server is in use."""

    code = "wal_senders_taken"
    message = "Postgres has no free walsender for a replication connection"
    remedy = "end one (SELECT * FROM pg_stat_replication lists them), or raise max_wal_senders and restart Postgres"
    exit_code = ExitCode.REPEAT
    retryable = True


class SourceIsPooler(SourceError):
    """A connection pooler answers in place of Postgres."""

    code = "source_is_pooler"
    message = "a connection pooler seems to stand before Postgres: {detail}"
    remedy = "point GPM_POSTGRES_DSN at Postgres itself: a pooler cannot carry a replication connection"


class WalLevelTooLow(SourceError):
    """Logical decoding is off."""

    code = "wal_level_too_low"
    message = "wal_level is {level}; logical replication needs 'logical'"
    remedy = "as a superuser: ALTER SYSTEM SET wal_level = logical, then restart Postgres"


class SourceTooOld(SourceError):
    """The server is older than what is supported."""

    code = "source_too_old"
    message = "Postgres is version {version}; 15 or later is needed"
    remedy = "upgrade the server"


class SourceRefused(SourceError):
    """The server refused a statement for a reason that repeating does not change."""

    code = "source_refused"
    message = "Postgres refused a statement with {sqlstate}: {detail}"
    remedy = "grant what is missing (sql/role.sql lists it) or look the code up in Postgres's documentation"


class PublicationMissing(SourceError):
    """The stream's publication is gone."""

    code = "publication_missing"
    message = "publication {publication} does not exist, although stream {stream} has been started"
    remedy = "make it again with sql/publication.sql; 'gpm-cdc run' then reads every mapped table again and goes on"


class TablesChanging(SourceError):
    """A mapped table changed its shape while a copy was being set up."""

    code = "tables_changing"
    message = "a mapped table changed its shape while the copy of stream {stream} was being set up"
    remedy = "nothing to do: the copy begins again"
    exit_code = ExitCode.REPEAT
    retryable = True


class PublicationUnfit(SourceError):
    """The publication exists but does not publish what the mapping needs."""

    code = "publication_unfit"
    message = "publication {publication} does not fit the mapping: {detail}"
    remedy = (
        "let sql/publication.sql put it right for exactly the mapped tables, or drop it if the stream is new;"
        " 'gpm-cdc run' then reads again what it left out"
    )


class SlotMissing(SourceError):
    """The stream's slot is gone."""

    code = "slot_missing"
    message = "replication slot {slot} does not exist, although the graph is at {position}: changes since then are lost"
    remedy = "copy the tables again: 'gpm-cdc reset --yes', then 'gpm-cdc run --adopt'"


class SlotInUse(SourceError):
    """Another connection reads the slot."""

    code = "slot_in_use"
    message = "replication slot {slot} is in use by process {pid} of the Postgres server"
    remedy = "stop the client behind it (SELECT * FROM pg_stat_activity WHERE pid = {pid}), or choose another --stream"
    exit_code = ExitCode.PERSON


class SlotForeign(SourceError):
    """The slot belongs to something else."""

    code = "slot_foreign"
    message = "replication slot {slot} is not ours: {detail}"
    remedy = "choose another name with --stream, or drop the slot if nobody needs it"


class SlotLost(SourceError):
    """Postgres has removed log that the slot needed."""

    code = "slot_lost"
    message = "replication slot {slot} is lost ({reason}): Postgres no longer has the log after {position}"
    remedy = (
        "copy the tables again: 'gpm-cdc reset --yes', then 'gpm-cdc run --adopt'; raise"
        " max_slot_wal_keep_size so that"
        " it does not happen again"
    )


class SlotAhead(SourceError):
    """Somebody else moved the slot."""

    code = "slot_ahead"
    message = (
        "replication slot {slot} is at {slot_position}, ahead of the graph at {position}: changes between were lost"
    )
    remedy = (
        "somebody else reads or advances this slot: stop that, then 'gpm-cdc reset --yes' and 'gpm-cdc run --adopt'"
    )


class SlotBlocked(SourceError):
    """Creating a slot waits for every open writing transaction of the server."""

    code = "slot_blocked"
    message = (
        "a replication slot could not be made within {seconds} seconds: open transactions of processes {pids}"
        " are in the way"
    )
    remedy = "wait for them or end them, then repeat; GPM_LOCK_TIMEOUT sets how long to wait"
    exit_code = ExitCode.REPEAT
    retryable = True


class StreamOwned(SourceError):
    """Another process runs this stream."""

    code = "stream_owned"
    message = "stream {stream} is run by {owner}"
    remedy = "stop it first; 'gpm-cdc run' without --no-wait stands by and takes over when it ends"
    exit_code = ExitCode.REPEAT


class SystemChanged(SourceError):
    """The checkpoint belongs to another Postgres cluster."""

    code = "system_changed"
    message = (
        "the graph was filled from the Postgres cluster {recorded}, this one is {found}: their logs have"
        " nothing in common"
    )
    remedy = (
        "point GPM_POSTGRES_DSN at the former cluster, or copy the tables again: 'gpm-cdc reset --yes', then"
        " 'gpm-cdc run --adopt'"
    )


class LogBehind(SourceError):
    """The cluster is the same, but its log ends before what the graph includes."""

    code = "log_behind"
    message = (
        "the graph is at {position}, but the log of this Postgres ends at {end}: it has lost commits that the graph has"
    )
    remedy = (
        "it was restored from a backup, or a standby was promoted too early: copy the tables again with"
        " 'gpm-cdc reset --yes' and 'gpm-cdc run --adopt'"
    )


class SourceIsStandby(SourceError):
    """The server is a standby, where neither publication nor position can be had."""

    code = "source_is_standby"
    message = "the Postgres server is a standby"
    remedy = "point GPM_POSTGRES_DSN at the primary (target_session_attrs=read-write finds it among several hosts)"


class MappingChanged(SourceError):
    """The mapping is not the one that the graph was filled with."""

    code = "mapping_changed"
    message = "the mapping of stream {stream} has changed since the graph was filled"
    remedy = (
        "start 'gpm-cdc run --remap', which reads the tables again that it concerns, or put the former mapping back"
    )


class ConnectionLost(SourceError):
    """A connection ended in the middle."""

    code = "connection_lost"
    message = "the connection to Postgres ended: {detail}"
    remedy = "nothing to do if the server was restarted: 'gpm-cdc run' connects again"
    exit_code = ExitCode.REPEAT
    retryable = True
