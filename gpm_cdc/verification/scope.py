"""What a round compares, and in which parts; what the next one does: what was in flight, under its keys by then."""

from gpm_cdc.domain.catalogue import TableName
from gpm_cdc.verification.comparison import Subject
from gpm_cdc.verification.round import Scope
from gpm_cdc.verification.touched import Touched


def following(pending: Scope, touched: Touched) -> Scope:
    """`pending` at the next round's position, up to which `touched` must know every change since the last one's."""
    scope: Scope = {}
    for facet, subjects in pending.items():
        tables = {facet.source, *(end.target for end in facet.ends)}
        if subjects is None or touched.emptied & tables:
            scope[facet] = None
            continue
        renamed = touched.followed(facet.source, subjects)
        scope[facet] = subjects | {
            identity: Subject(key) for identity, key in renamed.items() if identity not in subjects
        }
    return scope


def any_wanted(scope: Scope) -> bool:
    """Whether there is anything to compare."""
    return any(wanted is None or wanted for wanted in scope.values())


def by_table(scope: Scope) -> dict[TableName, Scope]:
    """`scope` in parts that can be settled one after the other: per table the facets that its rows make."""
    parts: dict[TableName, Scope] = {}
    for facet, wanted in scope.items():
        parts.setdefault(facet.source.table, {})[facet] = wanted
    return parts
