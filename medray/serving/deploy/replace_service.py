"""`medray serve replace RUN`: another ensemble for a running service, without a failed request."""

import asyncio
from pathlib import Path
from typing import Any

from rich.console import Console

from medray.cluster.connect import connected
from medray.console import say, step
from medray.errors import RunError
from medray.runs.folder import Folder
from medray.serving.deploy.registry import ServiceState, Target
from medray.serving.deploy.rollout import Exchange, Rollout
from medray.serving.deploy.run_service import APP, RUNNING, RunningService
from medray.serving.engine.served_model import ServedModel


def replace_ensemble(
    location: str, home: Path, console: Console, *, threads: int = 1, verbose: bool = False
) -> None:
    """Have the service that runs with `home` serve the ensemble at `location`.

    Raises:
        MedrayError: no service runs there, or the ensemble can't be served; the old one is then.
    """
    if not (home / RUNNING).is_file():
        raise RunError(f"no service runs with --home {home}: {RUNNING} is not there")
    running = Folder(str(home)).read_document(RUNNING, RunningService)

    def load(target: Target) -> ServedModel:
        return ServedModel.load(target.location, running.name, version=target.version, threads=threads)

    async def exchange(registry: Any) -> Exchange:
        state: ServiceState = await registry.state.remote()
        assert state.target is not None  # each replica joined with one
        current = await asyncio.to_thread(load, state.target)
        return await Rollout(registry, load, str(home)).to(location, current)

    with connected(running.ray_address, verbose=verbose):
        from medray.serving.deploy.deployment import registry_of

        with step(console, f"Exchanging the ensemble of {running.url}"):
            done = asyncio.run(exchange(registry_of(APP)))
    say(console, f"{running.url} serves version {done.version}; before: {done.previous}")
