"""(c) LitServe, as its documentation has it, with batches of at most 64; images go in JSON as base64."""

import base64
import sys
from typing import Any

import litserve
import numpy as np
from fastapi import Request

from .common import MAX_BATCH, OnnxEnsemble, answer, pixels


class EnsembleAPI(litserve.LitAPI):
    def setup(self, device: str) -> None:
        self.ensemble = OnnxEnsemble(sys.argv[1])

    def decode_request(self, request: Request) -> Any:  # LitServe gives its JSON for it
        return pixels(base64.b64decode(request["image"]), self.ensemble.image_shape)

    def batch(self, inputs: list[Any]) -> Any:
        return np.stack(inputs)

    def predict(self, images: Any) -> Any:
        return self.ensemble.probabilities(images)

    def unbatch(self, output: Any) -> list[Any]:
        return list(output)

    def encode_response(self, output: Any) -> Any:
        return answer(self.ensemble.class_names, output)


if __name__ == "__main__":
    server = litserve.LitServer(EnsembleAPI(max_batch_size=MAX_BATCH, batch_timeout=0.0), accelerator="cpu")
    server.run(host="127.0.0.1", port=int(sys.argv[2]), generate_client_file=False, log_level="error")
