import random

from hypothesis import given, strategies as st

from gpm_cdc.domain.digests import Buckets, Digest, element_hashes, seed_of
from gpm_cdc.domain.values import GraphValue

elements = st.lists(st.binary(max_size=3), max_size=20)


def hash_of(content: bytes) -> int:
    """The hash of an element with one value."""
    return element_hashes(0, [[content]])[0]


def digest_of(contents: list[bytes]) -> Digest:
    """The digest of a multiset of contents."""
    digest = Digest()
    for content in contents:
        digest.add(hash_of(content))
    return digest


@given(elements, st.randoms())
def test_the_order_of_elements_does_not_matter(contents: list[bytes], chance: random.Random) -> None:
    """Two readers need not read alike."""
    shuffled = contents.copy()
    chance.shuffle(shuffled)
    assert digest_of(contents) == digest_of(shuffled)


@given(elements, elements)
def test_different_multisets_differ(one: list[bytes], other: list[bytes]) -> None:
    """Also where they differ only in how often an element is there."""
    assert (digest_of(one) == digest_of(other)) == (sorted(one) == sorted(other))


def test_pairs_of_duplicates_do_not_cancel() -> None:
    """As they would under XOR."""
    assert digest_of([b"5", b"7", b"7"]) != digest_of([b"5", b"9", b"9"])


@given(elements, elements)
def test_parts_combine_to_the_whole(one: list[bytes], other: list[bytes]) -> None:
    """By either way of adding, and what is taken back leaves no trace."""
    parts = digest_of(one)
    parts.combine(digest_of(other))
    whole = Digest()
    whole.add_all(hash_of(content) for content in [*other, *one])
    assert parts == whole
    for content in other:
        whole.remove(hash_of(content))
    assert whole == digest_of(one)


def test_a_sum_never_overflows() -> None:
    """The count of a bucket stays apart from the sum of hashes that have every bit."""
    buckets = Buckets(1)
    most = 2**128 - 1
    buckets.add_all([most] * 1_000)
    assert buckets.digest(frozenset()) == Digest(1_000, 1_000 * most)


def test_a_digest_is_rendered_with_a_fixed_width() -> None:
    """Count first, then the sum; an empty one is all zeros, and each is read again."""
    assert Digest().render() == "0" * 64
    digest = digest_of([b"a"] * 3)
    assert len(digest.render()) == 64
    assert digest.render()[:16] == "0000000000000003"
    assert Digest.parse(digest.render()) == digest


def test_a_hash_never_changes() -> None:
    """Digests that were written down stay comparable."""
    (known,) = element_hashes(seed_of("node", "Order"), [[1, ["date", 2], 1.5, "é", None, True, b"x"]])
    assert f"{known:032x}" == "c6482bb81ee9692369fad133a6e4ae9d"


def test_an_element_is_told_by_kind_name_and_values() -> None:
    """A change of any of them changes the hash."""
    seed = seed_of("node", "Order")
    variants: list[list[GraphValue]] = [
        [1, "x"],
        [2, "x"],
        [1.0, "x"],
        [True, "x"],
        ["1", "x"],
        [b"1", "x"],
        [None, "x"],
        [1, "x", None],
        [1, ["x"]],
        [[1, "x"]],
        ["x", 1],
        [1, "xy"],
        [1, "é"],
        [1, "e\u0301"],
        [0.0, "x"],
        [-0.0, "x"],
        [0, "x"],
    ]
    hashes = element_hashes(seed, variants)
    others = [seed_of("relationship", "Order"), seed_of("node", "Orders"), seed_of("node", "")]
    hashes += [element_hashes(other, variants)[0] for other in others]
    assert len(set(hashes)) == len(variants) + len(others)
