"""The error tree: the line that is made of an error's fields, and the way between two processes."""

import pickle

import pytest

from medray.data.decoding.image_error import ImageError
from medray.errors import ConfigError, DataError, MedrayError, RunError


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (ConfigError("is empty"), "is empty"),
        (ConfigError("is empty", key="name"), "name: is empty"),
        (RunError("is damaged", file="run.json", key="seed"), "run.json: seed: is damaged"),
        (ConfigError("is empty").within(file="a.yaml"), "a.yaml: is empty"),
        (ConfigError("is empty").within(key="name"), "name: is empty"),
        (ConfigError("is empty", key="choice").within(file="a.yaml", key="space"), "a.yaml: space.choice: is empty"),
        (ConfigError("is empty", key="[2]").within(key="light").within(key="transforms"), "transforms.light[2]: is empty"),
        (DataError("is gone", file="b.npz").within(file="a.yaml", key="fixed"), "a.yaml: fixed: b.npz: is gone"),
    ],
)  # fmt: skip
def test_the_line_names_file_and_key_from_the_outside_in(error: MedrayError, line: str) -> None:
    assert str(error) == line


@pytest.mark.parametrize("error", [RunError("is gone", file="run.json", key="seed"), ImageError("too_large", "has many pixels")])  # fmt: skip
def test_pickle_keeps_all_fields(error: MedrayError) -> None:
    copy = pickle.loads(pickle.dumps(error))
    assert type(copy) is type(error)
    assert vars(copy) == vars(error)
    assert str(copy) == str(error)
