"""`medray serve RUN --replace`: another ensemble for the service that runs, without a failed request."""

import asyncio
import json
from pathlib import Path
from typing import Any

from rich.console import Console

from medray.cluster.connect import connected
from medray.console import say, step
from medray.errors import RunError
from medray.serving.deploy.rollout import Rollout
from medray.serving.deploy.run_service import APP, RUNNING
from medray.serving.deploy.serve_options import ServeOptions
from medray.serving.engine.served_model import ServedModel


def replace(options: ServeOptions, console: Console) -> None:
    """Exchange the ensemble of the service whose home is `options.home_folder()`.

    Raises:
        MedrayError: no service runs there, or the ensemble can't be served; the old one is then.
    """
    home = options.home_folder()
    running = _running(home)
    with connected(running["ray_address"], verbose=options.verbose):
        from medray.serving.deploy.deployment import board_of

        with step(console, f"Exchanging the ensemble of {running['url']}"):
            done = asyncio.run(_exchange(board_of(APP), options, running, home))
    say(console, f"{running['url']} serves version {done['version']}; before: {done['previous']}")


async def _exchange(board: Any, options: ServeOptions, running: dict[str, Any], home: Path) -> dict[str, Any]:
    target = (await board.state.remote())["target"]

    def load(what: dict[str, str]) -> ServedModel:
        where, version = what["location"], what["version"]
        return ServedModel.load(where, running["name"], version=version, threads=options.threads)

    rollout = Rollout(board, load, str(home))
    return await rollout.to(options.location, await asyncio.to_thread(load, target))


def _running(home: Path) -> dict[str, Any]:
    try:
        found = json.loads((home / RUNNING).read_text())
    except FileNotFoundError:
        raise RunError(f"no service runs with --home {home}: {RUNNING} is not there") from None
    except (OSError, ValueError) as error:
        raise RunError(f"{home / RUNNING} can't be read: {error}") from None
    return dict(found)
