"""Which nodes must exist, by what rows refer to them with."""

from collections.abc import Sequence
from functools import cache

from gpm_cdc.domain import graphtypes
from gpm_cdc.domain.canonical import canonical
from gpm_cdc.domain.changes import Field
from gpm_cdc.domain.types import ValueType
from gpm_cdc.domain.values import GraphValue
from gpm_cdc.projection.plan import EndPlan, FieldRow, PlannedTable, RelationshipPlan

type Values = list[GraphValue]


def held_as(kind: ValueType, value: GraphValue) -> GraphValue:
    """The value equal to `value` that a property of type `kind` holds: a column of integers may refer to decimals."""
    if kind.graph_type == graphtypes.FLOAT.name and type(value) is int:
        return float(value)
    if kind.graph_type == graphtypes.INTEGER.name and type(value) is float and value.is_integer():
        return int(value)
    return value


@cache
def _held_kinds(table: RelationshipPlan) -> tuple[ValueType, ...]:
    kinds = {
        place: end.target.fields[target].type
        for end in (table.start, table.end)
        for place, target in zip(end.fields, end.target_fields, strict=True)
    }
    return tuple(kinds[place] for place in range(table.key_size))


def held_key(table: PlannedTable, key: Sequence[GraphValue]) -> Values:
    """A row's key as the graph gives it back: from the ends of its relationship, where these are the key."""
    if not isinstance(table, RelationshipPlan) or not table.by_ends:
        return list(key)
    return list(map(held_as, _held_kinds(table), key))


class Directory:
    """Knows the rows of a referenced table. Fill it with every row, then ask."""

    def __init__(self, end: EndPlan, *, joined: int | None = None) -> None:
        """`joined` is where the rows that refer say it themselves; then nothing is to be filled in."""
        target = end.target
        self.joined = joined
        self._by_key = end.by_key
        self.places: tuple[int, ...] = (
            tuple(range(target.key_size)) if end.by_key else (*range(target.key_size), *end.target_fields)
        )
        self._size = target.key_size
        self._fields = tuple(target.fields[place].type for place in self.places)
        self._referenced = tuple(target.fields[place].type for place in end.target_fields)
        self._keys: dict[bytes, Values | None] = {}

    def learn(self, rows: Sequence[FieldRow]) -> None:
        """Take rows of `places` into account."""
        keys, size = self._keys, self._size
        for row in rows:
            values: Values = [
                None if value is None else kind.stored(kind.decode(value))  # type: ignore[arg-type]
                for kind, value in zip(self._fields, row, strict=True)
            ]
            if self._by_key:
                keys[canonical(values)] = None
            elif None not in values[size:]:
                keys[canonical(values[size:])] = values[:size]

    def resolve(self, reference: Values, told: Sequence[Field]) -> Values | None:
        """The key of the node that `reference` names; None when no row has these values.

        `told` is what the row says of every joined end.
        """
        if self.joined is not None:
            return reference if told[self.joined] == "t" else None
        held: Values = list(map(held_as, self._referenced, reference))
        form = canonical(held)
        if form not in self._keys:
            return None
        return held if self._by_key else self._keys[form]
