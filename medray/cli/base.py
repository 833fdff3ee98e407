"""What all commands share: options, usage errors in one line, and how an error ends a command."""

import contextlib
import json
import sys
from collections.abc import Callable, Iterator
from typing import Any, NoReturn

import click

from medray.errors import MedrayError, unknown_choice_line

positive = click.IntRange(min=1)

json_option = click.option(
    "--json", "as_json", is_flag=True, help="Print one JSON document on stdout; progress goes to stderr."
)
address_option = click.option(
    "--address", help="Join this Ray cluster, e.g. auto.  [$RAY_ADDRESS, or Ray starts in this command]"
)
min_gpus_option = click.option(
    "--min-gpus",
    type=positive,
    help="Wait until the cluster has this many GPUs; one that autoscales is asked for them.",
)
local_option = click.option(
    "--local",
    "runner",
    flag_value="local",
    default="ray",
    help="Train in this process, one after another, without Ray.",
)
source_option = click.option(
    "--data",
    metavar="SOURCE",
    help="folder:PATH, csv:PATH, dicom:PATH, medmnist:NAME[:SIZE], an .npz, or phantom.  [the space's own]",
)
metric_option = click.option(
    "--metric", help="The objective of a new study, as auc or f1_macro.  [what suits its classes]"
)
track_option = click.option(
    "--track", multiple=True, metavar="TRACKER",
    help="Send settings and metrics, as they come, to mlflow, tensorboard or wandb; again for more.",
)  # fmt: skip
data_option = click.option(
    "--data", metavar="SOURCE", help="The data, where they have moved.  [the search's source]"
)


def point_options(command: Callable[..., None]) -> Callable[..., None]:
    """Add the options that ask for operating points, in the order of the help."""
    options = (
        click.option(
            "--sensitivity", type=click.FloatRange(0, 1, min_open=True), multiple=True,
            help="Set an operating point at this sensitivity; again for more.",
        ),
        click.option("--youden", is_flag=True, help="Set an operating point by Youden's index."),
        click.option(
            "--cost-ratio", type=click.FloatRange(0, min_open=True), multiple=True,
            help="Set an operating point where a miss costs so many false alarms.",
        ),
        click.option(
            "--positive", metavar="CLASS",
            help="The class that they call; each of the three needs it. Of several labels an image: all, or one.",
        ),
    )  # fmt: skip
    for option in reversed(options):
        command = option(command)
    return command


#: Where a command's context keeps the arguments that it was given, in its `meta`.
ARGUMENTS = "medray.arguments"
#: click's settings of every command and group.
CONTEXT = {"help_option_names": ["-h", "--help"], "max_content_width": 110}


class MedrayGroup(click.Group):
    """A group of commands; an unknown one is an error of one line that lists the valid ones."""

    def __init__(self, *args: Any, **settings: Any) -> None:
        settings.setdefault("context_settings", CONTEXT)
        super().__init__(*args, **settings)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Return the command that is named, or exit with one line."""
        valid = self.list_commands(ctx)
        if args and args[0] not in valid and not args[0].startswith("-"):
            fail(unknown_choice_line("command", args[0], valid))
        return super().resolve_command(ctx, args)


class MedrayCommand(click.Command):
    """A command whose usage errors are one line; an unknown option lists the valid ones."""

    def __init__(self, *args: Any, **settings: Any) -> None:
        settings.setdefault("context_settings", CONTEXT)
        super().__init__(*args, **settings)

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Parse the arguments, or exit with one line."""
        as_json = "--json" in args  # click removes what it has read from the list
        ctx.meta[ARGUMENTS] = tuple(args)
        try:
            return super().parse_args(ctx, args)
        except click.NoSuchOption as error:
            options = [name for p in self.params for name in p.opts if name.startswith("--")]
            fail(unknown_choice_line("option", error.option_name, options), as_json=as_json)
        except click.UsageError as error:
            fail(f"{error.format_message()} Try '{ctx.command_path} --help'.", as_json=as_json)


def fail(message: str, *, as_json: bool = False, code: int = 2) -> NoReturn:
    """Print one line on stderr, with `as_json` also {"error": line} on stdout, and exit with `code`."""
    click.echo(f"medray: {' '.join(message.split())}", err=True)
    if as_json:
        click.echo(json.dumps({"error": message}))
    sys.exit(code)


@contextlib.contextmanager
def errors_in_one_line(*, as_json: bool = False, interrupted: str = "interrupted") -> Iterator[None]:
    """Exit with the line of a MedrayError and status 2, and after Ctrl-C with the line `interrupted` and 130."""
    try:
        yield
    except MedrayError as error:
        fail(str(error), as_json=as_json)
    except KeyboardInterrupt:
        fail(interrupted, as_json=as_json, code=130)
