"""Tokens: the file's rules, that nothing tells a token, and a file that changes while it is used."""

import hmac
import logging
import os
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from medray.errors import ConfigError
from medray.serving.engine import tokens
from medray.serving.engine.tokens import Denied, TokenFile, parse_tokens

CLINIC, ADMIN = "clinic-token-0123456789", "admin-token-0123456789#+/="
CONTENT = f"# who may ask\n\nclinic {CLINIC}\nops\t{ADMIN}  admin  # on call\r\n"


def write(path: Path, content: str | bytes) -> Path:
    """Write as an administrator would: a new file with mode 0600, put in place at once."""
    new = path.with_suffix(".new")
    new.write_bytes(content if isinstance(content, bytes) else content.encode())
    new.chmod(0o600)
    return new.replace(path)


def denied(file: TokenFile, header: str | None, *, admin: bool = False) -> str:
    with pytest.raises(Denied) as caught:
        file.check(header, admin=admin)
    return caught.value.reason


class Clock:
    """Seconds that pass when the test says so."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(tokens, "monotonic", clock)
    return clock


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return write(tmp_path / "tokens.txt", CONTENT)


@pytest.fixture(scope="module")
def file() -> Iterator[TokenFile]:
    with tempfile.TemporaryDirectory() as folder:
        yield TokenFile(write(Path(folder) / "tokens.txt", CONTENT))


# -- headers


def test_a_token_answers_with_its_name(file: TokenFile) -> None:
    assert file.check(f"Bearer {CLINIC}") == "clinic"
    assert file.check(f"bEARER   {ADMIN} ") == "ops"
    assert file.check(f"Bearer {ADMIN}", admin=True) == "ops"


@pytest.mark.parametrize(
    ("header", "kind"),
    [
        (None, "missing"), ("", "missing"), ("  ", "missing"), ("Bearer", "wrong"), ("Bearer ", "wrong"),
        (CLINIC, "wrong"), (f"Basic {CLINIC}", "wrong"), (f"Bearer{CLINIC}", "wrong"), (f"Bearer {CLINIC}x", "wrong"),
        (f"Bearer {CLINIC[:-1]}", "wrong"), (f"Bearer {CLINIC.upper()}", "wrong"), (f"Bearer clinic {CLINIC}", "wrong"),
        (f"Bearer {CLINIC}" + " " * 4096, "wrong"), ("Bearer " + "x" * 10**6, "wrong"), ("Bearer \ud800", "wrong"),
        (f" Bearer {CLINIC}", "wrong"),
    ],
)  # fmt: skip
def test_other_headers_are_denied(file: TokenFile, header: str | None, kind: str) -> None:
    assert denied(file, header) == kind


def test_a_plain_token_is_no_admins(file: TokenFile) -> None:
    assert denied(file, f"Bearer {CLINIC}", admin=True) == "not_admin"
    assert denied(file, "Bearer x", admin=True) == "wrong"


characters = st.text(st.characters(exclude_categories=()), max_size=60)
near = st.sampled_from(["Bearer ", "bearer\t", "Bearer  ", ""]).flatmap(
    lambda scheme: characters.map(scheme.__add__)
)


@given(header=st.none() | characters | near, admin=st.booleans())
def test_any_header_is_denied_or_named(file: TokenFile, header: str | None, admin: bool) -> None:
    try:
        answer = file.check(header, admin=admin)
    except Denied as error:
        answer = error.reason
    assert answer in ("clinic", "ops", "missing", "wrong", "not_admin")


def test_every_token_is_compared_wherever_the_match_is(file: TokenFile, monkeypatch: pytest.MonkeyPatch) -> None:
    compared: list[bytes] = []
    compare = hmac.compare_digest

    def spy(first: bytes, other: bytes) -> bool:
        compared.append(first)
        return compare(first, other)

    monkeypatch.setattr(tokens.hmac, "compare_digest", spy)
    for token in (CLINIC, ADMIN, "wrong-token-0123456789"):
        compared.clear()
        try:
            file.check(f"Bearer {token}")
        except Denied:
            assert token.startswith("wrong")
        assert [len(digest) for digest in compared] == [32, 32]
        assert len(set(compared)) == 2


# -- the file


names = st.from_regex(r"[A-Za-z0-9_.-]{1,64}", fullmatch=True)
secrets = st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=16, max_size=40).filter(
    lambda token: not token.startswith("#")
)


@given(
    st.lists(
        st.tuples(names, secrets, st.booleans()),
        min_size=1,
        max_size=6,
        unique_by=(lambda e: e[0], lambda e: e[1]),
    )
)
def test_what_is_written_is_read(entries: list[tuple[str, str, bool]]) -> None:
    lines = [f"{name} {token}{' admin' * admin}" for name, token, admin in entries]
    read = parse_tokens("\n".join(["# all", *lines]).encode(), "tokens")
    assert [(entry.name, entry.admin) for entry in read] == [(name, admin) for name, _, admin in entries]
    for entry, (_, token, _) in zip(read, entries, strict=True):
        assert entry.digest == tokens._digest(token)
        assert token not in repr(entry)


@given(st.binary(max_size=200) | st.text(max_size=200).map(lambda text: text.encode("utf-8", "replace")))
def test_any_content_is_read_or_refused(content: bytes) -> None:
    try:
        answer = "tokens " * len(parse_tokens(content, "tokens"))
    except ConfigError as error:
        answer = str(error)
    assert answer.startswith("tokens ")
    assert "\n" not in answer


SECRET = "secret-0123456789-secret"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (f"a {SECRET}\nb", "line 2: 1 words, but"),
        (SECRET, "line 1: 1 words, but"),
        (f"a b {SECRET} d", "line 1: 4 words, but"),
        (f"a #{SECRET}", "line 1: 1 words, but"),
        (f"{SECRET} clinic", "line 1: the token has 6 characters, but needs 16"),
        ("a fifteen-letters", "line 1: the token has 15 characters, but needs 16"),
        (f"näme {SECRET}", "line 1: the name must be 1 to 64"),
        (f"{'n' * 65} {SECRET}", "line 1: the name must be 1 to 64"),
        (f"a {SECRET}ü", "line 1: the token must be printable ASCII"),
        (f"a {SECRET}\x7f", "line 1: the token must be printable ASCII"),
        (f"a 0123456789abcdef {SECRET}", "line 1: after the token only the word 'admin' may stand"),
        (f"a {SECRET} Admin", "line 1: after the token only the word 'admin' may stand"),
        (f"a {SECRET}\n\na other-{SECRET}", "line 3: the name of line 1 again"),
        (f"a {SECRET}\nb {SECRET} admin", "line 2: the token of line 1 again"),
        (b"# fine\na \xff" + SECRET.encode(), "line 2: it is not UTF-8 text"),
        ("", "holds no token"),
        (f"# a {SECRET}\n", "holds no token"),
    ],
)
def test_a_wrong_file_is_refused_without_its_words(tmp_path: Path, content: str | bytes, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        TokenFile(write(tmp_path / "tokens.txt", content))
    text = str(caught.value)
    assert text.startswith(str(tmp_path / "tokens.txt"))
    assert message in text
    assert SECRET not in text
    assert "clinic" not in text
    assert "\n" not in text


def test_a_byte_order_mark_is_no_name() -> None:
    assert [entry.name for entry in parse_tokens(b"\xef\xbb\xbf" + CONTENT.encode(), "tokens")] == [
        "clinic",
        "ops",
    ]


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o666])
def test_a_file_open_to_others_is_refused_with_what_mends_it(path: Path, mode: int) -> None:
    spaced = path.rename(path.with_name("my tokens.txt"))
    spaced.chmod(mode)
    with pytest.raises(ConfigError, match=rf"correct it by: chmod 600 '{spaced}'$"):
        TokenFile(spaced)


def test_what_is_no_readable_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"none\.txt can't be read: No such file"):
        TokenFile(tmp_path / "none.txt")
    os.mkfifo(tmp_path / "pipe", 0o600)
    for name in (".", "pipe"):
        with pytest.raises(ConfigError, match=r"is not a file$"):
            TokenFile(tmp_path / name)


def test_nothing_of_it_holds_a_token(path: Path) -> None:
    file = TokenFile(str(path))
    assert CLINIC not in repr(vars(file))
    assert CLINIC not in repr(file)


# -- a file that changes


def test_tokens_can_be_exchanged_while_it_runs(path: Path, clock: Clock) -> None:
    file = TokenFile(path)
    write(path, "clinic another-0123456789\n")
    assert file.check(f"Bearer {CLINIC}") == "clinic"
    clock.now += 1.0
    assert denied(file, f"Bearer {CLINIC}") == "wrong"
    assert file.check("Bearer another-0123456789") == "clinic"


def test_it_is_looked_at_once_a_second_and_read_when_it_changed(
    path: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    os.utime(path, ns=(10**18, 10**18))
    monkeypatch.setattr(tokens, "SETTLED_NS", -(10**12))  # as if it were written long ago
    file, reads, read = TokenFile(path), [], tokens._content
    monkeypatch.setattr(tokens, "_content", lambda path: (reads.append(clock.now), read(path))[1])
    for _ in range(50):
        file.check(f"Bearer {CLINIC}")
        clock.now += 0.3
    assert reads == []
    os.utime(path, ns=(10**18, 10**18 + 1))
    for _ in range(50):
        file.check(f"Bearer {CLINIC}")
        clock.now += 0.3
    assert len(reads) == 1


@pytest.mark.parametrize("told_by", ["time of change", "youth"])
def test_a_change_that_leaves_size_and_time_is_seen(
    path: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch, told_by: str
) -> None:
    if told_by == "youth":  # a second change within one tick of the file system's clock looks like none
        monkeypatch.setattr(tokens, "_signature", lambda _: tokens.Signature(0, 0, 0, 0))
    else:
        monkeypatch.setattr(tokens, "SETTLED_NS", -(10**12))
    file, before = TokenFile(path), path.stat()
    with path.open("r+b") as same:
        same.write(CONTENT.replace(CLINIC, CLINIC[::-1]).encode())
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    clock.now += 1.0
    assert file.check(f"Bearer {CLINIC[::-1]}") == "clinic"


def damage(path: Path, how: str) -> None:
    if how == "deleted":
        path.unlink()
    elif how == "open":
        path.chmod(0o644)
    else:
        write(path, {"wrong": f"clinic {SECRET}\nx\n", "empty": ""}[how])


@pytest.mark.parametrize("how", ["deleted", "open", "wrong", "empty"])
def test_old_tokens_hold_until_a_damaged_file_is_mended(
    path: Path, clock: Clock, caplog: pytest.LogCaptureFixture, how: str
) -> None:
    caplog.set_level(logging.INFO, "medray.serving")
    file = TokenFile(path)
    damage(path, how)
    for _ in range(5):
        clock.now += 1.0
        assert file.check(f"Bearer {CLINIC}") == "clinic"
        assert denied(file, f"Bearer {SECRET}") == "wrong"
    (error,) = caplog.records
    assert error.levelname == "ERROR"
    assert "stay in force" in error.getMessage()
    assert SECRET not in error.getMessage()
    write(path, f"clinic {SECRET}\n")
    clock.now += 1.0
    assert file.check(f"Bearer {SECRET}") == "clinic"
    assert denied(file, f"Bearer {CLINIC}") == "wrong"
    assert [record.levelname for record in caplog.records] == ["ERROR", "INFO"]
    damage(path, how)
    clock.now += 1.0
    assert file.check(f"Bearer {SECRET}") == "clinic"
    assert len(caplog.records) == 3, "damaged anew is reported anew"


def test_threads_see_old_or_new_tokens_and_nothing_else(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tokens, "CHECK_SECONDS", 0.0)
    old, new = "clinic old-0123456789abc\n", "clinic new-0123456789abc\nother other-0123456789\n"
    file, stop, wrong = TokenFile(write(path, old)), threading.Event(), []

    def ask() -> None:
        while not stop.is_set():
            kinds = []
            for token in ("old-0123456789abc", "new-0123456789abc"):
                try:
                    kinds.append(file.check(f"Bearer {token}"))
                except Denied as error:
                    kinds.append(error.reason)
                except BaseException as error:  # it would end only this thread
                    wrong.append(error)
            if not set(kinds) <= {"clinic", "wrong"}:
                wrong.append(kinds)

    threads = [threading.Thread(target=ask) for _ in range(3)]
    for thread in threads:
        thread.start()
    for turn in range(24):
        write(path, (new, "damaged", old)[turn % 3])
    stop.set()
    for thread in threads:
        thread.join()
    assert not wrong
    write(path, new)
    assert denied(file, "Bearer old-0123456789abc") == "wrong"
    assert file.check("Bearer new-0123456789abc") == "clinic"
