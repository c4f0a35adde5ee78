"""What can go wrong on the Neo4j side."""

from gpm_cdc.errors.base import ExitCode, GpmCdcError


class SinkError(GpmCdcError):
    """The parent of this module's errors."""


class GraphUnreachable(SinkError):
    """No server answers."""

    code = "graph_unreachable"
    message = "Neo4j at {uri} cannot be reached: {detail}"
    remedy = "check that the server runs and that GPM_NEO4J_URI names it"
    exit_code = ExitCode.REPEAT
    retryable = True


class GraphLoginRefused(SinkError):
    """Wrong user or password."""

    code = "graph_login_refused"
    message = "Neo4j at {uri} refuses user {user}"
    remedy = "set GPM_NEO4J_USER and GPM_NEO4J_PASSWORD (or GPM_NEO4J_PASSWORD_FILE)"


class GraphTooOld(SinkError):
    """The server lacks Cypher that is needed."""

    code = "graph_too_old"
    message = "Neo4j at {uri} is version {version}; {minimum} or later is needed"
    remedy = "upgrade the server to {minimum} or later"


class GraphDatabaseMissing(SinkError):
    """The named database does not exist."""

    code = "graph_database_missing"
    message = "Neo4j at {uri} has no database called {database}"
    remedy = "set GPM_NEO4J_DATABASE to a database that exists ('SHOW DATABASES' lists them)"


class GraphRefused(SinkError):
    """The server refused a statement for a reason that repeating does not change."""

    code = "graph_refused"
    message = "Neo4j refused a statement with {status}: {detail}"
    remedy = (
        "look the status up in Neo4j's documentation; the checkpoint has not moved, so 'gpm-cdc run' goes on from there"
    )


class GraphKeyTaken(SinkError):
    """A node was to be created with a key that another node bears."""

    code = "graph_key_taken"
    message = "Neo4j refused a batch because a key is taken: {detail}"
    remedy = "'gpm-cdc verify' names the nodes that differ from the tables"


class GraphTransactionTooLarge(SinkError):
    """A batch needs more memory than the server gives one transaction."""

    code = "graph_transaction_too_large"
    message = "a batch needs more memory than Neo4j gives a transaction"
    remedy = (
        "lower GPM_BATCH_ROWS, or raise server.memory.heap.max_size or dbms.memory.transaction.total.max on the server"
    )


class GraphBatchTooWide(GraphTransactionTooLarge):
    """The deletes of a batch touch more elements than GPM_BATCH_ELEMENTS. Nothing was written: pieces go first."""

    code = "graph_batch_too_wide"
    message = "the deletes of a batch touch more than GPM_BATCH_ELEMENTS nodes and relationships"


class GraphTransactionEnded(SinkError):
    """The server ended a transaction of ours before it was done."""

    code = "graph_transaction_ended"
    message = "Neo4j at {uri} ended a transaction that took longer than GPM_TRANSACTION_TIMEOUT, or that a person ended"
    remedy = (
        "'SHOW TRANSACTIONS' on the server names who holds a lock for that long; if the batch itself takes so long,"
        " raise GPM_TRANSACTION_TIMEOUT or lower GPM_BATCH_ROWS"
    )
    exit_code = ExitCode.REPEAT
    retryable = True


class GraphNotEmpty(SinkError):
    """The graph holds elements that the mapping would own."""

    code = "graph_not_empty"
    message = (
        "the graph already holds {count} nodes with the mapped label {label}, but no checkpoint of stream {stream}"
    )
    remedy = "use an empty database, or 'gpm-cdc run --adopt' to make these nodes equal to the tables"
