"""deploy/slurm: its options, and, where Slurm is installed, real jobs on two nodes of one machine."""

import os
import re
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest
from ray.scripts import scripts

from tests.docs.examples import command_of

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "deploy/slurm"
JOB = (FOLDER / "study.sbatch").read_text()
#: Options of srun, and one of medray's in a message.
OTHERS = {"--nodes", "--ntasks", "--relative", "--cpu-bind", "--storage"}
PROGRAMS = ("slurmctld", "slurmd", "sbatch", "munged", "ip")


def test_ray_start_has_every_option_that_is_given() -> None:
    known = {name for parameter in scripts.start.params for name in parameter.opts}
    code = "\n".join(line for line in JOB.splitlines() if not line.startswith("#"))
    given = set(re.findall(r"(?<=[\s(])--[a-z-]+", code)) - OTHERS
    assert {"--head", "--block", "--temp-dir", "--num-cpus"} <= given <= known


@pytest.mark.parametrize(
    "line",
    re.findall(r"(?m)^(?:#   )?sbatch [^…\n]+study\.sbatch (.+)$", JOB + (FOLDER / "README.md").read_text()),
)
def test_what_is_submitted_is_understood(line: str) -> None:
    command, arguments = command_of(("study", *shlex.split(line)))
    command.make_context("study", arguments)
    assert "--storage" in line


def test_without_a_study_the_job_is_refused() -> None:
    refused = subprocess.run(["bash", FOLDER / "study.sbatch"], capture_output=True, text=True, check=False)
    assert refused.returncode == 2
    assert re.fullmatch("study.sbatch: give what medray study gets: .*\n", refused.stderr)


@pytest.mark.nightly
@pytest.mark.timeout(1500)
def test_real_jobs_on_two_nodes() -> None:
    path = f"{os.environ['PATH']}:/usr/sbin"
    missing = [program for program in PROGRAMS if shutil.which(program, path=path) is None]
    if missing:
        pytest.skip(f"needs {', '.join(missing)}: Debian's slurm-wlm, munge and iproute2")
    if os.getuid() != 0:
        pytest.skip("needs root: it makes network namespaces")
    script = ROOT / "tests/cluster/slurm_local.sh"
    ran = subprocess.run([script], env=os.environ | {"PATH": path}, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, f"{ran.stdout[-8000:]}\n{ran.stderr[-4000:]}"
    assert ran.stdout.endswith("== all went well\n")
