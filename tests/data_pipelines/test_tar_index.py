"""The index of a tar against `tarfile`, and against damage."""

import io
import itertools
import tarfile

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from data_pipelines.containers import tar_index
from data_pipelines.containers.damage import Damaged
from tests.data_pipelines.fixtures_tars import sample, special, tar_bytes

FORMATS = (tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT)
_PARTS = st.text(st.characters(codec="utf-8", exclude_characters="/\0", exclude_categories=["Cs"]), min_size=1)
NAMES = st.lists(st.one_of(_PARTS, st.just(".."), st.just("x" * 90)), min_size=1, max_size=5).map("/".join)
CONTENTS = st.binary(max_size=1100)


def by_tarfile(content: bytes) -> list[tuple[str, bytes]]:
    with tarfile.open(fileobj=io.BytesIO(content)) as tar:
        return [(info.name, tar.extractfile(info).read()) for info in tar if info.isreg()]


def ours(content: bytes) -> list[tuple[str, bytes]]:
    found = list(tar_index.members(io.BytesIO(content)))
    return [(member.name, content[member.offset :][: member.length]) for member in found if not member.rule]


def until_damage(content: bytes) -> tuple[list[tar_index.Member], str]:
    found = []
    try:
        for member in tar_index.members(io.BytesIO(content)):
            found.append(member)
    except Damaged as error:
        return found, error.rule
    return found, ""


@given(st.lists(st.tuples(NAMES, CONTENTS), max_size=6), st.sampled_from(FORMATS[1:]))
@example([("/etc/passwd", b"a"), ("../../up.jpg", b""), ("é" * 200, b"c"), ("a/" * 120 + "b", b"d")], FORMATS[1])
@example([("/etc/passwd", b"a"), ("../../up.jpg", b""), ("é" * 200, b"c"), ("a/" * 120 + "b", b"d")], FORMATS[2])
@settings(deadline=None, max_examples=60)
def test_same_members_as_tarfile(members, format):
    content = tar_bytes(members, format)
    assert ours(content) == by_tarfile(content)
    assert [data for _, data in ours(content)] == [data for _, data in members]


def test_long_names_of_ustar_are_split_at_a_folder():
    members = [("folder" * 20 + "/" + "file" * 20, b"1"), ("x" * 100, b"2"), ("a/b", b"3")]
    assert ours(tar_bytes(members)) == members


def test_sizes_beyond_octal_are_binary():
    info = tarfile.TarInfo("large.bin")
    info.size = 1 << 33
    header = info.tobuf(tarfile.GNU_FORMAT)
    with pytest.raises(Damaged, match=r"large\.bin is cut short"):
        list(tar_index.members(io.BytesIO(header + bytes(1024))))


def test_names_that_are_not_utf_8_are_escaped():
    info = tarfile.TarInfo("caf\udce9.jpg")
    content = info.tobuf(tarfile.GNU_FORMAT, errors="surrogateescape") + bytes(1024)
    assert [member.name for member in tar_index.members(io.BytesIO(content))] == [r"caf\xe9.jpg"]


def test_what_is_no_file_is_marked_and_folders_are_left_out():
    kinds = [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.FIFOTYPE, b"Z"]
    links = [special(f"{index}.jpg", kind, "a.jpg") for index, kind in enumerate(kinds)]
    content = tar_bytes([special("folder", tarfile.DIRTYPE), ("a.jpg", b"a"), *links, ("b.jpg", b"b")])
    found = list(tar_index.members(io.BytesIO(content)))
    assert [(member.name, member.rule) for member in found] == [
        ("a.jpg", ""),
        *((f"{index}.jpg", "member_not_a_file") for index in range(len(kinds))),
        ("b.jpg", ""),
    ]
    assert ours(content) == by_tarfile(content)


