"""Keys that anybody could sign for are refused; text forms survive no typing error."""

from pathlib import Path

import pytest
from curve25519 import small_order_points

from capabilities.errors import KeyInvalid, TokenInvalid
from capabilities.keys import P, PrivateKey, PublicKey, load_private, save_private


def test_every_point_of_small_order_is_refused_in_every_encoding() -> None:
    points = small_order_points()
    assert len(points) == 8
    for x, y in points:
        for sign in (x & 1, 1 - (x & 1)):
            with pytest.raises(KeyInvalid):
                PublicKey((y | sign << 255).to_bytes(32, "little"))


@pytest.mark.parametrize("excess", range(19))
def test_an_encoding_that_is_not_canonical_is_refused(excess: int) -> None:
    with pytest.raises(KeyInvalid):
        PublicKey((P + excess).to_bytes(32, "little"))


def test_a_text_with_one_changed_character_is_refused() -> None:
    key = PrivateKey(bytes(range(32))).public
    text = key.text
    assert PublicKey.parse(text) == key
    for position in range(len(text)):
        other = "a" if text[position] != "a" else "b"
        with pytest.raises(KeyInvalid):
            PublicKey.parse(text[:position] + other + text[position + 1 :])


def test_a_signature_of_another_key_or_message_is_refused() -> None:
    key, other = PrivateKey(bytes(32)), PrivateKey(bytes([1] * 32))
    signature = key.sign(b"message")
    key.public.verify(signature, b"message")
    for public, message in ((other.public, b"message"), (key.public, b"massage")):
        with pytest.raises(TokenInvalid):
            public.verify(signature, message)


def test_what_is_no_file_has_no_key(tmp_path: Path) -> None:
    tmp_path.chmod(0o700)
    with pytest.raises(KeyInvalid, match="is not the file of a private key"):
        load_private(tmp_path)


def test_a_key_file_that_others_can_read_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "key"
    key = PrivateKey.generate()
    save_private(path, key)
    assert path.stat().st_mode & 0o777 == 0o600
    assert load_private(path).seed == key.seed
    path.chmod(0o640)
    with pytest.raises(KeyInvalid, match="640"):
        load_private(path)


def test_a_seed_is_in_no_representation() -> None:
    key = PrivateKey.generate()
    assert key.seed.hex() not in repr(key)


@pytest.mark.parametrize("size", [0, 31, 33, 64])
def test_a_key_of_another_size_is_refused(size: int) -> None:
    for kind in (PublicKey, PrivateKey):
        with pytest.raises(KeyInvalid):
            kind(b"\x05" * size)


def test_the_text_of_a_key_has_one_form() -> None:
    text = PrivateKey(bytes(range(32))).public.text
    assert PublicKey.parse(text.upper()).text == text
    spare = "abcdefghijklmnopqrstuvwxyz234567".index(text[-1])  # its last bits say nothing
    other = "abcdefghijklmnopqrstuvwxyz234567"[spare ^ 1]
    for bad in (text[:-1] + other, text + "a", text[:-1], "", "ä" * 55, "1" * 55):
        with pytest.raises(KeyInvalid):
            PublicKey.parse(bad)


def test_a_key_file_is_never_written_over(tmp_path: Path) -> None:
    path = tmp_path / "key"
    first = PrivateKey.generate()
    save_private(path, first)
    with pytest.raises(FileExistsError):
        save_private(path, PrivateKey.generate())
    assert load_private(path).seed == first.seed


@pytest.mark.parametrize("content", ["", "no hex", "00" * 31, "00" * 33])
def test_a_file_that_holds_no_key_is_refused(tmp_path: Path, content: str) -> None:
    path = tmp_path / "key"
    path.write_text(content)
    path.chmod(0o600)
    with pytest.raises(KeyInvalid):
        load_private(path)
