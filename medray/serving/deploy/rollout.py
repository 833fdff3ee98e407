"""Exchanging the ensemble of a running service, and back: nobody's request fails, nothing broken gets in."""

import asyncio
import shutil
import time
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

from medray.ensemble.manifest import check_files, ensemble_folder
from medray.errors import MedrayError, RunError
from medray.runs.folder import Folder
from medray.serving.engine.served_model import ServedModel, version_of

WAIT = 120.0  # seconds that the replicas have to load it
POLL = 0.2


class RolloutError(MedrayError):
    """The ensemble was not exchanged; the old one is served."""


def same_task(old: ServedModel, new: ServedModel) -> None:
    """Check that whoever asks gets answers of the same classes.

    Raises:
        RolloutError: they are other classes.
    """
    if old.ensemble.class_names != new.ensemble.class_names:
        before, after = (", ".join(model.ensemble.class_names)[:100] for model in (old, new))
        raise RolloutError(f"it knows other classes ({after}) than this service ({before}): start another")


def keep_copy(folder: Folder, home: Path) -> tuple[str, str]:
    """Keep an ensemble as it is now, so that a replica can load it later too; return its place and version.

    Raises:
        RunError: it is damaged, or can't be kept.
        WeightsError: one of its files is missing, or not the one that its manifest describes.
    """
    version = version_of(folder)
    if folder.local is None:
        return folder.location, version
    kept = home / "ensembles" / version
    if kept.exists():
        check_files(Folder(str(kept)))
        return str(kept), version
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
    return str(kept), version


class Rollout:
    """Offers another ensemble to all replicas through their board, and waits until they serve it."""

    def __init__(self, board: Any, load: Callable[[dict[str, str]], ServedModel], home: str | None) -> None:
        self._board, self._load, self._home = board, load, home

    async def to(self, location: str, current: ServedModel) -> dict[str, Any]:
        """Serve the ensemble at `location`.

        Raises:
            MedrayError: it can't be served, or a replica could not load it; the old one is then served.
        """
        folder = ensemble_folder(location)
        if self._home is None:
            target = {"location": folder.location, "version": version_of(folder)}
        else:
            kept, version = await asyncio.to_thread(keep_copy, folder, Path(self._home))
            target = {"location": kept, "version": version}
        same_task(current, await asyncio.to_thread(self._load, target))
        return await self._offer(target)

    async def back(self) -> dict[str, Any]:
        """Serve the ensemble that was served before.

        Raises:
            RolloutError: there is none.
        """
        previous = (await self._board.state.remote())["previous"]
        if previous is None:
            raise RolloutError("no other ensemble was served before this one")
        return await self._offer(previous)

    async def _offer(self, target: dict[str, str]) -> dict[str, Any]:
        before = (await self._board.state.remote())["target"]
        await self._board.offer.remote(target)
        deadline = time.monotonic() + WAIT
        while time.monotonic() < deadline:
            state = await self._board.state.remote()
            replicas = state["replicas"].values()
            reasons = [one["failed"][target["version"]] for one in replicas if target["version"] in one["failed"]]
            if reasons:
                await self._board.offer.remote(before)
                raise RolloutError(f"a replica could not load it: {reasons[0]}")
            if replicas and all(one["version"] == target["version"] for one in replicas):
                return {"version": target["version"], "previous": before["version"], "replicas": len(replicas)}
            await asyncio.sleep(POLL)
        await self._board.offer.remote(before)
        raise RolloutError(f"not all replicas had loaded it after {WAIT:g} s")
