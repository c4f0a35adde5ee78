"""One table of a mapping file, read key by key: what is missing, wrong or unknown is said with its place."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

from gpm_cdc.domain.catalogue import TableName
from gpm_cdc.errors.mapping import (
    MappingKeyMissing,
    MappingKeyMisspelled,
    MappingKeyUnknown,
    MappingValueWrong,
)
from gpm_cdc.mapping.model import Selector
from gpm_cdc.mapping.spelling import listed, nearest
from gpm_cdc.wording import say

_EXAMPLES: Mapping[str, str] = {
    "table": 'table = "public.orders"',
    "label": 'label = "Order"',
    "extra_labels": 'extra_labels = ["Document"]',
    "labels_from": 'labels_from = { column = "kind", values = { manager = "Manager" } }',
    "key": 'key = ["order_id"]',
    "include": 'include = ["order_id", "order_date"]',
    "exclude": 'exclude = ["photo"]',
    "rename": 'rename = { order_date = "ordered" }',
    "types": 'types = { price = "float" }',
    "keep_foreign_keys": "keep_foreign_keys = true",
    "relationship": "[[node.relationship]]",
    "columns": 'columns = ["customer_id"]',
    "type": 'type = "CUSTOMER"',
    "type_from": 'type_from = { column = "kind", values = { calls = "CALLS" } }',
    "target": 'target = "public.customers"',
    "target_columns": 'target_columns = ["customer_id"]',
    "direction": 'direction = "out"',
    "enforced": "enforced = true",
    "start": 'start = { columns = ["order_id"], target = "public.orders", target_columns = ["order_id"] }',
    "end": 'end = { columns = ["product_id"], target = "public.products", target_columns = ["product_id"] }',
    "column": 'column = "kind"',
    "values": 'values = { manager = "Manager" }',
    "ignore": 'ignore = ["public.audit_log"]',
    "version": "version = 1",
    "node": "[[node]]",
}


@dataclass(frozen=True, slots=True)
class Entry:
    """A TOML table. `where` is the file, `place` where in it.

    The readers raise MappingValueWrong and, for required keys, MappingKeyMissing.
    """

    where: str
    place: str
    content: Mapping[str, object]

    def only(self, *known: str) -> None:
        """Raise MappingKeyUnknown for the first key that is not in `known`."""
        for key in self.content:
            if key in known:
                continue
            facts = {"where": self.where, "entry": self.place, "key": key, "known": listed(known)}
            close = nearest(key, known)
            if close is None:
                raise MappingKeyUnknown(**facts)
            raise MappingKeyMisspelled(nearest=close, **facts)

    def has(self, key: str) -> bool:
        """Whether `key` is there."""
        return key in self.content

    def text(self, key: str) -> str:
        """A required string that is not empty."""
        found = self.required(key)
        if not isinstance(found, str) or not found:
            raise self._wrong(key, say("a text in quotes"))
        return found

    def table(self, key: str) -> TableName:
        """A required table name."""
        name = TableName.parse(self.text(key))
        if not (name.schema and name.name):
            raise self._wrong(key, say("a table with its schema"))
        return name

    def texts(self, key: str) -> tuple[str, ...]:
        """A list of strings; empty when `key` is not there."""
        found = self.content.get(key, [])
        if not isinstance(found, list) or not all(isinstance(item, str) for item in found):
            raise self._wrong(key, say("a list of texts in quotes"))
        return tuple(found)

    def required_texts(self, key: str) -> tuple[str, ...]:
        """A required list of strings."""
        self.required(key)
        return self.texts(key)

    def flag(self, key: str, *, default: bool) -> bool:
        """True or false."""
        found = self.content.get(key, default)
        if not isinstance(found, bool):
            raise self._wrong(key, say("true or false"))
        return found

    def direction(self, key: str) -> Literal["out", "in"]:
        """`out`, the default, or `in`."""
        found = self.content.get(key, "out")
        if found == "out":
            return "out"
        if found == "in":
            return "in"
        raise self._wrong(key, say('"out" or "in"'))

    def dictionary(self, key: str) -> Mapping[str, str]:
        """Strings by name; empty when `key` is not there."""
        found = self.content.get(key, {})
        if not isinstance(found, dict) or not all(isinstance(value, str) for value in found.values()):
            raise self._wrong(key, say("a table of texts in quotes"))
        return found

    def selector(self, key: str) -> Selector | None:
        """A discriminator; None when `key` is not there."""
        if not self.has(key):
            return None
        entry = self.entry(key)
        entry.only("column", "values")
        entry.required("values")
        return Selector(entry.text("column"), entry.dictionary("values"))

    def entry(self, key: str) -> "Entry":
        """A required TOML table within this one."""
        found = self.required(key)
        if not isinstance(found, dict):
            raise self._wrong(key, say("a table in braces"))
        return Entry(self.where, f"{self.place}.{key}", found)

    def entries(self, key: str, prefix: str = "") -> Iterator["Entry"]:
        """The TOML tables of an array such as `[[node]]`, placed by their number and the database table they name."""
        found = self.content.get(key, [])
        if not isinstance(found, list) or not all(isinstance(item, dict) for item in found):
            raise self._wrong(key, say("written with double brackets"))
        for number, item in enumerate(found, start=1):
            name = item.get("table")
            about = f" ({name})" if isinstance(name, str) else ""
            yield Entry(self.where, f"{prefix}[[{key}]] {number}{about}", item)

    def required(self, key: str) -> object:
        """The value of a required key, whatever it is."""
        if key not in self.content:
            raise MappingKeyMissing(where=self.where, entry=self.place, key=key, example=_EXAMPLES[key])
        return self.content[key]

    def _wrong(self, key: str, expected: str) -> MappingValueWrong:
        return MappingValueWrong(where=self.where, entry=self.place, key=key, expected=expected, example=_EXAMPLES[key])
