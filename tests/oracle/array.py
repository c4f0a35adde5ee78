"""The text of a Postgres array taken apart: nested lists of element texts, None for NULL."""

from collections.abc import Iterator

type Nested = list[Nested | str | None]


def parse_array(text: str, delimiter: str = ",") -> Nested:
    """The elements of `{1,NULL,"a b"}`; lower bounds that may stand before them (`[0:1]={...}`) say nothing here."""
    if text.startswith("["):
        text = text.partition("=")[2]
    characters = iter(text)
    if next(characters) != "{":
        message = f"not an array: {text}"
        raise ValueError(message)
    return _elements(characters, delimiter)


def _elements(characters: Iterator[str], delimiter: str) -> Nested:
    """The elements up to the closing brace, the opening one having been read."""
    elements: Nested = []
    word: list[str] = []
    quoted = nested = False
    for character in characters:
        if character == '"':
            quoted = True
            word.extend(_quoted(characters))
        elif character == "\\":
            word.append(next(characters))
        elif character == "{":
            nested = True
            elements.append(_elements(characters, delimiter))
        elif character in (delimiter, "}"):
            if not nested and (word or quoted):
                elements.append(_element("".join(word), quoted=quoted))
            if character == "}":
                return elements
            word, quoted, nested = [], False, False
        else:
            word.append(character)
    message = "an array without its closing brace"
    raise ValueError(message)


def _quoted(characters: Iterator[str]) -> Iterator[str]:
    for character in characters:
        if character == '"':
            return
        yield next(characters) if character == "\\" else character


def _element(word: str, *, quoted: bool) -> str | None:
    return None if word == "NULL" and not quoted else word
