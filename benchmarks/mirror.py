"""Cost of a hung mirror for live requests: p99 with it over p99 without, in interleaved pairs.

Real Envoy; its upstream responds in 5 ms (tests/experiments/routing/envoy_instance.py): the routing is measured.
"""

import platform
import statistics
import tempfile
import time
from pathlib import Path

import numpy as np
import psutil

from tests.experiments.routing.envoy_instance import EnvoyInstance, experiment, state, temporary_envoy

PAIRS, REQUESTS = 5, 3000
UPSTREAM_SECONDS, HUNG_SECONDS = 0.005, 60.0
CONTROL, CANDIDATE = "a@1.0", "b@2.0"


def p99(envoy: EnvoyInstance, percent: float) -> float:
    """Return the p99 in seconds of REQUESTS by a few clients; `percent` of them are mirrored to the hung candidate."""
    mirror = {"to": CANDIDATE, "percent": percent} if percent else None
    envoy.publish(state(experiment(mirror=mirror).with_weights({CONTROL: 100})))
    seconds: list[float] = []
    for _ in range(REQUESTS // 100):
        replies = envoy.send([{}] * 100, timed=seconds)
        assert {reply.status for reply in replies} == {200}
    return float(np.quantile(seconds, 0.99))


def main() -> None:
    print(f"{platform.platform()}, {psutil.cpu_count()} cores, {PAIRS} pairs of {REQUESTS} requests")
    ratios = []
    with tempfile.TemporaryDirectory() as folder, temporary_envoy(Path(folder)) as envoy:
        envoy.upstream.delays = {"a/1.0": UPSTREAM_SECONDS, "b/2.0": HUNG_SECONDS}
        p99(envoy, 0)
        for pair in range(PAIRS):
            order = (0.0, 20.0) if pair % 2 == 0 else (20.0, 0.0)
            found = {percent: p99(envoy, percent) for percent in order}
            ratios.append(found[20.0] / found[0.0])
            print(f"  p99 {1e3 * found[0.0]:.1f} ms, with a hung mirror {1e3 * found[20.0]:.1f} ms: {ratios[-1]:.2f}")
            time.sleep(1)
    print(f"ratio of p99 with a hung mirror at 20 %: median {statistics.median(ratios):.2f}, worst {max(ratios):.2f}")


if __name__ == "__main__":
    main()
