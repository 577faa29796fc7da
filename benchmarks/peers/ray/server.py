"""Ray Serve: a replica per core, batches. `server.py W1|W2 PORT`."""

import signal
import sys

import ray
from ray import serve
from starlette.requests import Request
from starlette.responses import Response

from benchmarks.machine import cores
from benchmarks.networks import BATCH, tuned


class Bench:
    """One replica."""

    def __init__(self, workload: str) -> None:
        self.model = tuned(workload)
        self.respond.set_max_batch_size(BATCH[workload])

    @serve.batch(max_batch_size=8, batch_wait_timeout_s=0.001)
    async def respond(self, bodies: list[bytes]) -> list[bytes]:
        return self.model.respond(bodies)

    async def __call__(self, request: Request) -> Response:
        return Response(await self.respond(await request.body()), media_type="application/json")


def main(workload: str, port: int) -> None:
    """Run Ray Serve; spare logical CPUs keep the proxy and the controller from competing with the replicas."""
    ray.init(num_cpus=cores() + 2, include_dashboard=False, log_to_driver=False, configure_logging=False)
    serve.start(http_options={"host": "127.0.0.1", "port": port, "access_log": False})
    deployment = serve.deployment(Bench, num_replicas=cores(), max_ongoing_requests=64)
    serve.run(deployment.bind(workload), name="bench", route_prefix="/predict")
    signal.sigwait({signal.SIGTERM, signal.SIGINT})
    ray.shutdown()


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
