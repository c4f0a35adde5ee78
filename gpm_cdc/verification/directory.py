"""Which nodes must exist, by what rows refer to them with."""

from collections.abc import Sequence

from gpm_cdc.domain import graphtypes
from gpm_cdc.domain.canonical import canonical
from gpm_cdc.domain.types import ValueType
from gpm_cdc.domain.values import GraphValue
from gpm_cdc.projection.plan import EndPlan, FieldRow

type Values = list[GraphValue]


def held_as(kind: ValueType, value: GraphValue) -> GraphValue:
    """The value equal to `value` that a property of type `kind` holds: a column of integers may refer to decimals."""
    if kind.graph_type == graphtypes.FLOAT.name and type(value) is int:
        return float(value)
    if kind.graph_type == graphtypes.INTEGER.name and type(value) is float and value.is_integer():
        return int(value)
    return value


class Directory:
    """The rows of a referenced table. Fill it with every row under one snapshot, then ask."""

    def __init__(self, end: EndPlan) -> None:
        target = end.target
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

    def resolve(self, reference: Values) -> Values | None:
        """The key of the node that `reference` names; None when no row has these values."""
        held: Values = list(map(held_as, self._referenced, reference))
        form = canonical(held)
        if form not in self._keys:
            return None
        return held if self._by_key else self._keys[form]
