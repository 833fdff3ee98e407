"""`medray serve`: serve an ensemble, exchange the one of a running service, or write Ray Serve's YAML."""

from collections.abc import Callable
from typing import Any, TypeVar

import click

from medray.cli.base import MedrayCommand, MedrayGroup, address_option, errors_in_one_line, positive
from medray.console import make_console

EXAMPLES = """
\b
Examples:
  medray serve runs/organs                                # this machine only, http://127.0.0.1:8000
  medray serve runs/organs --port 9000 --replicas 2
  medray serve runs/organs --host 0.0.0.0 --token-file tokens.txt
  curl --data-binary @image.png -H 'Content-Type: image/png' http://127.0.0.1:8000/predict
  medray serve replace runs/organs-2 --home runs/organs/service  # another ensemble, no failed request
  medray serve config runs/organs --replicas 1:8 --gpus 0.25 --out serve.yaml
"""

SERVICE_OPTIONS = (
    click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on; 0.0.0.0 is all."),
    click.option(
        "--port", type=click.IntRange(1, 65535), default=8000, show_default=True, help="Port to listen on."
    ),
    click.option(
        "--name", metavar="TEXT", help="The model's name in answers and in /v2/models.  [the run's folder]"
    ),
    click.option(
        "--token-file", metavar="FILE", help="Lines of NAME TOKEN [admin]; requests must send one of the tokens."
    ),
    click.option("--no-auth", is_flag=True, help="Answer everybody who can reach --host."),
    click.option(
        "--replicas", default="1", show_default=True, metavar="N|MIN:MAX", help="Copies of the ensemble."
    ),
    click.option(
        "--cpus",
        type=click.FloatRange(0, min_open=True),
        default=1.0,
        show_default=True,
        help="CPU cores of a replica.",
    ),
    click.option(
        "--gpus",
        type=click.FloatRange(0),
        default=0.0,
        show_default=True,
        help="GPUs of a replica; 0.25 shares one.",
    ),
    click.option(
        "--threads", type=positive, default=1, show_default=True, help="Threads of a replica's networks."
    ),
    click.option("--home", metavar="DIR", help="Folder of the audit log and the served ensembles.  [RUN/service]"),
    click.option("--no-audit", is_flag=True, help="Write no audit log."),
    click.option("--audit-keep", type=positive, help="Audit files to keep of each replica.  [all]"),
    click.option("--max-body", type=positive, default=32, show_default=True, help="MiB of a request."),
    click.option("--max-pixels", type=positive, default=40_000_000, show_default=True, help="Pixels of an image."),
    click.option("--max-files", type=positive, default=32, show_default=True, help="Images of a form."),
    click.option("--max-batch", type=positive, default=64, show_default=True, help="Images computed at once."),
    click.option("--max-waiting", type=positive, default=256, show_default=True, help="Images that may wait."),
    click.option(
        "--timeout",
        type=click.FloatRange(0, min_open=True),
        default=30.0,
        show_default=True,
        help="Seconds until a request is given up.",
    ),
)
verbose_option = click.option("--verbose", is_flag=True, help="Show Ray Serve's own messages.")
Function = TypeVar("Function", bound=Callable[..., Any])


def service_options(function: Function) -> Function:
    """Add the options of a service to a command."""
    for option in reversed(SERVICE_OPTIONS):
        function = option(function)
    return function


class ServeGroup(MedrayGroup):
    """A group whose command may be left out: `medray serve RUN` is `medray serve start RUN`."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the commands, the usual one first."""
        return list(self.commands)

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Parse the arguments, with `start` put before a lone RUN; two words begin with a misspelt command."""
        two_words = len(args) > 1 and not any(word.startswith("-") for word in args[:2])
        if args and args[0] not in (*self.list_commands(ctx), *ctx.help_option_names) and not two_words:
            args = ["start", *args]
        return super().parse_args(ctx, args)


@click.group("serve", cls=ServeGroup, epilog=EXAMPLES)
def serve() -> None:
    """Serve the ensemble of RUN, or an ensemble's folder, over HTTP.

    `medray serve RUN` is short for `medray serve start RUN` and takes the same options.
    """


@serve.command("start", cls=MedrayCommand)
@click.argument("location", metavar="RUN")
@service_options
@address_option
@verbose_option
def start(**options: Any) -> None:
    """Serve the ensemble of RUN until Ctrl-C or SIGTERM.

    Takes PNG, JPEG, TIFF, BMP and DICOM at /predict and tensors at /v2 (Open Inference Protocol), and has a
    page at /. The end drops no request. Not for diagnosis.
    """
    with errors_in_one_line():
        from medray.serving.deploy.run_service import serve_until_signal
        from medray.serving.deploy.serve_options import ServeOptions

        serve_until_signal(ServeOptions(**options), make_console())


@serve.command("replace", cls=MedrayCommand)
@click.argument("location", metavar="RUN")
@click.option("--home", metavar="DIR", help="The --home of the running service.  [RUN/service]")
@click.option("--threads", type=positive, default=1, show_default=True, help="Threads to check the ensemble with.")
@verbose_option
def replace(location: str, home: str | None, threads: int, verbose: bool) -> None:
    """Give the ensemble of RUN to a running service.

    No request fails. An ensemble that is damaged or knows other classes is refused, and the old one goes on.
    """
    with errors_in_one_line():
        from medray.serving.deploy.replace_service import replace_ensemble
        from medray.serving.deploy.serve_options import home_folder

        replace_ensemble(location, home_folder(location, home), make_console(), threads=threads, verbose=verbose)


@serve.command("config", cls=MedrayCommand)
@click.argument("location", metavar="RUN")
@click.option("--out", metavar="FILE", default="serve.yaml", show_default=True, help="The file to write.")
@service_options
def config(out: str, **options: Any) -> None:
    """Write a YAML for `serve deploy` on a cluster."""
    with errors_in_one_line():
        from medray.serving.deploy.config_file import write_config
        from medray.serving.deploy.serve_options import ServeOptions

        write_config(ServeOptions(**options), out, make_console())


def main() -> None:
    """Run the command."""
    serve(prog_name="medray serve")
