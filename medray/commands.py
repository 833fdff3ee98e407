"""What all commands share: click's manners bent to ours, and how an error is shown."""

import json
import sys
from typing import TYPE_CHECKING, Any, NoReturn

import click

if TYPE_CHECKING:
    from rich.console import Console

positive = click.IntRange(min=1)

json_option = click.option(
    "--json", "as_json", is_flag=True, help="Print one JSON document on stdout; progress goes to stderr."
)
address_option = click.option(
    "--address", help="Join the Ray cluster there, e.g. auto.  [$RAY_ADDRESS, or Ray starts in this command]"
)
data_option = click.option(
    "--data", metavar="SOURCE", help="Where the data lies now.  [where the search found it]"
)


class MedrayCommand(click.Command):
    """A command whose usage errors are one line, with the valid options named."""

    def __init__(self, *args: Any, **settings: Any) -> None:
        settings.setdefault("context_settings", {"help_option_names": ["-h", "--help"], "max_content_width": 110})
        super().__init__(*args, **settings)

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Parse, and turn a usage error into one line."""
        try:
            return super().parse_args(ctx, args)
        except click.NoSuchOption as error:
            from medray.errors import unknown

            options = [name for p in self.params for name in p.opts if name.startswith("--")]
            fail(unknown("option", error.option_name, options), as_json="--json" in args)
        except click.UsageError as error:
            fail(f"{error.format_message()} Try '{ctx.command_path} --help'.", as_json="--json" in args)


def fail(message: str, *, as_json: bool = False, code: int = 2) -> NoReturn:
    """Show one line on stderr, the same as JSON on stdout where asked for, and leave with `code`."""
    click.echo(f"medray: {' '.join(message.split())}", err=True)
    if as_json:
        click.echo(json.dumps({"error": message}))
    sys.exit(code)


def make_console(as_json: bool) -> "Console":
    """The console that progress goes to: stdout, or stderr where stdout is for programs."""
    from rich.console import Console

    stream = sys.stderr if as_json else sys.stdout  # by name: what Tune prints is redirected away
    console = Console(file=stream)
    # A log has no edge to fold tables at.
    return console if console.is_terminal else Console(file=stream, width=160)
