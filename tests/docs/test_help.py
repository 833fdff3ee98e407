"""docs/commands.md is what the commands themselves answer."""

import subprocess
import sys

from tests.docs.examples import ROOT


def test_the_page_of_commands_is_up_to_date() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "cogapp", "--check", "docs/commands.md"],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, "run: uv run cog -r docs/commands.md"
