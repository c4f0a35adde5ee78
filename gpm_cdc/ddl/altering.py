"""ALTER TABLE: what each of its actions does to the table."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

from pglast import ast
from pglast.enums import AlterTableType, ConstrType

from gpm_cdc.ddl.effects import Effect
from gpm_cdc.domain.catalogue import TableName

type Action = Any
"""An AlterTableCmd: what its `def_` holds depends on its subtype, which pglast cannot say."""

_HARMLESS: Final = frozenset(
    f"AT_{name}"
    for name in (
        "ColumnDefault", "DropNotNull", "SetNotNull", "SetStatistics", "SetOptions", "ResetOptions",
        "SetStorage", "SetCompression", "AddIndex", "AddIndexConstraint", "ValidateConstraint", "ChangeOwner",
        "ClusterOn", "DropCluster", "SetLogged", "DropOids", "SetRelOptions",
        "ResetRelOptions", "ReplaceRelOptions", "EnableTrig", "EnableAlwaysTrig", "EnableReplicaTrig", "DisableTrig",
        "EnableTrigAll", "EnableTrigUser", "DisableTrigUser", "EnableRule", "EnableAlwaysRule", "EnableReplicaRule",
        "DisableRule", "AddInherit", "DropInherit", "AddOf", "DropOf", "DisableRowSecurity", "NoForceRowSecurity",
        "GenericOptions", "AlterColumnGenericOptions", "AddIdentity", "SetIdentity", "DropIdentity",
    )
)  # fmt: skip
"""Actions that change neither the streamed columns, nor rows, nor the identity, nor what the mapping relies on."""

_SIMPLE: Final[Mapping[str, str]] = {
    "AT_DropColumn": "column_dropped",
    "AT_DropExpression": "column_ungenerated",
    "AT_SetUnLogged": "table_unlogged",
    "AT_SetExpression": "table_rewritten",
    "AT_SetAccessMethod": "table_rewritten",
    "AT_SetTableSpace": "table_rewritten",
    "AT_AttachPartition": "partition_attached",
    "AT_DetachPartition": "partition_detached",
    "AT_DetachPartitionFinalize": "partition_detached",
    "AT_DisableTrigAll": "checks_suspended",
    "AT_EnableRowSecurity": "row_security",
    "AT_ForceRowSecurity": "row_security",
}


_STORED: Final = "s"


def _added_column(action: Action) -> str:
    for constraint in action.def_.constraints or ():
        if constraint.contype == ConstrType.CONSTR_GENERATED:
            return "table_rewritten" if constraint.generated_kind == _STORED else "column_generated_added"
    return "column_added"


def _retyped(action: Action) -> str:
    return "column_retyped" if action.def_.raw_default is None else "column_recomputed"


def _added_constraint(action: Action) -> str:
    return "foreign_key_added" if action.def_.contype == ConstrType.CONSTR_FOREIGN else "nothing"


def _altered_constraint(action: Action) -> str:
    loosened = action.def_.alterEnforceability and not action.def_.is_enforced
    return "foreign_key_loosened" if loosened else "nothing"


def _dropped_constraint(action: Action) -> str:
    # The kind of a constraint is in the catalogue alone; these are the names that Postgres gives by itself.
    if action.name.endswith("_pkey"):
        return "primary_key_dropped"
    return "foreign_key_dropped" if action.name.endswith("_fkey") else "constraint_dropped"


def _identity(action: Action) -> str:
    return {"f": "identity_full", "n": "identity_removed"}.get(action.def_.identity_type, "identity_chosen")


_TELLING: Final[Mapping[str, Callable[[Action], str]]] = {
    "AT_AddColumn": _added_column,
    "AT_AlterColumnType": _retyped,
    "AT_AddConstraint": _added_constraint,
    "AT_AlterConstraint": _altered_constraint,
    "AT_DropConstraint": _dropped_constraint,
    "AT_ReplicaIdentity": _identity,
}


def alterations(statement: ast.AlterTableStmt, table: TableName) -> Iterator[Effect]:
    """The effect of each action on `table`, in the order of writing."""
    for action in statement.cmds or ():
        kind = AlterTableType(action.subtype).name
        if kind in _TELLING:
            code = _TELLING[kind](action)
        elif kind in _HARMLESS:
            code = "nothing"
        else:
            code = _SIMPLE.get(kind, "not_known")
        yield Effect(code, table, column=(action.name or "") if kind == "AT_DropColumn" else "")
