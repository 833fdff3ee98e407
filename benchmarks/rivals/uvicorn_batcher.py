"""(b) uvicorn + FastAPI with a simple batcher: a task that takes what waits, and a thread that computes.

By PyTorch, or by ONNX Runtime with `onnx` as the third argument.
"""

import asyncio
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from typing import Any

import numpy as np
import uvicorn
from fastapi import FastAPI, Request

from .common import MAX_BATCH, OnnxEnsemble, answer, load, pixels

ensemble: Any
if sys.argv[3:] == ["onnx"]:
    ensemble = OnnxEnsemble(sys.argv[1])
    compute = ensemble.probabilities
else:
    ensemble = load(sys.argv[1])

    def compute(images: Any) -> Any:
        return ensemble.predict(images).probabilities


thread = ThreadPoolExecutor(1)
waiting: asyncio.Queue[Any] = asyncio.Queue()


async def batches() -> None:
    loop = asyncio.get_running_loop()
    while True:
        batch = [await waiting.get()]
        while len(batch) < MAX_BATCH and not waiting.empty():
            batch.append(waiting.get_nowait())
        images = [image for image, _ in batch]
        found = await loop.run_in_executor(thread, compute, np.stack(images))
        for row, (_, future) in zip(found, batch, strict=True):
            future.set_result(row)


@asynccontextmanager
async def lifespan(_: FastAPI) -> Any:
    task = asyncio.create_task(batches())
    yield
    task.cancel()


app = FastAPI(lifespan=lifespan)


@app.post("/predict")
async def predict(request: Request) -> dict[str, Any]:
    image = pixels(await request.body(), ensemble.image_shape)
    future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
    waiting.put_nowait((image, future))
    return answer(ensemble.class_names, await future)


if __name__ == "__main__":
    uvicorn.run(app, host="127.0.0.1", port=int(sys.argv[2]), log_level="error", access_log=False)
