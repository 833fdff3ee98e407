"""docs/cluster.md: every command that it shows has the options that it is shown with."""

import re
from importlib import import_module
from pathlib import Path

import click
import pytest
from ray.scripts import scripts

from medray.cli.main import COMMANDS

DOCS = (Path(__file__).resolve().parents[2] / "docs/cluster.md").read_text()
SHOWN = re.sub(r" *\\\n *", " ", "\n".join(re.findall(r"```bash\n(.*?)```", DOCS, re.DOTALL)))


def lines(pattern: str) -> list[str]:
    matches = [match[1].split("#")[0].strip() for match in re.finditer(rf"(?m)^.*?\b{pattern}\b(.*)$", SHOWN)]
    assert matches, pattern
    return matches


def options(text: str) -> set[str]:
    return set(re.findall(r"(?<!\S)--[a-z][a-z-]+", text))


@pytest.mark.parametrize("words", lines("ray (?=[a-z])(?!job)"))
def test_rays_commands_exist(words: str) -> None:
    name, _, rest = words.partition(" ")
    command = scripts.cli.commands[name]
    assert options(rest) <= {option for parameter in command.params for option in parameter.opts}


@pytest.mark.parametrize("words", lines("ray job"))
def test_rays_job_commands_exist(words: str) -> None:
    name, _, rest = words.partition(" ")
    group = scripts.cli.commands["job"]
    assert isinstance(group, click.Group)
    ours = rest.partition(" -- ")[0]
    assert options(ours) <= {option for parameter in group.commands[name].params for option in parameter.opts}


@pytest.mark.parametrize("words", lines(r"medray[. ](?=(?:search|crossval|ensemble|evaluate|predict|serve) )"))
def test_our_commands_exist(words: str) -> None:
    name, _, rest = words.partition(" ")
    command: click.Command = getattr(import_module(COMMANDS[name][0]), name)
    if isinstance(command, click.Group):
        command = command.commands.get(rest.split()[0], command.commands["start"])
    assert options(rest) <= {option for parameter in command.params for option in parameter.opts}
