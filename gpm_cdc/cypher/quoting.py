"""The one way in which a name from a mapping enters a Cypher text."""


def quote(name: str) -> str:
    """`name` as a Cypher identifier, whatever characters it holds."""
    return "`" + name.replace("`", "``") + "`"


def labels(*names: str) -> str:
    """`:A:B` for the given labels."""
    return "".join(f":{quote(name)}" for name in names)
