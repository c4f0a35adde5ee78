"""What can go wrong with the schema of our own, `gpm_cdc`."""

from gpm_cdc.errors.base import ExitCode, GpmCdcError


class StateError(GpmCdcError):
    """The schema gpm_cdc cannot be used as asked."""

    code = "state"


class StateUnreachable(StateError):
    """No server answers, or it went away. Facts: detail."""

    code = "state_unreachable"
    message = "the database of schema gpm_cdc cannot be reached: {detail}"
    remedy = "check that the server runs and that GPM_STATE_DSN, or else GPM_POSTGRES_DSN, names it"
    exit_code = ExitCode.REPEAT
    retryable = True


class StateLoginRefused(StateError):
    """Wrong user or password, no entry in pg_hba.conf, or no such database. Facts: detail."""

    code = "state_login_refused"
    message = "the database of schema gpm_cdc refuses the login: {detail}"
    remedy = "check user, password and database in GPM_STATE_DSN, or else GPM_POSTGRES_DSN"


class StateNotWritable(StateError):
    """The role may not do it, or the server is a standby. Facts: detail."""

    code = "state_not_writable"
    message = "schema gpm_cdc cannot be written: {detail}"
    remedy = (
        "let the owner of the database run 'GRANT CREATE ON DATABASE ... TO ...', or keep the schema in another "
        "database, named by GPM_STATE_DSN"
    )


class StateBusy(StateError):
    """A lock of somebody else was not released in time. Facts: detail."""

    code = "state_busy"
    message = "schema gpm_cdc is locked by somebody else: {detail}"
    remedy = "repeat when the other 'gpm-cdc db upgrade', or whatever else holds the lock, has ended"
    exit_code = ExitCode.REPEAT
    retryable = True


class StateRefused(StateError):
    """The server refuses for another reason. Facts: sqlstate, detail."""

    code = "state_refused"
    message = "the database of schema gpm_cdc refuses ({sqlstate}): {detail}"
    remedy = "'gpm-cdc db check' says whether the schema is as it should be"


class StateNewer(StateError):
    """The schema was made by a newer program. Facts: revision."""

    code = "state_newer"
    message = "schema gpm_cdc is at revision {revision}, which this version of gpm-cdc does not know"
    remedy = "upgrade gpm-cdc, or name another database with GPM_STATE_DSN"


class StateMissing(StateError):
    """The schema, or a table that this version needs, is not there. No facts."""

    code = "state_missing"
    message = "schema gpm_cdc is not there, or not as this version needs it: no passes of verify are kept"
    remedy = "make it with 'gpm-cdc db upgrade'; from then on 'gpm-cdc verify' keeps what it finds"


class PassUnknown(StateError):
    """No pass of the stream has this number. Facts: number, stream."""

    code = "pass_unknown"
    message = "there is no pass {number} of stream {stream}"
    remedy = "list the passes that are kept with 'gpm-cdc findings'"


class NothingToResume(StateError):
    """No pass broke off that a later one could go on with. Facts: stream, detail."""

    code = "nothing_to_resume"
    message = "there is no pass of stream {stream} to go on with: {detail}"
    remedy = "compare everything: 'gpm-cdc verify' without --resume"


class ResumeDiffers(StateError):
    """The pass that broke off was asked for something else. Facts: number, detail."""

    code = "resume_differs"
    message = "pass {number} was asked for something else: {detail}"
    remedy = "give --table and --strict as they were then, or compare anew without --resume"


class ResumeOutdated(StateError):
    """What the pass that broke off was about is gone. Facts: number, detail."""

    code = "resume_outdated"
    message = "nobody can go on with pass {number}: {detail}"
    remedy = "compare everything anew: 'gpm-cdc verify' without --resume"
