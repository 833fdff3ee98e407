"""Tracing a network, for which torch.fx swaps the call of every module, leaves other threads' networks alone."""

import threading

import torch

from medray.config import TrainConfig
from medray.ensemble.fusing import simplify
from medray.training.models import build_network


def test_other_threads_answer_while_a_network_is_traced() -> None:
    networks = [build_network(TrainConfig(backbone=b), (12, 12, 1), 3).eval() for b in ("resnet8_small", "lenet5")]
    images, done, failures, answered = torch.rand(2, 1, 12, 12), threading.Event(), [], 0

    def answer() -> None:
        nonlocal answered
        with torch.inference_mode():
            wanted = [network(images) for network in networks]
            while not done.is_set():
                try:
                    for network, logits in zip(networks, wanted, strict=True):
                        assert torch.equal(network(images), logits)
                    answered += 1
                except Exception as error:
                    failures.append(repr(error))

    thread = threading.Thread(target=answer)
    thread.start()
    try:
        while answered < 20 and not failures:
            simplify(networks[0], images[:1])
    finally:
        done.set()
        thread.join()
    assert failures == []
