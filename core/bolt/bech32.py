"""Bech32 (BIP 173) as BOLT 10 writes node ids; no limit of length, since a DNS label bounds it."""

from __future__ import annotations

_LETTERS = "qpzry9x8gf2tvdw0s3jn54khce6mua7l"
_GENERATOR = (0x3B6A57B2, 0x26508E6D, 0x1EA119FA, 0x3D4233DD, 0x2A1462B3)
_CHECKSUM_DIGITS = 6


def bech32_encode(prefix: str, data: bytes) -> str:
    """`prefix`, `1`, the data in digits of five bits, and its checksum."""
    bits = int.from_bytes(data, "big") << (-len(data) * 8 % 5)
    count = (len(data) * 8 + 4) // 5
    digits = [bits >> 5 * place & 31 for place in reversed(range(count))]
    letters = [ord(letter) for letter in prefix]
    expanded = [letter >> 5 for letter in letters] + [0] + [letter & 31 for letter in letters]
    checksum = _polymod([*expanded, *digits, *[0] * _CHECKSUM_DIGITS]) ^ 1
    digits += [checksum >> 5 * place & 31 for place in reversed(range(_CHECKSUM_DIGITS))]
    return f"{prefix}1{''.join(_LETTERS[digit] for digit in digits)}"


def _polymod(values: list[int]) -> int:
    checksum = 1
    for value in values:
        top = checksum >> 25
        checksum = (checksum & 0x1FFFFFF) << 5 ^ value
        for place, generator in enumerate(_GENERATOR):
            if top >> place & 1:
                checksum ^= generator
    return checksum
