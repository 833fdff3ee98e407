"""Containers of deploy/kuberay on this machine: namespaces with the image's files, environment and restrictions.

What the Dockerfile installs is installed by the same lines, from uv's cache; the base image is this machine's own
root, read-only under an overlay. Commands are those that KubeRay's operator makes of a manifest (its pod.go).
"""

import contextlib
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
DOCKERFILE = ROOT / "deploy/kuberay/Dockerfile"
PROGRAMS = ("unshare", "ip", "setpriv", "chroot", "wget", "uv")
NET, BRIDGE = "10.231.79", "medray-pods"
BASE_PATH = "/usr/local/bin:/usr/local/sbin:/usr/sbin:/usr/bin:/sbin:/bin"  # of python:3.11-slim

#: A root of its own, read-only but for the volumes: `folder path` pairs up to --; then a command in it.
RUN = r"""
set -e
room=$1 python=$2 pod=$3; shift 3
mount --make-rprivate /
mkdir -p "$room/layer"; mount -t tmpfs tmpfs "$room/layer"
mkdir "$room"/layer/{up,work,root}; root=$room/layer/root
mount -t overlay overlay -o "lowerdir=/,upperdir=$room/layer/up,workdir=$room/layer/work" "$root"
mkdir -p "$root"/{runs,home/medray,opt/medray}
mount --rbind /dev "$root/dev"; mount -t proc proc "$root/proc"; mount --bind /sys "$root/sys"
for read_only in "$python /usr/local" "$room/medray /opt/medray" "$room/passwd /etc/passwd"; do
  set -- $read_only "$@"; mount --bind "$1" "$root$2"; mount -o remount,bind,ro "$root$2"; shift 2
done
for hidden in root work srv mnt var/tmp; do
  [ ! -d "$root/$hidden" ] || mount -t tmpfs -o ro tmpfs "$root/$hidden"
done
mount -o remount,ro "$root"
while [ "$1" != -- ]; do mount --bind "$room/$1" "$root$2"; shift 2; done
shift; hostname "$pod"
exec chroot "$root" setpriv --reuid 1000 --regid 1000 --groups 1000 --no-new-privs --inh-caps=-all --bounding-set=-all "$@"
"""


def missing() -> str | None:
    """Return why no container can be made here, or None."""
    if os.geteuid() != 0:
        return "needs root, to make namespaces"
    lacking = [name for name in PROGRAMS if shutil.which(name) is None]
    if lacking:
        return f"needs {', '.join(lacking)}"
    if sys.version_info[:2] != (3, 11):
        return "needs the image's Python, 3.11"
    tried = "mount -t tmpfs tmpfs /mnt && mkdir /mnt/u /mnt/w /mnt/r && mount -t overlay overlay -o lowerdir=/,upperdir=/mnt/u,workdir=/mnt/w /mnt/r"
    done = subprocess.run(
        ["unshare", "--mount", "--pid", "--net", "--fork", "bash", "-c", tried],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    return f"no namespaces here: {done.stderr.strip()}" if done.returncode else None


class Pods:
    """Pods on a network of their own: `room` holds the image and the volumes."""

    def __init__(self, room: Path) -> None:
        self.room = room
        self.started: list[subprocess.Popen[str]] = []
        self.addresses: dict[str, str] = {}
        (room / "medray").mkdir()
        (room / "passwd").write_text("root:x:0:0::/:/bin/bash\nmedray:x:1000:1000::/home/medray:/bin/bash\n")

    def build(self) -> None:
        """Do the Dockerfile's first stage, outside: so packages are links into uv's cache, not copies."""
        image = self.room / "medray"
        for name in ("pyproject.toml", "uv.lock", "README.md", "LICENSE", "medray", "search_spaces"):
            copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
            copy(ROOT / name, image / name)
        (line,) = re.findall(r"^RUN (uv sync .*--no-editable) --no-cache$", DOCKERFILE.read_text(), re.MULTILINE)
        python = Path(sys.base_prefix) / "bin/python3.11"
        environment = {
            **os.environ,
            "UV_COMPILE_BYTECODE": "1",
            "UV_PROJECT_ENVIRONMENT": str(image / ".venv"),
            "UV_PYTHON": str(python),
        }
        environment.pop("VIRTUAL_ENV", None)
        subprocess.run(line.split(), cwd=image, env=environment, check=True)
        for script in (image / ".venv/bin").iterdir():
            if script.is_symlink() and script.readlink() == python:
                script.unlink()
                script.symlink_to("/usr/local/bin/python3.11")
            elif script.is_file() and not script.is_symlink() and script.read_bytes()[:2] == b"#!":
                mode, text = script.stat().st_mode, script.read_text()
                script.unlink()  # it may be a link into the cache
                script.write_text(text.replace(str(image), "/opt/medray"))
                script.chmod(mode)

    def volume(self, name: str) -> str:
        """Return the name of a folder in `room` which the pods may write to."""
        folder = self.room / name
        if not folder.exists():
            folder.mkdir()
            folder.chmod(0o777)
        return name

    def address(self, pod: str) -> str:
        """Give the pod a network namespace and an address."""
        if pod not in self.addresses:
            number = len(self.addresses) + 2
            inner = f"{BRIDGE}-{pod}"
            for line in (
                f"ip netns add {inner}",
                f"ip link add mrp-{number} type veth peer name eth0 netns {inner}",
                f"ip link set mrp-{number} master {BRIDGE} up",
                f"ip -n {inner} link set lo up",
                f"ip -n {inner} address add {NET}.{number}/24 dev eth0",
                f"ip -n {inner} link set eth0 up",
                f"ip -n {inner} route add default via {NET}.1",
            ):
                subprocess.run(line.split(), check=True)
            self.addresses[pod] = f"{NET}.{number}"
        return self.addresses[pod]

    def start(
        self, pod: str, spec: Mapping[str, Any], line: str, log: Path, **more: str
    ) -> "subprocess.Popen[str]":
        """Start a shell line as a container of the pod; the pod's containers share address and volumes."""
        (container,) = spec["containers"]
        volumes = {volume["name"]: volume for volume in spec["volumes"]}
        mounts = []
        for mount in container["volumeMounts"]:
            shared = "persistentVolumeClaim" in volumes[mount["name"]]
            mounts += [self.volume(mount["name"] if shared else f"{pod}-{mount['name']}"), mount["mountPath"]]
        own = {variable["name"]: variable["value"] for variable in container.get("env", ())}
        environment = {**image_environment(), "HOME": "/home/medray", "HOSTNAME": pod, **own, **more}
        self.address(pod)
        inside = ["env", "-i", "-C", "/home/medray", *(f"{name}={value}" for name, value in environment.items())]
        command = [
            *("ip", "netns", "exec", f"{BRIDGE}-{pod}"),
            *("unshare", "--mount", "--pid", "--uts", "--ipc", "--fork", "--kill-child"),
            *("bash", "-c", RUN, "run", str(self.room), sys.base_prefix, pod, *mounts, "--"),
            *(*inside, "/bin/bash", "-c", "--", line),
        ]
        with log.open("a") as output:
            process = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT, text=True)
        self.started.append(process)
        return process

    def stop(self, *processes: "subprocess.Popen[str]") -> None:
        """Kill containers, with all that runs in them."""
        for process in processes:
            with contextlib.suppress(OSError, IndexError):
                os.kill(first_process(process), signal.SIGKILL)  # a PID namespace goes with its first process
            process.kill()
            process.wait()


