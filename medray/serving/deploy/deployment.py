"""The Ray Serve deployment: one replica holds the whole ensemble and answers HTTP itself."""

import asyncio
import contextlib
import logging
import sys
from typing import Any

import ray
from prometheus_client.metrics_core import Metric
from ray import serve
from ray.exceptions import RayError
from ray.serve import Application

from medray.errors import MedrayError
from medray.serving.deploy.registry import ServiceBoard
from medray.serving.deploy.rollout import Rollout, same_task
from medray.serving.engine.selftest import answers_itself
from medray.serving.engine.served_model import ServedModel
from medray.serving.engine.service import Service
from medray.serving.engine.service_settings import ServiceSettings
from medray.serving.http.admin import ROUTES
from medray.serving.http.app import App
from medray.serving.telemetry.replica_metrics import Snapshot

logger = logging.getLogger("medray.serving")
NAMESPACE, REPORT_EVERY = "medray", 1.0
DEPLOYMENT = "ensemble"
SWITCH = 1e-4  # seconds


def board_of(app: str) -> Any:
    """The board of a service, as a Ray actor; it is made where there is none."""
    options: dict[str, Any] = {
        "name": f"{app}-board", "namespace": NAMESPACE, "lifetime": "detached", "get_if_exists": True,
        "num_cpus": 0, "max_restarts": -1, "max_task_retries": 3,
    }  # fmt: skip
    return ray.remote(ServiceBoard).options(**options).remote()


@serve.deployment(name=DEPLOYMENT, logging_config={"enable_access_log": False, "log_level": "WARNING"})
@serve.ingress()
class EnsembleDeployment:
    """A replica. `spec` is what `make_spec` made."""

    async def __init__(self, spec: dict[str, Any]) -> None:  # type: ignore[misc]  # Serve awaits it
        # The thread of the batches asks for the interpreter between any two images. As it comes it would wait 5 ms
        # each time that the event loop is busy: both would take turns instead of working side by side.
        sys.setswitchinterval(SWITCH)
        context = serve.get_replica_context()
        self._spec, self._name = spec, context.replica_id.unique_id
        self._least = int(spec["least_replicas"])
        self._all_came = False
        self._board = board_of(context.app_name)
        self._app_name = context.app_name
        target = await self._board.join.remote({"location": spec["location"], "version": spec["version"]})
        model = await asyncio.to_thread(self._load, target)
        self.service = Service(
            ServiceSettings.from_dict(spec["settings"]),
            model,
            replica=self._name,
            ready=self._ready,
            add_up=self._add_up,
        )
        await answers_itself(self.service)
        self.service.rollout = Rollout(self._board, self._load, spec["home"])
        await self._report()
        self._reporting = asyncio.create_task(self._keep_reporting())

    def __serve_build_asgi_app__(self) -> App:
        """The application that Serve sends requests to."""
        return App(self.service, ROUTES)

    def _load(self, target: dict[str, str]) -> ServedModel:
        import torch

        torch.set_num_threads(int(self._spec["settings"]["threads"]))  # of networks that torch itself runs
        device = "cuda" if ray.get_gpu_ids() else "cpu"
        return ServedModel.load(
            target["location"], self._spec["name"], version=target["version"], device=device,
            threads=int(self._spec["settings"]["threads"]),
        )  # fmt: skip

    async def _keep_reporting(self) -> None:
        while True:
            await asyncio.sleep(REPORT_EVERY)
            try:
                await self._report()
            except RayError as error:
                logger.warning("the board can't be reached: %s", type(error).__name__)
                self._board = board_of(self._app_name)
                with contextlib.suppress(RayError):
                    version = self.service.model.version
                    await self._board.join.remote({"location": self._spec["location"], "version": version})

    async def _report(self) -> None:
        service = self.service
        in_flight = service.telemetry.in_flight
        told = await self._board.report.remote(
            self._name, service.model.version, in_flight, service.telemetry.snapshot()
        )
        service.draining = told["draining"]
        target = told["target"]
        if target is not None and target["version"] != service.model.version:
            await self._exchange(target)

    async def _exchange(self, target: dict[str, str]) -> None:
        """Serve another version; one that can't be loaded is told to the board, and the old one goes on."""
        try:
            model = await asyncio.to_thread(self._load, target)
            same_task(self.service.model, model)
        except MedrayError as error:
            logger.error("version %s can't be served: %s", target["version"], error)
            await self._board.failed.remote(self._name, target["version"], str(error))
            return
        self.service.exchange(model)
        await self._report()

    async def _ready(self) -> bool:
        if not self._all_came:
            state = await self._board.state.remote()
            self._all_came = len(state["replicas"]) >= self._least
        return self._all_came

    async def _add_up(self, snapshot: Snapshot) -> list[Metric]:
        metrics: list[Metric] = await self._board.all_metrics.remote(self._name, snapshot)
        return metrics

    async def __del__(self) -> None:
        if hasattr(self, "_reporting"):
            self._reporting.cancel()
            with contextlib.suppress(RayError):
                await self._report()
                await self._board.leave.remote(self._name)
            self.service.close()


def make_spec(
    *, location: str, version: str, name: str, settings: ServiceSettings, least_replicas: int, home: str | None
) -> dict[str, Any]:
    """All that a replica needs to know, as plain values."""
    return {
        "location": location,
        "version": version,
        "name": name,
        "settings": settings.to_dict(),
        "least_replicas": least_replicas,
        "home": home,
    }


def build(spec: dict[str, Any]) -> Application:
    """Build the application of a Ray Serve YAML file; `serve_options` of the spec go to Serve as they are."""
    spec = dict(spec)
    options = spec.pop("serve_options", {})
    deployment: Any = EnsembleDeployment  # what Serve has made of the class
    return deployment.options(**options).bind(spec)
