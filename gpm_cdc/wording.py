"""Words for people: every user-facing text is a whole sentence with named placeholders, so that it can be translated.

A catalogue is a function from the English template to the template of another language; it is installed once, at the
edge of the program, before anything is said.
"""

from collections.abc import Callable

type Catalogue = Callable[[str], str]


def _english(template: str) -> str:
    return template


_catalogue: Catalogue = _english


def install(catalogue: Catalogue) -> None:
    """Make `catalogue` (English template -> translated template) the language of everything said from now on."""
    global _catalogue  # noqa: PLW0603 - one language per process, chosen at its edge
    _catalogue = catalogue


def say(template: str, **facts: object) -> str:
    """The sentence of `template` in the installed language, its named placeholders filled with `facts`."""
    return _catalogue(template).format_map(facts)
