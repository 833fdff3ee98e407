"""The command line of the service."""

import sys
from typing import Any

import click

from medray.cli.base import MedrayCommand, address_option, fail, positive
from medray.console import make_console

EXAMPLES = """
\b
Examples:
  medray serve runs/organs                                # this machine only, http://127.0.0.1:8000
  medray serve runs/organs --port 9000 --replicas 2
  medray serve runs/organs --host 0.0.0.0 --token-file tokens.txt
  medray serve runs/organs-2 --home runs/organs/service --replace  # another ensemble, no failed request
  medray serve runs/organs --replicas 1:8 --gpus 0.25 --write-config serve.yaml
  curl --data-binary @image.png -H 'Content-Type: image/png' http://127.0.0.1:8000/predict
"""


@click.command("serve", cls=MedrayCommand, epilog=EXAMPLES)
@click.argument("location", metavar="RUN")
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on; 0.0.0.0 is all.")
@click.option("--port", type=click.IntRange(1, 65535), default=8000, show_default=True, help="Port to listen on.")
@click.option("--name", metavar="TEXT", help="The model's name in answers and in /v2/models.  [the run's folder]")
@click.option("--token-file", metavar="FILE", help="Lines of NAME TOKEN [admin]; who asks must send one of them.")
@click.option("--no-auth", is_flag=True, help="Let everybody ask who can reach --host.")
@click.option("--replicas", default="1", show_default=True, metavar="N|MIN:MAX", help="Copies of the ensemble.")
@click.option(
    "--cpus",
    type=click.FloatRange(0, min_open=True),
    default=1.0,
    show_default=True,
    help="CPU cores of a replica.",
)
@click.option(
    "--gpus", type=click.FloatRange(0), default=0.0, show_default=True, help="GPUs of a replica; 0.25 shares one."
)
@click.option("--threads", type=positive, default=1, show_default=True, help="Torch's threads in a replica.")
@click.option("--home", metavar="DIR", help="For the audit log and the served ensembles.  [RUN/service]")
@click.option("--no-audit", is_flag=True, help="Write no audit log.")
@click.option("--audit-keep", type=positive, help="Audit files to keep of each replica.  [all]")
@click.option("--max-body", type=positive, default=32, show_default=True, help="MiB of a request.")
@click.option("--max-pixels", type=positive, default=40_000_000, show_default=True, help="Pixels of an image.")
@click.option("--max-files", type=positive, default=32, show_default=True, help="Images of a form.")
@click.option("--max-batch", type=positive, default=64, show_default=True, help="Images computed at once.")
@click.option("--max-waiting", type=positive, default=256, show_default=True, help="Images that may wait.")
@click.option(
    "--timeout",
    type=click.FloatRange(0, min_open=True),
    default=30.0,
    show_default=True,
    help="Seconds until a request is given up.",
)
@click.option("--replace", is_flag=True, help="Give this ensemble to the service that runs with the same --home.")
@click.option(
    "--write-config", metavar="FILE", help="Write a Ray Serve YAML for `serve deploy`, and start nothing."
)
@address_option
@click.option("--verbose", is_flag=True, help="Let Ray Serve say what it does.")
def serve(**given: Any) -> None:
    """Serve the ensemble of RUN, or an ensemble's folder, over HTTP.

    Takes PNG, JPEG, TIFF, BMP and DICOM at /predict and tensors at /v2 (Open Inference Protocol), and has a
    page at /. Stays up until Ctrl-C or SIGTERM, which drop no request. Not for diagnosis.
    """
    from medray.errors import MedrayError
    from medray.serving.deploy.serve_options import ServeOptions

    console = make_console(False)
    options = ServeOptions(**given)
    try:
        if options.write_config is not None:
            from medray.serving.deploy.config_file import write_config

            write_config(options, console)
        elif options.replace:
            from medray.serving.deploy.replace_service import replace

            replace(options, console)
        else:
            from medray.serving.deploy.run_service import serve_until_told

            serve_until_told(options, console)
    except MedrayError as error:
        fail(str(error))
    except KeyboardInterrupt:
        sys.exit(130)


def main() -> None:
    """Run the command."""
    serve(prog_name="medray serve")
