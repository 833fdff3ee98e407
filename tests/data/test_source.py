"""The text that names a source is parsed into a value once, and the value gives the text back."""

import doctest
import importlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from medray.data.source import OPTIONS, Source, parse_source
from medray.errors import DataError


@pytest.mark.parametrize(
    ("text", "source"),
    [
        ("phantom", Source("phantom", "")),
        ("phantom:", Source("phantom", "")),
        ("phantom?size=32", Source("phantom", "", {"size": "32"})),
        ("phantom:covid?seed=1&images=200", Source("phantom", "covid", {"seed": "1", "images": "200"})),
        ("medmnist:organsmnist", Source("medmnist", "organsmnist")),
        ("medmnist:organsmnist:64", Source("medmnist", "organsmnist", {"size": "64"})),
        ("~/phantom.npz", Source("npz", "~/phantom.npz")),
        ("folder:x.npz", Source("folder", "x.npz")),
        ("folder:no?such?exclude=a,b", Source("folder", "no?such", {"exclude": "a,b"})),
        ("csv:C:x.csv?label=a%26b&split=", Source("csv", "C:x.csv", {"label": "a&b", "split": ""})),
    ],
)
def test_a_text_is_parsed(text: str, source: Source) -> None:
    assert parse_source(text) == source
    assert str(source) == text.removesuffix(":")


@pytest.mark.parametrize(
    ("text", "path", "options"),
    [
        ("folder:no?such?exclude=img??.png", "no?such", {"exclude": "img??.png"}),
        ("folder:x?patients=folder&exclude=a?b=c", "x", {"patients": "folder", "exclude": "a?b=c"}),
        ("folder:x?exclude=a?label=c", "x", {"exclude": "a?label=c"}),  # a label is no option of folders
        ("dicom:x?exclude=%3F%25%2C?", "x", {"exclude": "?%,?"}),
        ("csv:x?y.csv?label=dx?", "x?y.csv", {"label": "dx?"}),
    ],
)
def test_a_question_mark_may_stand_in_an_option(text: str, path: str, options: dict[str, str]) -> None:
    source = parse_source(text)
    assert (source.name, source.options) == (path, options)
    assert parse_source(str(source)) == source


SOURCES = st.sampled_from(["folder", "csv", "dicom", "phantom"]).flatmap(
    lambda kind: st.builds(
        Source,
        st.just(kind),
        st.text("abc.%&= /").map("no-such-{}".format),
        st.dictionaries(st.sampled_from(OPTIONS[kind]), st.text()),
    )
)


@given(SOURCES)
def test_a_source_is_parsed_from_its_text(source: Source) -> None:
    assert parse_source(str(source)) == source


def test_a_path_becomes_absolute_and_a_name_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", "/home/me")
    for text, absolute in {
        "folder:a?exclude=b": f"folder:{tmp_path}/a?exclude=b",
        "csv:~/a.csv": "csv:/home/me/a.csv",
        "a.npz": f"{tmp_path}/a.npz",
        "medmnist:a": "medmnist:a",
        "phantom": "phantom",
    }.items():
        assert str(parse_source(text).absolute()) == absolute


@pytest.mark.parametrize("module", ["medray.data.source", "medray.data.load_data"])
def test_the_examples_do_what_they_say(module: str) -> None:
    results = doctest.testmod(importlib.import_module(module))
    assert results.attempted
    assert not results.failed


def test_an_option_of_another_kind_is_refused() -> None:
    with pytest.raises(
        DataError,
        match=r"^dicom:x\?label=y: unknown option 'label'; valid: patients, subgroups, exclude, side_cars$",
    ):
        Source("dicom", "x", {"label": "y"})
