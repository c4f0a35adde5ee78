"""What the next round compares: what was in flight, followed to the keys that it bears by then."""

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
