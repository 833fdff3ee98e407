"""(d) Ray Serve as its documentation has it: one deployment for each member, default settings."""

import asyncio
import sys
import time
from typing import Any

import numpy as np
import ray
from ray import serve
from ray.serve.handle import DeploymentHandle
from starlette.requests import Request

from .common import answer, load, pixels


@serve.deployment(ray_actor_options={"num_cpus": 0.2})
class Member:
    def __init__(self, folder: str, number: int) -> None:
        from dataclasses import replace

        whole = load(folder)
        manifest = replace(whole.manifest, members=(whole.manifest.members[number],), temperatures=(1.0,))
        self.one = replace(whole, manifest=manifest, networks=(whole.networks[number],))

    @serve.batch(max_batch_size=64, batch_wait_timeout_s=0.0)  # type: ignore[untyped-decorator]
    async def __call__(self, images: list[Any]) -> list[Any]:
        return list(self.one.predict(np.stack(images)).probabilities)


@serve.deployment(ray_actor_options={"num_cpus": 0.2})
class Average:
    def __init__(self, folder: str, *members: DeploymentHandle) -> None:
        self.ensemble = load(folder)
        self.members = members

    async def __call__(self, request: Request) -> dict[str, Any]:
        image = pixels(await request.body(), self.ensemble.image_shape)
        rows = await asyncio.gather(*(member.remote(image) for member in self.members))
        return answer(self.ensemble.class_names, np.mean(rows, axis=0))


if __name__ == "__main__":
    folder, port = sys.argv[1], int(sys.argv[2])
    ray.init(address="local", include_dashboard=False, log_to_driver=False, logging_level="ERROR")
    serve.start(http_options={"host": "127.0.0.1", "port": port})
    one: Any = Member
    average: Any = Average
    members = [one.options(name=f"member{n}").bind(folder, n) for n in range(len(load(folder).networks))]
    serve.run(average.bind(folder, *members), route_prefix="/predict")
    time.sleep(10**6)
