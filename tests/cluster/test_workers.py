"""Where Ray's workers come from."""

import sys

import pytest


@pytest.mark.usefixtures("ray_address")
def test_workers_start_in_the_drivers_own_environment_and_no_folder_is_sent_to_them() -> None:
    """Also where `uv run` has started the driver, as in the README."""
    import ray

    def executable() -> str:
        return sys.executable

    assert ray.get(ray.remote(executable).remote()) == sys.executable
    assert not ray.get_runtime_context().runtime_env.get("working_dir")
