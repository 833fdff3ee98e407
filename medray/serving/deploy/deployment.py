"""The Ray Serve deployment: one replica holds the whole ensemble and answers HTTP itself."""

import asyncio
import contextlib
import logging
import sys
from dataclasses import dataclass
from typing import Any

import ray
from prometheus_client.metrics_core import Metric
from ray import serve
from ray.exceptions import RayError
from ray.serve import Application

from medray.errors import MedrayError
from medray.json_document import JsonDocument
from medray.serving.deploy.admin_route import admin_route
from medray.serving.deploy.registry import Instructions, ServiceRegistry, ServiceState, Target
from medray.serving.deploy.rollout import Rollout, check_same_task
from medray.serving.engine.selftest import check_answers
from medray.serving.engine.served_model import ServedModel
from medray.serving.engine.service import Service
from medray.serving.engine.service_settings import ServiceSettings
from medray.serving.http.app import App
from medray.serving.telemetry.replica_metrics import Snapshot

logger = logging.getLogger("medray.serving")
NAMESPACE, REPORT_EVERY = "medray", 1.0
DEPLOYMENT = "ensemble"
SWITCH_INTERVAL = 1e-4  # seconds


@dataclass(frozen=True)
class ReplicaSpec(JsonDocument):
    """The settings of a replica: its ensemble and that one's name, and the service's limits and folder.

    The service is ready once `min_replicas` have answered.
    """

    location: str
    version: str
    name: str
    settings: ServiceSettings
    min_replicas: int
    home: str | None

    @property
    def target(self) -> Target:
        """The ensemble that the replica is deployed with."""
        return Target(self.location, self.version)


def registry_of(app: str) -> Any:
    """Return the registry of a service, as a Ray actor; it is made where there is none."""
    options: dict[str, Any] = {
        "name": f"{app}-registry", "namespace": NAMESPACE, "lifetime": "detached", "get_if_exists": True,
        "num_cpus": 0, "max_restarts": -1, "max_task_retries": 3,
    }  # fmt: skip
    return ray.remote(ServiceRegistry).options(**options).remote()


@serve.deployment(name=DEPLOYMENT, logging_config={"enable_access_log": False, "log_level": "WARNING"})
@serve.ingress()
class EnsembleDeployment:
    """A replica: a Service, its application, and its reports to the registry."""

    async def __init__(self, spec: ReplicaSpec) -> None:  # type: ignore[misc]  # Serve awaits it
        # The thread of the batches asks for the interpreter between any two images. With Python's own 5 ms it
        # would wait that long each time that the event loop is busy: they would not run side by side.
        sys.setswitchinterval(SWITCH_INTERVAL)
        context = serve.get_replica_context()
        self._spec, self._settings = spec, spec.settings
        self._name, self._app_name = context.replica_id.unique_id, context.app_name
        self._all_replicas_came = False
        self._registry = registry_of(self._app_name)
        target: Target = await self._registry.join.remote(spec.target)
        model = await asyncio.to_thread(self._load, target)
        self.service = Service(
            self._settings, model, replica=self._name, all_ready=self._all_ready, add_up=self._add_up
        )
        await check_answers(self.service)
        await self._report()
        self._reporting = asyncio.create_task(self._keep_reporting())

    def __serve_build_asgi_app__(self) -> App:
        """Return the application that Serve sends requests to."""
        return App(self.service, [admin_route(Rollout(self._registry, self._load, self._spec.home))])

    def _load(self, target: Target) -> ServedModel:
        import torch

        torch.set_num_threads(self._settings.threads)  # of networks that torch itself runs
        return ServedModel.load(
            target.location, self._spec.name, version=target.version, threads=self._settings.threads,
            device="cuda" if ray.get_gpu_ids() else "cpu",
        )  # fmt: skip

    async def _keep_reporting(self) -> None:
        while True:
            await asyncio.sleep(REPORT_EVERY)
            try:
                await self._report()
            except RayError as error:
                logger.warning("the registry can't be reached: %s", type(error).__name__)
                self._registry = registry_of(self._app_name)
                with contextlib.suppress(RayError):
                    await self._registry.join.remote(Target(self._spec.location, self.service.model.version))

    async def _report(self) -> None:
        service = self.service
        instructions: Instructions = await self._registry.report.remote(
            self._name, service.model.version, service.telemetry.in_flight, service.telemetry.snapshot()
        )
        service.draining = instructions.draining
        target = instructions.target
        if target is not None and target.version != service.model.version:
            await self._exchange(target)

    async def _exchange(self, target: Target) -> None:
        """Serve another version; where it can't be loaded, tell the registry and keep the old one."""
        try:
            model = await asyncio.to_thread(self._load, target)
            check_same_task(self.service.model, model)
        except MedrayError as error:
            logger.error("version %s can't be served: %s", target.version, error)
            await self._registry.failed.remote(self._name, target.version, str(error))
            return
        self.service.exchange(model)
        await self._report()

    async def _all_ready(self) -> bool:
        if not self._all_replicas_came:
            state: ServiceState = await self._registry.state.remote()
            self._all_replicas_came = len(state.replicas) >= self._spec.min_replicas
        return self._all_replicas_came

    async def _add_up(self, snapshot: Snapshot) -> list[Metric]:
        metrics: list[Metric] = await self._registry.all_metrics.remote(self._name, snapshot)
        return metrics

    async def __del__(self) -> None:
        if hasattr(self, "_reporting"):
            self._reporting.cancel()
            with contextlib.suppress(RayError):
                await self._report()
                await self._registry.leave.remote(self._name)
            self.service.close()


def bind(spec: ReplicaSpec, serve_options: dict[str, Any]) -> Application:
    """Return the application that Serve runs; `serve_options` are Serve's own."""
    deployment: Any = EnsembleDeployment  # as Serve's decorators leave it
    return deployment.options(**serve_options).bind(spec)


def build(args: dict[str, Any]) -> Application:
    """Return the application of a Ray Serve YAML file, whose `args` are a ReplicaSpec.

    Raises:
        RunError: `args` are not those of a ReplicaSpec.
    """
    return bind(ReplicaSpec.from_dict(args, "args"), {})
