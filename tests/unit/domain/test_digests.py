import random

from hypothesis import given, strategies as st

from gpm_cdc.domain.digests import Digest, element_hash, limbs

elements = st.lists(st.binary(max_size=3), max_size=20)


def digest_of(contents: list[bytes]) -> Digest:
    """The digest of a multiset of contents."""
    digest = Digest()
    for content in contents:
        digest.add(limbs(content))
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
    whole.add_all(limbs(content) for content in [*other, *one])
    assert parts == whole
    for content in other:
        whole.remove(limbs(content))
    assert whole == digest_of(one)


@given(elements)
def test_each_limb_is_summed_on_its_own(contents: list[bytes]) -> None:
    """No limb carries into the next, so the sums are those of 31-bit numbers."""
    singles = [digest_of([content]).sums for content in contents]
    assert all(limb < 2**31 for single in singles for limb in single)
    expected = tuple(sum(column) for column in zip(*singles, strict=True)) or (0, 0, 0, 0)
    assert digest_of(contents).sums == expected


def test_a_digest_is_rendered_with_a_fixed_width() -> None:
    """Count first, then the sums; an empty one is all zeros."""
    assert Digest().render() == "0" * 80
    digest = digest_of([b"a"] * 3)
    assert len(digest.render()) == 80
    assert digest.render()[:16] == "0000000000000003"
    assert [int(digest.render()[start : start + 16], 16) for start in range(64, 0, -16)] == list(digest.sums)


def test_a_hash_never_changes() -> None:
    """Digests that were written down stay comparable."""
    content = element_hash("node", "Order", [1], {"id": 1, "at": ["date", 2], "price": 1.5, "note": "é"})
    assert f"{content:064x}" == "0000000039dbdcec00000000168b575e000000001bef17e400000000007ddf8a"


def test_an_element_is_told_by_kind_name_key_and_properties() -> None:
    """A change of any of them changes the hash; the order of properties and absent ones do not."""
    known = element_hash("node", "Order", [1], {"id": 1, "note": "x"})
    assert element_hash("node", "Order", [1], {"note": "x", "gone": None, "id": 1}) == known
    others = [
        element_hash("relationship", "Order", [1], {"id": 1, "note": "x"}),
        element_hash("node", "Orders", [1], {"id": 1, "note": "x"}),
        element_hash("node", "Order", [2], {"id": 1, "note": "x"}),
        element_hash("node", "Order", [1.0], {"id": 1, "note": "x"}),
        element_hash("node", "Order", [1], {"id": 1.0, "note": "x"}),
        element_hash("node", "Order", [1], {"id": "1", "note": "x"}),
        element_hash("node", "Order", [1], {"id": 1, "memo": "x"}),
        element_hash("node", "Order", [1], {"id": 1}),
        element_hash("node", "Order", [1], {"id": "x", "note": 1}),
        element_hash("node", "Order", [1], {"id": 1, "note": ["x"]}),
    ]
    assert len({known, *others}) == len(others) + 1
