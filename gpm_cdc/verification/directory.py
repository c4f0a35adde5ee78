"""Which nodes must exist, by what rows refer to them with."""

from collections.abc import Sequence

from gpm_cdc.domain.canonical import canonical
from gpm_cdc.domain.values import GraphValue
from gpm_cdc.projection.plan import EndPlan, FieldRow

type Values = list[GraphValue]


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
        form = canonical(reference)
        if form not in self._keys:
            return None
        return reference if self._by_key else self._keys[form]
