"""Whole facets, compared by sums, against a comparison that keeps every element in a dictionary."""

import random
from collections import Counter
from collections.abc import Iterable, Iterator

import pytest

from gpm_cdc.domain.canonical import canonical
from gpm_cdc.domain.digests import Buckets, Digest, element_hashes
from gpm_cdc.domain.lsn import Lsn
from gpm_cdc.projection.plan import FieldRow
from gpm_cdc.verification import sums
from gpm_cdc.verification.directory import Directory
from gpm_cdc.verification.facet import Element, Facet, Identity
from gpm_cdc.verification.round import Scope
from gpm_cdc.verification.scope import following
from gpm_cdc.verification.touched import Touched
from tests.unit.verification.sides import PLAN, Memory, changes, updated

LATER = Lsn(200)
HISTORIES = 60


def _rows(dice: random.Random) -> dict[str, list[FieldRow]]:
    count = dice.randint(0, 30)
    ids = dice.sample(range(1, 60), count)
    people = [
        (str(key), dice.choice(["a", "b", None]), str(dice.choice([*ids, 99])) if dice.random() < 0.7 else None)
        for key in ids
    ]
    pairs = (
        {(str(dice.choice(ids)), str(dice.choice([*ids, 99]))) for _ in range(dice.randint(0, 20))} if ids else set()
    )
    return {"people": list(people), "knows": [(a, b, str(dice.randint(1, 3))) for a, b in sorted(pairs)]}


def _directories(memory: Memory, facet: Facet) -> list[Directory]:
    made = []
    for end in facet.directories:
        directory = Directory(end)
        directory.learn([tuple(row[at] for at in directory.places) for row in memory.rows[end.target.table.name]])
        made.append(directory)
    return made


def _expected(memory: Memory, facet: Facet) -> Iterator[Element]:
    directories = _directories(memory, facet)
    for row in memory.rows[facet.source.table.name]:
        element = facet.expected(tuple(row[place] for place in facet.places), directories)
        if element is not None:
            yield element


def _equal_graph(memory: Memory) -> None:
    for name, facet in memory.facets.items():
        memory.graph[name] = [
            [f"{name}{number}", *element.values] for number, element in enumerate(_expected(memory, facet))
        ]


def _damage(dice: random.Random, memory: Memory) -> None:
    for records in memory.graph.values():
        for _ in range(dice.choice([0, 0, 1, 2, 8])):
            if not records:
                break
            place = dice.randrange(len(records))
            kind = dice.choice(["drop", "twice", "value", "type", "extra"])
            if kind == "drop":
                records.pop(place)
            elif kind == "twice":
                records.append([f"{records[place][0]}'{dice.random()}", *records[place][1:]])
            elif kind == "extra":
                records.append([f"x{dice.random()}", dice.randint(100, 120), *records[place][2:]])
            else:
                field = dice.randrange(2, len(records[place]))
                value = records[place][field]
                if kind == "type":
                    records[place][field] = float(value) if type(value) is int else "n"
                else:
                    records[place][field] = value + 1 if type(value) is int else "other"
        dice.shuffle(records)


def _loosely(key: Iterable[object]) -> Identity:
    """A key whose number is of the other type is told once, under the key of the row."""
    return canonical([int(part) if isinstance(part, float) else part for part in key])  # type: ignore[misc]


def _by_key(facet: Facet, elements: Iterable[Element]) -> dict[Identity, Counter[bytes]]:
    found: dict[Identity, Counter[bytes]] = {}
    for element in elements:
        found.setdefault(_loosely(element.values[: facet.key_size]), Counter())[canonical(element.values)] += 1
    return found


def _actual(memory: Memory, facet: Facet) -> Iterator[Element]:
    return facet.found([list(record) for record in memory.graph[facet.name]])


def _wrong(memory: Memory, facet: Facet) -> set[Identity]:
    """The keys of which both sides do not hold the same."""
    expected, actual = _by_key(facet, _expected(memory, facet)), _by_key(facet, _actual(memory, facet))
    return {key for key in {*expected, *actual} if expected.get(key) != actual.get(key)}


