"""(b) uvicorn + FastAPI with a simple batcher: a task that takes what waits, and a thread that computes."""

import asyncio
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from typing import Any

import numpy as np
import uvicorn
from common import answer, load, pixels
from fastapi import FastAPI, Request

ensemble = load(sys.argv[1])
thread = ThreadPoolExecutor(1)
waiting: asyncio.Queue[Any] = asyncio.Queue()


async def batches() -> None:
    loop = asyncio.get_running_loop()
    while True:
        batch = [await waiting.get()]
        while len(batch) < 64 and not waiting.empty():
            batch.append(waiting.get_nowait())
        images = [image for image, _ in batch]
        found = await loop.run_in_executor(thread, ensemble.predict, np.stack(images))
        for row, (_, future) in zip(found.probabilities, batch, strict=True):
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
