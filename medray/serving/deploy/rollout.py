"""Exchanging the ensemble of a running service: no request fails, and no damaged ensemble is served."""

import asyncio
import shutil
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from medray.ensemble.manifest import check_files, ensemble_folder, version_of
from medray.errors import MedrayError, RunError
from medray.runs.folder import Folder
from medray.serving.deploy.registry import ServiceState, Target
from medray.serving.engine.served_model import ServedModel

LOAD_WITHIN = 120.0  # seconds that the replicas have to load it
POLL = 0.2


class RolloutError(MedrayError):
    """The ensemble was not exchanged; the old one is served."""


@dataclass(frozen=True)
class Exchange:
    """An exchange that is done: the version that is served now, the one before, and by how many replicas."""

    version: str
    previous: str
    replicas: int


def check_same_task(old: ServedModel, new: ServedModel) -> None:
    """Check that both models answer the same question about the same classes, so that clients need not change.

    Raises:
        RolloutError: they are of other tasks, or know other classes.
    """
    task, before = new.ensemble.task.name, old.ensemble.task.name
    if task != before:
        raise RolloutError(f"it is of the task {task}, and this service of {before}: start another")
    if (old.ensemble.manifest.cases is None) != (new.ensemble.manifest.cases is None):
        answers = [" cases" if model.ensemble.manifest.cases else " images" for model in (new, old)]
        raise RolloutError(f"it answers{answers[0]}, and this service{answers[1]}: start another")
    if old.ensemble.class_names != new.ensemble.class_names:
        before, after = (", ".join(model.ensemble.class_names)[:100] for model in (old, new))
        raise RolloutError(f"it knows other classes ({after}) than this service ({before}): start another")


def keep_copy(folder: Folder, home: Path) -> Target:
    """Copy an ensemble as it is now, so that a replica can load it later too; one in a bucket stays there.

    Raises:
        RunError: it is damaged, or can't be copied.
        WeightsError: one of its files is missing, or not the one that its manifest describes.
    """
    version = version_of(folder)
    if folder.local is None:
        return Target(folder.location, version)
    kept = home / "ensembles" / version
    if kept.exists():
        check_files(Folder(str(kept)))
        return Target(str(kept), version)
    partial = home / "ensembles" / f".{version}-{uuid.uuid4().hex}"
    try:
        shutil.copytree(folder.local, partial)
        check_files(Folder(str(partial)))
        partial.rename(kept)
    except OSError as error:
        if not kept.exists():  # else another process was quicker
            raise RunError(f"{home} can't be written: {error.strerror or error}") from None
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return Target(str(kept), version)


class Rollout:
    """Offers another ensemble to all replicas by their registry, and waits until they serve it."""

    def __init__(self, registry: Any, load: Callable[[Target], ServedModel], home: str | None) -> None:
        self._registry, self._load, self._home = registry, load, home

    async def to(self, location: str, current: ServedModel) -> Exchange:
        """Serve the ensemble at `location`.

        Raises:
            MedrayError: it can't be served, or a replica could not load it; the old one is then served.
        """
        folder = ensemble_folder(location)
        if self._home is None:
            target = Target(folder.location, version_of(folder))
        else:
            target = await asyncio.to_thread(keep_copy, folder, Path(self._home))
        check_same_task(current, await asyncio.to_thread(self._load, target))
        return await self._offer(target)

    async def back(self) -> Exchange:
        """Serve the ensemble that was served before.

        Raises:
            RolloutError: there is none.
        """
        state: ServiceState = await self._registry.state.remote()
        if state.previous is None:
            raise RolloutError("no other ensemble was served before this one")
        return await self._offer(state.previous)

    async def _offer(self, target: Target) -> Exchange:
        state: ServiceState = await self._registry.state.remote()
        before = state.target
        assert before is not None  # each replica joins with one
        await self._registry.offer.remote(target)
        deadline = time.monotonic() + LOAD_WITHIN
        while time.monotonic() < deadline:
            state = await self._registry.state.remote()
            replicas = state.replicas.values()
            reasons = [
                replica.failures[target.version] for replica in replicas if target.version in replica.failures
            ]
            if reasons:
                await self._registry.offer.remote(before)
                raise RolloutError(f"a replica could not load it: {reasons[0]}")
            if replicas and all(replica.version == target.version for replica in replicas):
                return Exchange(target.version, before.version, len(replicas))
            await asyncio.sleep(POLL)
        await self._registry.offer.remote(before)
        raise RolloutError(f"not all replicas had loaded it after {LOAD_WITHIN:g} s")
