"""Where a report of `verify` comes from."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class Provenance:
    """Where a report comes from. `number` is that of the pass in schema gpm_cdc, None where it was not kept."""

    stream: str
    started_at: datetime
    strict: bool
    versions: Mapping[str, str]
    number: int | None

    def as_json(self) -> dict[str, object]:
        """The form that goes beside that of the report."""
        return {
            "stream": self.stream,
            "started_at": self.started_at.isoformat(timespec="milliseconds"),
            "strict": self.strict,
            "versions": dict(self.versions),
            "pass": self.number,
        }