def _sparse_by_gnu() -> bytes:
    """A sparse member in GNU's old way: the map of its pieces is too long for the header."""
    info = special("holes.jpg", b"S")
    info.size = 600
    header = bytearray(info.tobuf(tarfile.GNU_FORMAT))
    header[482] = 1
    header[148:156] = b"%06o\0 " % (256 + sum(header[:148]) + sum(header[156:]))
    more, last = bytearray(512), bytes(512)
    more[504] = 1
    return bytes(header + more + last) + b"x" * 600 + bytes(424)


def _sparse_by_pax() -> bytes:
    info = tarfile.TarInfo("GNUSparseFile.1/holes.jpg")
    info.size = 700
    info.pax_headers = {"GNU.sparse.major": "1", "GNU.sparse.name": "holes.jpg", "GNU.sparse.realsize": "90000"}
    return info.tobuf(tarfile.PAX_FORMAT) + b"y" * 700 + bytes(324)


@pytest.mark.parametrize("make", [_sparse_by_gnu, _sparse_by_pax])
def test_sparse_members_are_marked_and_passed_over(make):
    content = make() + tar_bytes([("after.jpg", b"after")])
    found = list(tar_index.members(io.BytesIO(content)))
    assert [(member.name, member.rule) for member in found] == [("holes.jpg", "member_sparse"), ("after.jpg", "")]
    assert ours(content) == [("after.jpg", b"after")]


@given(st.data())
@settings(deadline=None, max_examples=60)
def test_cut_anywhere_gives_all_before_and_one_reason(data):
    content = tar_bytes(itertools.chain(sample(1), sample(2), [("long" * 50 + ".jpg", b"1")]), tarfile.GNU_FORMAT)
    whole, reason = until_damage(content)
    assert reason == ""
    end = whole[-1].offset + 512  # of the last member; from here on only the end mark can be missing
    cut = data.draw(st.integers(0, end - 1))
    found, reason = until_damage(content[:cut])
    assert reason == "shard_truncated"
    assert found == [member for member in whole if member.offset + member.length <= cut and member.offset <= cut]


@given(st.lists(st.tuples(st.integers(0, 10_239), st.integers(0, 255)), min_size=1, max_size=8))
@settings(deadline=None, max_examples=150)
def test_any_damage_ends_in_members_or_one_reason(changes):
    content = bytearray(
        tar_bytes([*sample(1), ("é" * 120, b"1"), special("l", tarfile.SYMTYPE, "x" * 150)], FORMATS[2])
    )
    for position, value in changes:
        content[position % len(content)] = value
    found, _ = until_damage(bytes(content))
    assert all(0 <= member.offset <= member.offset + member.length <= len(content) for member in found)


@given(st.binary(max_size=2048))
@settings(deadline=None)
def test_rubbish_has_one_reason(content):
    found, reason = until_damage(content)
    if any(content[:512]):
        assert found == [] and reason in ("shard_truncated", "shard_damaged", "shard_compressed")


def test_joined_tars_are_not_cut_silently():
    one, two = tar_bytes(sample(1)), tar_bytes(sample(2))
    found, reason = until_damage(one + two)
    assert (len(found), reason) == (3, "shard_goes_on_after_its_end")
    assert by_tarfile(one + two) == by_tarfile(one)  # which is why tarfile is not asked


def test_a_damaged_header_is_not_taken_for_the_end():
    content = bytearray(tar_bytes([*sample(1), *sample(2)]))
    third = list(tar_index.members(io.BytesIO(bytes(content))))[3].offset - 512
    content[third + 20] ^= 1
    assert until_damage(bytes(content))[1] == "shard_damaged"
    assert len(by_tarfile(bytes(content))) == 3  # tarfile says nothing of the others


def test_a_member_that_claims_a_giant_header_is_refused():
    info = special("x", b"x")
    info.size = 1 << 30
    with pytest.raises(Damaged, match="pax header of 1,073,741,824 bytes"):
        list(tar_index.members(io.BytesIO(info.tobuf(tarfile.USTAR_FORMAT) + bytes(2048))))