def _told(memory: Memory, facet: Facet) -> set[Identity]:
    return {_loosely(finding.key.values()) for finding in memory.tallies[facet].findings}


def _check(memory: Memory, scope: Scope) -> None:
    """What is told, and both digests, are those of everything that was not in flight."""
    for facet, tally in memory.tallies.items():
        flying = set(scope.get(facet) or ())
        assert _told(memory, facet) == _wrong(memory, facet) - flying
        expected = [element for element in _expected(memory, facet) if element.identity not in flying]
        actual = [element for element in _actual(memory, facet) if element.identity not in flying]
        assert tally.postgres == _digest(facet, expected)
        assert tally.neo4j == _digest(facet, actual)


def _digest(facet: Facet, elements: Iterable[Element]) -> Digest:
    digest = Digest()
    digest.add_all(facet.hash(element.values) for element in elements)
    return digest


def _memory(dice: random.Random) -> Memory:
    memory = Memory(
        rows=_rows(dice),
        graph={},
        joining=dice.random() < 0.5,
        together=dice.random() < 0.5,
        block=dice.choice([1, 3, 1000]),
    )
    _equal_graph(memory)
    return memory


@pytest.mark.parametrize("buckets", [1, 4, 1 << 12])
async def test_sums_find_what_a_dictionary_finds(monkeypatch: pytest.MonkeyPatch, buckets: int) -> None:
    """Random rows and random damage of every kind: the same keys are wrong, and the digests are those of both sides."""
    monkeypatch.setattr(sums, "BUCKETS", buckets)
    for seed in range(HISTORIES):
        dice = random.Random(f"{buckets} {seed}")
        memory = _memory(dice)
        _damage(dice, memory)
        assert await memory.run() == {}, seed
        _check(memory, {})


@pytest.mark.parametrize("buckets", [1, 4, 1 << 12])
async def test_what_changes_between_two_readings_is_left_to_the_next_round(
    monkeypatch: pytest.MonkeyPatch, buckets: int
) -> None:
    """Rows that are read as of different positions, and a graph ahead of them: never drift, never in the digests."""
    monkeypatch.setattr(sums, "BUCKETS", buckets)
    for seed in range(HISTORIES):
        dice = random.Random(f"changing {buckets} {seed}")
        memory = _memory(dice)
        people = memory.rows["people"]
        if not people:
            continue
        places = dice.sample(range(len(people)), dice.randint(1, min(4, len(people))))
        after = list(people)
        for place in places:
            after[place] = (people[place][0], f"new {place}", dice.choice([None, people[0][0]]))
        memory.at = LATER
        memory.arrives = changes("people", *(updated(list(after[place])) for place in places))
        memory.becomes = {"people": after}
        if dice.random() < 0.7:
            before, memory.rows = memory.rows, {**memory.rows, "people": after}
            _equal_graph(memory)
            memory.rows = before
        scope = await memory.run()
        assert memory.found() == [], seed
        _check(memory, scope)
        for facet in memory.facets.values():
            for element in _expected(memory, facet):
                if any(memory.touched.has(target, key) for target, key in facet.end_keys(element.values)):
                    assert element.identity in (scope[facet] or ()), "an end was changed"
        _equal_graph(memory)
        scope, memory.touched = following(scope, memory.touched), Touched(PLAN)
        assert await memory.run(scope) == {}, seed
        assert memory.found() == [], seed
        _check(memory, {})


def test_a_bucket_tells_what_is_in_it() -> None:
    """Equal sets are equal in every bucket; another element makes its own differ, and the digests are of the rest."""
    one, other = Buckets(8), Buckets(8)
    hashes = element_hashes(0, ([number] for number in range(100)))
    one.add_all(hashes)
    other.add_all(reversed(hashes[1:]))
    bucket = one.bucket(hashes[0])
    assert one.differing(other) == {bucket}
    rest = Digest()
    rest.add_all(each for each in hashes if one.bucket(each) != bucket)
    assert one.digest(frozenset({bucket})) == other.digest(frozenset({bucket})) == rest
    assert one.digest(frozenset()).count == 100
