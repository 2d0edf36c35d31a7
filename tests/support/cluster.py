"""An embedded server that a test may kill."""

import subprocess

from adapters.postgres.embedded.cluster import Cluster
from tests.support.waiting import eventually


def start_server(cluster: Cluster, output: int | None = None) -> subprocess.Popen[bytes]:
    """Start the server, again and again while the shared memory of the killed one is still in use."""
    attempts: list[subprocess.Popen[bytes]] = []

    def up() -> bool:
        if not attempts or attempts[-1].poll() is not None:
            attempts.append(cluster.spawn(output))
        return cluster.is_ready() and attempts[-1].poll() is None

    eventually(up)
    return attempts[-1]
