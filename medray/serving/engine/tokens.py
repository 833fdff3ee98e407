"""TokenFile: the bearer tokens of the service, from a file that may change while it runs.

One token a line, `NAME TOKEN` or `NAME TOKEN admin`; blank lines are left out, and so are comments from a `#` that
begins a word. Only SHA-256 digests are kept in memory. No message quotes the file: where name and token were
swapped, the name would be the secret.
"""

import codecs
import hashlib
import hmac
import logging
import os
import re
import shlex
import stat
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from time import monotonic
from typing import Literal, NamedTuple

from medray.errors import ConfigError, MedrayError

NAME = re.compile(r"[A-Za-z0-9_.-]{1,64}")
TOKEN = re.compile(r"[!-~]+")  # printable ASCII; a space would end the word
SHORTEST = 16  # characters of a token
LONGEST_HEADER = 4096  # characters
CHECK_SECONDS = 1.0
SETTLED_NS = 2 * 10**9  # a younger file may change again within one tick of its clock
OTHERS = stat.S_IRGRP | stat.S_IWGRP | stat.S_IROTH | stat.S_IWOTH

DenialReason = Literal["missing", "wrong", "not_admin"]
MESSAGES: dict[DenialReason, str] = {
    "missing": "a token is needed: send the header 'Authorization: Bearer TOKEN'",
    "wrong": "the token is not valid",
    "not_admin": "the token is valid, but not an admin's",
}

log = logging.getLogger("medray.serving")


class Denied(MedrayError):  # noqa: N818  it is an answer, not an error
    """A request that may not be answered; `reason` is that its token is missing, wrong or not an admin's."""

    def __init__(self, reason: DenialReason) -> None:
        super().__init__(MESSAGES[reason])
        self.reason: DenialReason = reason


@dataclass(frozen=True)
class Entry:
    """One line of the file: the token's name, its SHA-256 digest, and whether it is an admin's."""

    name: str
    digest: bytes
    admin: bool


class Signature(NamedTuple):
    """The properties of a file by which a change is noticed."""

    modified_ns: int
    changed_ns: int
    size: int
    inode: int


def _signature(status: os.stat_result) -> Signature:
    return Signature(status.st_mtime_ns, status.st_ctime_ns, status.st_size, status.st_ino)


class TokenFile:
    """The tokens in a file, read again when it changes; a damaged new file leaves the old tokens in force.

    Thread-safe. `check` looks for a change of the file once a second at most.

    Raises:
        ConfigError: the file is missing, readable by others than its owner, holds no token, or a line is wrong.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self._lock = threading.Lock()
        self._reported: str | None = None
        self._read()
        self._checked = monotonic()

    def check(self, header: str | None, *, admin: bool = False) -> str:
        """Return the name of the token in an `Authorization` header; `header` is None where the request has none.

        The scheme `Bearer` may be written in any case. All tokens are compared, in constant time each, so that the
        duration does not tell how near a guess came.

        Raises:
            Denied: there is no token, it is wrong, or not an admin's where `admin` is required.
        """
        self._refresh()
        if header is None or not header.strip():
            raise Denied("missing")
        scheme, _, token = header.partition(" ")
        if len(header) > LONGEST_HEADER or scheme.lower() != "bearer":
            raise Denied("wrong")
        digest = _digest(token.strip(" \t"))
        matches = [entry for entry in self._entries if hmac.compare_digest(entry.digest, digest)]
        if not matches:
            raise Denied("wrong")
        if admin and not matches[0].admin:
            raise Denied("not_admin")
        return matches[0].name

    def _refresh(self) -> None:
        """Read the file again if it has changed; one thread does, the others go on with the tokens they have."""
        if monotonic() - self._checked < CHECK_SECONDS or not self._lock.acquire(blocking=False):
            return
        try:
            self._checked = monotonic()
            try:
                changed = _signature(self.path.stat()) != self._seen
            except OSError:
                changed = True
            if changed:
                self._read()
                if self._reported is not None:
                    log.info("%s is in order again", self.path)
                self._reported = None
        except ConfigError as error:
            if str(error) != self._reported:
                log.error("%s; the tokens that were read before stay in force", error)
            self._reported = str(error)
        finally:
            self._lock.release()

    def _read(self) -> None:
        """Take the file's tokens, or leave all as they are."""
        self._seen: Signature | None = None
        content, status = _content(self.path)
        # A file changed just now may change again without a new mtime, so it is read once more.
        settled = time.time_ns() - max(status.st_mtime_ns, status.st_ctime_ns) > SETTLED_NS
        self._seen = _signature(status) if settled else None
        self._entries = parse_tokens(content, str(self.path))


def parse_tokens(content: bytes, where: str) -> tuple[Entry, ...]:
    """Return the entries of a token file; `where` is its name in messages.

    Raises:
        ConfigError: a line is wrong, a name or a token comes twice, or there is no token at all.
    """
    entries: list[Entry] = []
    names: dict[str, int] = {}
    digests: dict[bytes, int] = {}
    for number, line in enumerate(content.removeprefix(codecs.BOM_UTF8).splitlines(), start=1):
        entry = _parse_line(line, f"{where} line {number}")
        if entry is None:
            continue
        if (first := names.setdefault(entry.name, number)) != number:
            raise ConfigError(f"{where} line {number}: the name of line {first} again; each token has its own")
        if (first := digests.setdefault(entry.digest, number)) != number:
            raise ConfigError(f"{where} line {number}: the token of line {first} again; each name has its own")
        entries.append(entry)
    if not entries:
        raise ConfigError(f"{where} holds no token; it needs a line such as 'NAME TOKEN' or 'NAME TOKEN admin'")
    return tuple(entries)


def _parse_line(line: bytes, where: str) -> Entry | None:
    """Return the entry of a line, None where it has none."""
    try:
        words = line.decode("utf-8").split()
    except UnicodeDecodeError:
        raise ConfigError(f"{where}: it is not UTF-8 text") from None
    words = words[: next((i for i, word in enumerate(words) if word.startswith("#")), None)]
    if not words:
        return None
    if len(words) not in (2, 3):
        raise ConfigError(f"{where}: {len(words)} words, but it must be 'NAME TOKEN' or 'NAME TOKEN admin'")
    name, token = words[:2]
    if not NAME.fullmatch(name):
        raise ConfigError(f"{where}: the name must be 1 to 64 of the characters A-Z a-z 0-9 _ . -")
    if not TOKEN.fullmatch(token):
        raise ConfigError(f"{where}: the token must be printable ASCII")
    if len(token) < SHORTEST:
        raise ConfigError(f"{where}: the token has {len(token)} characters, but needs {SHORTEST} or more")
    if words[2:] not in ([], ["admin"]):
        raise ConfigError(f"{where}: after the token only the word 'admin' may stand")
    return Entry(name, _digest(token), admin=len(words) == 3)


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()


def _content(path: Path) -> tuple[bytes, os.stat_result]:
    """Return the content of a file that only its owner can read, and its state before the first byte was read."""
    try:
        if not stat.S_ISREG(path.stat().st_mode):  # opening a pipe would wait for ever
            raise ConfigError(f"{path} is not a file")
        with path.open("rb") as file:
            status = os.fstat(file.fileno())
            if os.name == "posix" and status.st_mode & OTHERS:
                raise ConfigError(
                    f"{path} holds tokens, but others than its owner can read or write it; "
                    f"correct it by: chmod 600 {shlex.quote(str(path))}"
                )
            return file.read(), status
    except OSError as error:
        raise ConfigError(f"{path} can't be read: {error.strerror}") from None
