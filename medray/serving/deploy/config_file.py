"""A Ray Serve YAML of a service, for `serve deploy` on a cluster."""

from pathlib import Path
from typing import Any

import yaml
from rich.console import Console

from medray.console import say
from medray.ensemble.manifest import ensemble_folder, version_of
from medray.files import write_file
from medray.serving.deploy.serve_options import ServeOptions, home_folder
from medray.serving.engine.served_model import ServedModel, default_name

HEAD = """\
# A service of medray for `serve deploy` on a Ray cluster where medray is installed on every node.
# Every node must reach `location`, `home`, `audit_folder` and `token_file`: shared storage, or s3:// for the
# first.
# HAProxy is switched on by the cluster's own environment, on every node, before `ray start`:
#   export RAY_SERVE_ENABLE_HA_PROXY=1 RAY_SERVE_THROUGHPUT_OPTIMIZED=1
#   export RAY_SERVE_COLLECT_AUTOSCALING_METRICS_ON_HANDLE=0
# Replicas then listen on all interfaces of their nodes: let no port but the service's through the firewall.
"""


def config(options: ServeOptions) -> dict[str, Any]:
    """Return the YAML's content, in Ray Serve's own schema.

    Raises:
        MedrayError: the ensemble can't be served, or an option is wrong.
    """
    options.check()
    from medray.serving.deploy.deployment import DEPLOYMENT, ReplicaSpec

    folder = ensemble_folder(options.location)
    location = folder.location if folder.local is None else str(folder.local.absolute())
    version = version_of(folder)
    name = options.name or default_name(options.location)
    ServedModel.load(location, name, version=version, threads=options.threads)
    min_replicas, _ = options.replica_range()
    home = str(home_folder(options.location, options.home))
    spec = ReplicaSpec(location, version, name, options.settings(), min_replicas, home)
    return {
        "proxy_location": "EveryNode",
        "http_options": {"host": options.host, "port": options.port},
        "logging_config": {"enable_access_log": False, "log_level": "WARNING"},
        "applications": [
            {
                "name": "medray",
                "route_prefix": "/",
                "import_path": "medray.serving.deploy.deployment:build",
                "args": spec.to_dict(),
                "deployments": [{"name": DEPLOYMENT, **options.serve_options()}],
            }
        ],
    }


def write_config(options: ServeOptions, file: str, console: Console) -> None:
    """Write the YAML to `file`.

    Raises:
        MedrayError: the ensemble can't be served, an option is wrong, or the file can't be written.
    """
    text = HEAD + yaml.safe_dump(config(options), sort_keys=False)
    write_file(Path(file), text.encode())
    say(console, f"Wrote {file}; on the cluster: serve deploy {file}")
