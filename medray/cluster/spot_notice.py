"""Tells Ray that AWS will take this spot machine away: `python -m medray.cluster.spot_notice HEAD:6379`.

AWS says so two minutes ahead, to the machine alone. cluster.yaml starts this on every worker: Ray then gives the
node no new work, and its trials and folds go elsewhere after their present epochs. The notice is the instance
metadata's `spot/instance-action`, asked for as IMDSv2 wants it.
"""

import json
import os
import sys
import time
import urllib.error
import urllib.request
from datetime import datetime

from medray.cluster.connect import connected
from medray.cluster.leaving import announce

POLL_S, TIMEOUT_S = 5.0, 2.0


def read_notice(endpoint: str) -> datetime | None:
    """Return when this machine will be taken away, None as long as nobody means to.

    Raises:
        OSError: the metadata can't be read.
    """
    request = urllib.request.Request(
        f"{endpoint}/latest/api/token", method="PUT", headers={"X-aws-ec2-metadata-token-ttl-seconds": "60"}
    )
    with urllib.request.urlopen(request, timeout=TIMEOUT_S) as response:
        token = response.read().decode()
    request = urllib.request.Request(
        f"{endpoint}/latest/meta-data/spot/instance-action", headers={"X-aws-ec2-metadata-token": token}
    )
    try:
        with urllib.request.urlopen(request, timeout=TIMEOUT_S) as response:
            return datetime.fromisoformat(json.load(response)["time"])
    except urllib.error.HTTPError as error:
        if error.code == 404:
            return None
        raise


def watch(address: str) -> None:
    """Wait for the notice, and announce to the Ray at `address` that this node goes."""
    endpoint = os.environ.get("AWS_EC2_METADATA_SERVICE_ENDPOINT", "http://169.254.169.254").rstrip("/")
    while True:
        try:
            deadline = read_notice(endpoint)
            if deadline is not None:
                with connected(address, verbose=False):
                    announce(deadline)
                print(f"told Ray that this node goes at {deadline.isoformat()}", flush=True)
                return
        except Exception as error:  # the metadata or Ray's head may answer next time
            print(f"{type(error).__name__}: {error}", flush=True)
        time.sleep(POLL_S)


if __name__ == "__main__":
    watch(sys.argv[1])