def first_process(container: "subprocess.Popen[str]") -> int:
    """Return the number that a container's first process, a child of unshare, has on this machine."""
    return int(Path(f"/proc/{container.pid}/task/{container.pid}/children").read_text().split()[0])


def image_environment() -> dict[str, str]:
    """Return the ENV lines of the Dockerfile's last stage."""
    last = DOCKERFILE.read_text().rpartition("\nFROM ")[2]
    (lines,) = re.findall(r"^ENV ((?:.*\\\n)*.*)$", last, re.MULTILINE)
    pairs = dict(word.split("=", 1) for word in lines.replace("\\\n", " ").split())
    return {name: value.replace("$PATH", BASE_PATH) for name, value in pairs.items()}


def ray_start(group: Mapping[str, Any], head: str | None = None, **params: str) -> str:
    """Return the line that KubeRay makes of a group: of a worker's if there is the address of a `head`."""
    resources = group["template"]["spec"]["containers"][0]["resources"]
    words = {"num-cpus": str(resources["requests"]["cpu"])} | group["rayStartParams"] | params
    words |= {"metrics-export-port": "8080", "dashboard-agent-listen-port": "52365"}
    words |= {"address": f"{head}:6379"} if head else {"dashboard-host": "0.0.0.0"}
    options = " ".join(f"--{name}={value}" for name, value in words.items())
    return f"ulimit -n ${{RAY_START_ULIMIT_OPEN_FILES:-65536}}; ray start {'' if head else '--head '}{options} --block"


@contextlib.contextmanager
def pods(room: Path) -> Iterator[Pods]:
    """Yield the pods' network; whatever runs in it ends with it."""
    subprocess.run(["ip", "link", "add", BRIDGE, "type", "bridge"], check=True)
    made = Pods(room)
    try:
        subprocess.run(["ip", "address", "add", f"{NET}.1/24", "dev", BRIDGE], check=True)
        subprocess.run(["ip", "link", "set", BRIDGE, "up"], check=True)
        yield made
    finally:
        made.stop(*made.started)
        for number, pod in enumerate(made.addresses, start=2):
            subprocess.run(["ip", "link", "delete", f"mrp-{number}"], check=False)
            subprocess.run(["ip", "netns", "delete", f"{BRIDGE}-{pod}"], check=False)
        subprocess.run(["ip", "link", "delete", BRIDGE], check=False)
