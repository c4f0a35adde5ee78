"""What a stretch of the stream changed: the elements that were in flight while both sides were read."""

from collections.abc import Iterable, KeysView, Sequence
from typing import NamedTuple

from gpm_cdc.domain.canonical import canonical
from gpm_cdc.domain.changes import UNCHANGED, Delete, Insert, Relation, Truncate, Update
from gpm_cdc.domain.types import Wire
from gpm_cdc.domain.values import GraphValue
from gpm_cdc.projection.coalesce import Bindings, Planned
from gpm_cdc.projection.plan import FieldRow, GraphPlan, RowKey
from gpm_cdc.verification.directory import held_key

type Event = Relation | Insert | Update | Delete | Truncate


class Key(NamedTuple):
    """A row's key: as the graph gives it back, as the parameters that find it there, as Postgres prints it.

    Of an element that only the graph has shown, the first is all there is.
    """

    values: list[GraphValue]
    parameters: list[Wire] | None = None
    text: RowKey | None = None


class Touched:
    """Keys by canonical form, old and new ones. Grows while it is consulted."""

    def __init__(self, plan: GraphPlan) -> None:
        self._bindings = Bindings(plan)
        self._keys: dict[Planned, dict[bytes, Key]] = {table: {} for table in plan.tables.values()}
        self._renamed: dict[Planned, dict[bytes, set[bytes]]] = {table: {} for table in plan.tables.values()}
        self.emptied: set[Planned] = set()
        """Tables that were truncated: all of their rows were changed."""

    def add(self, events: Sequence[Event]) -> None:
        """Take the events of a transaction into account; RelationChanged when a mapped table changed its shape."""
        for event in events:
            if isinstance(event, Relation):
                self._bindings.learn(event)
            elif isinstance(event, Truncate):
                bindings = [self._bindings.of(oid) for oid in event.relations]
                self.emptied.update(binding.plan for binding in bindings if binding is not None)
            else:
                self._change(event)

    def _change(self, event: Insert | Update | Delete) -> None:
        binding = self._bindings.of(event.relation)
        if binding is None:
            return
        size = binding.plan.key_size
        old = None if isinstance(event, Insert) or event.old is None else binding.pick(event.old)[:size]
        before = None if old is None else self._note(binding.plan, old)
        if isinstance(event, Delete):
            return
        new = binding.pick(event.new)[:size]
        if old is not None and UNCHANGED in new:
            new = tuple(known if value is UNCHANGED else value for value, known in zip(new, old, strict=True))
        after = self._note(binding.plan, new)
        if before is not None and before != after:
            self._renamed[binding.plan].setdefault(before, set()).add(after)

    def _note(self, plan: Planned, row: FieldRow) -> bytes:
        parameters = plan.project_key(row)
        stored = [field.type.stored(wire) for field, wire in zip(plan.fields, parameters, strict=False)]
        values = held_key(plan, stored)
        identity = canonical(values)
        self._keys[plan][identity] = Key(values, parameters, row)  # type: ignore[arg-type]
        return identity

    def has(self, table: Planned, identity: bytes) -> bool:
        """Whether the row of `table` with this key was changed."""
        return identity in self._keys[table] or table in self.emptied

    def identities(self, table: Planned) -> KeysView[bytes]:
        """Every changed key of `table`, by identity, as it grows."""
        return self._keys[table].keys()

    def keys(self, table: Planned) -> dict[bytes, Key]:
        """Every changed key of `table` so far; a copy."""
        return dict(self._keys[table])

    def followed(self, table: Planned, identities: Iterable[bytes]) -> dict[bytes, Key]:
        """The keys that rows with these keys were given, again and again; not the given ones themselves."""
        found: dict[bytes, Key] = {}
        renamed, pending = self._renamed[table], list(identities)
        while pending:
            for after in renamed.get(pending.pop(), ()):
                if after not in found:
                    found[after] = self._keys[table][after]
                    pending.append(after)
        return found

    def any(self, tables: Iterable[Planned]) -> bool:
        """Whether a row of one of `tables` was changed."""
        return any(self._keys[table] or table in self.emptied for table in tables)
