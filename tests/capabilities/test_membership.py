"""Members are whom the root signed; the latest record of a name counts."""

from dataclasses import replace

import pytest

from capabilities.certificate import make_certificate, public_key_of
from capabilities.errors import KeyInvalid, MemberInvalid
from capabilities.keys import PrivateKey
from capabilities.membership import Member, Membership, sign_member, verify_member

ROOT, NODE, OTHER = (PrivateKey(bytes([n]) * 32) for n in range(31, 34))
ROOTS = {ROOT.public}
MEMBER = Member(
    "alpha", "node", NODE.public, make_certificate(NODE, "alpha"), ("127.0.0.1:7001",), 1
)


def test_a_certificate_holds_the_key_it_was_made_for() -> None:
    assert public_key_of(MEMBER.certificate) == NODE.public
    for bad in (b"", b"x", MEMBER.certificate[:-1]):
        with pytest.raises(KeyInvalid):
            public_key_of(bad)


def test_a_member_comes_back_as_it_was_signed() -> None:
    assert verify_member(sign_member(ROOT, MEMBER), ROOTS) == MEMBER


def test_a_record_signed_by_another_or_changed_is_refused() -> None:
    with pytest.raises(MemberInvalid, match="not signed"):
        verify_member(sign_member(OTHER, MEMBER), ROOTS)
    line = sign_member(ROOT, MEMBER)
    for position in range(0, len(line) - 4, 7):
        changed = line[:position] + ("A" if line[position] != "A" else "B") + line[position + 1 :]
        with pytest.raises(MemberInvalid):
            verify_member(changed, ROOTS)


@pytest.mark.parametrize(
    "member",
    [
        replace(MEMBER, role="king"),
        replace(MEMBER, key=OTHER.public),
        replace(MEMBER, certificate=b"none"),
    ],
)
def test_a_signed_record_that_contradicts_itself_is_refused(member: Member) -> None:
    with pytest.raises(MemberInvalid):
        verify_member(sign_member(ROOT, member), ROOTS)


def test_the_record_with_the_highest_number_counts_in_any_order() -> None:
    later = replace(MEMBER, addresses=("127.0.0.1:7002",), seq=2)
    lines = [sign_member(ROOT, member) for member in (MEMBER, later)]
    for text in ("\n".join(lines), "\n".join(reversed(lines)) + "\n\n"):
        members = Membership.from_text(text, roots=ROOTS)
        assert members.node("alpha") == later
        assert members.of_key(NODE.public) == later
        assert members.of_key(OTHER.public) is None


def test_a_bad_line_is_named() -> None:
    with pytest.raises(MemberInvalid, match="line 2"):
        Membership.from_text(sign_member(ROOT, MEMBER) + "\nAAAA\n", roots=ROOTS)
