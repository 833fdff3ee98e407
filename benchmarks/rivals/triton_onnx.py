"""(e) Triton by PyTriton, as its documentation has it, with dynamic batches of at most 64.

An image's bytes are the raw body, as the one BYTES element of a sample (Triton's binary extension); the inference
callable decodes a batch of them and runs ONNX Runtime. PyTriton's wheel has no other backend than Python's.
"""

import os
import sys
import sysconfig
from typing import Any

import numpy as np
from pytriton.model_config import DynamicBatcher, ModelConfig, Tensor
from pytriton.triton import Triton, TritonConfig

from .common import MAX_BATCH, OnnxEnsemble, pixels

if __name__ == "__main__":
    ensemble = OnnxEnsemble(sys.argv[1])

    def infer(requests: list[Any]) -> list[dict[str, Any]]:
        """Answer a batch of requests."""
        images = [pixels(request["image"].item(), ensemble.image_shape) for request in requests]
        rows = ensemble.probabilities(np.stack(images))
        return [{"probabilities": row[None]} for row in rows]

    # Triton's Python must be this one, not another of the same number that the system has.
    os.environ["LD_LIBRARY_PATH"] = sysconfig.get_config_var("LIBDIR")
    config = TritonConfig(
        http_address="127.0.0.1", http_port=int(sys.argv[2]), allow_grpc=False, allow_metrics=False
    )
    with Triton(config=config) as triton:
        triton.bind(
            model_name="ensemble",
            infer_func=infer,
            inputs=[Tensor(name="image", dtype=object, shape=(1,))],
            outputs=[Tensor(name="probabilities", dtype=np.float32, shape=(len(ensemble.class_names),))],
            config=ModelConfig(max_batch_size=MAX_BATCH, batcher=DynamicBatcher(max_queue_delay_microseconds=0)),
        )
        triton.serve()
