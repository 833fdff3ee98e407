"""What all commands share: click's manners bent to ours, and how an error is shown."""

import contextlib
import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import click

if TYPE_CHECKING:
    from rich.console import Console

LOG_WIDTH, NARROW = 160, 80  # of a log; narrow as most terminals are

positive = click.IntRange(min=1)

json_option = click.option(
    "--json", "as_json", is_flag=True, help="Print one JSON document on stdout; progress goes to stderr."
)
address_option = click.option(
    "--address", help="Join the Ray cluster there, e.g. auto.  [$RAY_ADDRESS, or Ray starts in this command]"
)
min_gpus_option = click.option(
    "--min-gpus", type=positive, help="Begin when the cluster has so many GPUs; one that grows is asked for them."
)
data_option = click.option(
    "--data", metavar="SOURCE", help="Where the data lies now.  [where the search found it]"
)


#: How help looks, of commands and of groups of them.
CONTEXT = {"help_option_names": ["-h", "--help"], "max_content_width": 110}


class MedrayGroup(click.Group):
    """A group of commands that answers an unknown one in one line, with the valid ones."""

    def __init__(self, *args: Any, **settings: Any) -> None:
        settings.setdefault("context_settings", CONTEXT)
        super().__init__(*args, **settings)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command that is named, or leave with one line."""
        valid = self.list_commands(ctx)
        if args and args[0] not in valid and not args[0].startswith("-"):
            from medray.errors import unknown

            fail(unknown("command", args[0], valid))
        return super().resolve_command(ctx, args)


class MedrayCommand(click.Command):
    """A command whose usage errors are one line, with the valid options named."""

    def __init__(self, *args: Any, **settings: Any) -> None:
        settings.setdefault("context_settings", CONTEXT)
        super().__init__(*args, **settings)

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Parse, and turn a usage error into one line."""
        as_json = "--json" in args  # click takes words out of the list as it reads them
        try:
            return super().parse_args(ctx, args)
        except click.NoSuchOption as error:
            from medray.errors import unknown

            options = [name for p in self.params for name in p.opts if name.startswith("--")]
            fail(unknown("option", error.option_name, options), as_json=as_json)
        except click.UsageError as error:
            fail(f"{error.format_message()} Try '{ctx.command_path} --help'.", as_json=as_json)


def fail(message: str, *, as_json: bool = False, code: int = 2) -> NoReturn:
    """Show one line on stderr, the same as JSON on stdout where asked for, and leave with `code`."""
    click.echo(f"medray: {' '.join(message.split())}", err=True)
    if as_json:
        click.echo(json.dumps({"error": message}))
    sys.exit(code)


@contextlib.contextmanager
def errors_in_one_line(*, as_json: bool = False, interrupted: str = "interrupted") -> Iterator[None]:
    """Show what a person can mend as one line and leave with status 2; after Ctrl-C `interrupted`, with 130."""
    from medray.errors import MedrayError

    try:
        yield
    except MedrayError as error:
        fail(str(error), as_json=as_json)
    except KeyboardInterrupt:
        fail(interrupted, as_json=as_json, code=130)


def make_console(as_json: bool = False, *, width: int = LOG_WIDTH) -> "Console":
    """The console that progress goes to: stdout, or stderr where stdout is for programs.

    A log has no edge to fold tables at: it is `width` wide.
    """
    from rich.console import Console

    stream = sys.stderr if as_json else sys.stdout  # by name: what Tune prints is redirected away
    console = Console(file=stream)
    return console if console.is_terminal else Console(file=stream, width=width)


def write_file(path: Path, content: bytes, *, parents: bool = False) -> None:
    """Write a file whole or not at all, and the folders that it lies in if `parents`.

    Raises:
        RunError: it can't be written.
    """
    from medray.errors import RunError

    unfinished = path.with_name(f"{path.name}.partial-{os.getpid()}")
    try:
        if parents:
            path.parent.mkdir(parents=True, exist_ok=True)
        unfinished.write_bytes(content)
        unfinished.replace(path)
    except OSError as error:
        raise RunError(f"{path} can't be written: {error.strerror}") from None
    finally:
        with contextlib.suppress(OSError):
            unfinished.unlink()
