"""What an examination has to say about a table, a mapping or a server."""

from dataclasses import dataclass
from typing import Literal, Self

from gpm_cdc.wording import say

type Severity = Literal["blocks", "warns", "notes"]


@dataclass(frozen=True, slots=True)
class Finding:
    """One condition with its remedy.

    `code` is stable and meant for programs. `blocks`: the stream cannot run rightly until somebody acts; `warns`: it
    can, but not as one might think; `notes`: worth knowing. `subject` is what it is about, spelled as its owner spells
    it (`public.orders`, `public.orders.customer_id`). `message` and `remedy` are whole sentences in the user's
    language; `remedy` is empty where nothing needs to be done.
    """

    code: str
    severity: Severity
    subject: str
    message: str
    remedy: str

    @property
    def blocks(self) -> bool:
        """Whether the stream cannot run rightly until somebody acts."""
        return self.severity == "blocks"

    @classmethod
    def worded(
        cls, code: str, severity: Severity, subject: object, message: str, remedy: str = "", **facts: object
    ) -> Self:
        """A finding from templates with named placeholders, of which `{subject}` is always one."""
        known = {"subject": subject, **facts}
        return cls(code, severity, str(subject), say(message, **known), say(remedy, **known))
