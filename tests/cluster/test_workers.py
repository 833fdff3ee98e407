"""Where Ray's workers come from."""

import os
import socket
import sys

import pytest

from medray.cluster.connect import matching_auth_mode, requires_token

pytestmark = pytest.mark.component


@pytest.mark.usefixtures("ray_address")
def test_workers_start_in_the_drivers_own_environment_and_no_folder_is_sent_to_them() -> None:
    """Also where `uv run` has started the driver, as in the README."""
    import ray

    def executable() -> str:
        return sys.executable

    assert ray.get(ray.remote(executable).remote()) == sys.executable
    assert not ray.get_runtime_context().runtime_env.get("working_dir")


def test_the_token_is_shown_to_a_cluster_that_asks_for_it(
    ray_address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert os.environ["RAY_AUTH_MODE"] == "token", "Ray's own choice where it starts"
    monkeypatch.delenv("RAY_AUTH_MODE")
    with matching_auth_mode(ray_address):
        assert os.environ["RAY_AUTH_MODE"] == "token"
    assert "RAY_AUTH_MODE" not in os.environ


def test_a_head_that_does_not_answer_is_not_said_to_use_no_tokens() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        assert requires_token(f"127.0.0.1:{silent.getsockname()[1]}") is None
