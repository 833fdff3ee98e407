"""What all commands share: click's manners bent to ours, and how an error is shown."""

import contextlib
import json
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, NoReturn

import click

if TYPE_CHECKING:
    pass


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
