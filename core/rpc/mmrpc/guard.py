"""Who may ask: web pages kept out, the password, and the attempts at it. Pure."""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
import unicodedata
from collections.abc import Collection
from dataclasses import dataclass, field
from typing import NoReturn

ATTEMPTS = 10
"""Wrong passwords that an address may send; the last one bans it."""
MAX_ADDRESSES = 1024
"""Of which attempts are remembered; those beyond share one count, so that no host of addresses gets round it."""
_BEYOND = "beyond"
MIN_PASSWORD_CHARACTERS = 8
MAX_COMPOSED_CHARACTERS = 512
"""Of a given password that is composed before it is compared: that takes a time of the square of its length."""


def page_fault(host: str | None, origins: Collection[str], sent: Collection[str], site: str | None) -> str | None:
    """Why a request may come from a web page that is not on the list; None when it does not.

    `host` is the Host header, `origins` the user's list, `sent` every Origin header, `site` is Sec-Fetch-Site, which
    browsers send even where they leave Origin out. A page that had its own name resolved to loopback shows by Host.
    """
    if host is None or not _is_here(host):
        return "Host is not this computer"
    if sent:
        return None if len(sent) == 1 and all(each in origins for each in sent) else "Origin is not on the list"
    return None if site in (None, "none") else "Sec-Fetch-Site is another site"


def _is_here(host: str) -> bool:
    """Whether a Host header names loopback, whatever the port: it may be forwarded."""
    name, colon, port = host.rpartition(":")
    if not colon or host.endswith("]"):
        name, port = host, "0"
    if not (port.isascii() and port.isdigit()):
        return False
    if name.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(name.removeprefix("[").removesuffix("]")).is_loopback
    except ValueError:
        return False


def password_fault(password: str) -> str | None:
    """Why KDF's policy (`common/password_policy.rs`) refuses a password, in plain words; None when it does not."""
    rules = (
        (len(password) < MIN_PASSWORD_CHARACTERS, f"it has fewer than {MIN_PASSWORD_CHARACTERS} characters"),
        (not any(letter.isnumeric() for letter in password), "it has no digit"),
        (not any(letter.islower() for letter in password), "it has no small letter"),
        (not any(letter.isupper() for letter in password), "it has no capital letter"),
        (all(letter.isalnum() for letter in password), "it has no special character"),
        (_thrice(password), "it has a character three times in a row"),
        ("password" in password.lower(), 'it contains the word "password"'),
    )
    return next((words for broken, words in rules if broken), None)


def _thrice(text: str) -> bool:
    return any(one == two == three for one, two, three in zip(text, text[1:], text[2:], strict=False))


class RpcPassword:
    """The password that requests are compared with, as its hash alone; never shown."""

    __slots__ = ("_digest",)

    def __init__(self, password: bytes) -> None:
        """`password` is UTF-8 of the composed form (NFC), as `Passphrase.to_bytes` gives it."""
        self._digest = hashlib.sha256(password).digest()

    def matches(self, given: str) -> bool:
        """In a time that tells nothing of how much is right, nor of the length of ours."""
        if len(given) <= MAX_COMPOSED_CHARACTERS:
            given = unicodedata.normalize("NFC", given)
        return hmac.compare_digest(self._digest, hashlib.sha256(given.encode(errors="surrogatepass")).digest())

    def __repr__(self) -> str:
        return "RpcPassword()"

    def __reduce__(self) -> NoReturn:
        raise TypeError("a password is never pickled or copied")


@dataclass(slots=True)
class Attempts:
    """Wrong passwords by address, for the life of the process; a right one forgives nothing (`rate_limiter.rs`)."""

    _wrong: dict[str, int] = field(default_factory=dict)

    def is_banned(self, address: str) -> bool:
        return self._wrong.get(self._key(address), 0) >= ATTEMPTS

    def wrong(self, address: str) -> int:
        """Count one more; how many are left."""
        key = self._key(address)
        self._wrong[key] = min(self._wrong.get(key, 0) + 1, ATTEMPTS)
        return ATTEMPTS - self._wrong[key]

    def banned(self) -> tuple[str, ...]:
        """Who is, in order."""
        return tuple(sorted(address for address, wrong in self._wrong.items() if wrong >= ATTEMPTS))

    def lift(self, address: str) -> bool:
        """Forget an address's attempts; False when it was not banned."""
        if address not in self.banned():
            return False
        del self._wrong[address]
        return True

    def _key(self, address: str) -> str:
        return address if address in self._wrong or len(self._wrong) < MAX_ADDRESSES else _BEYOND
