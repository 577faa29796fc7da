"""Cost of access keys: W2 through an Envoy that verifies keys over W2 through one that does not, in interleaved pairs.

Both stand in front of the same TorchServe. The key has no rate limit, but a bucket is looked up for it all the same.
"""

import argparse
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import httpx
import psutil

from benchmarks import machine, workloads
from benchmarks.load.closed_loop import closed_loop
from benchmarks.load.dialects import plain
from benchmarks.load.wire import Target
from benchmarks.marina import bundle, card_of
from benchmarks.pairs import WARM_UP_SECONDS
from benchmarks.processes import NotReadyError, free_ports
from benchmarks.results.intervals import of_median, of_ratio
from benchmarks.workloads import Workload
from marina.security.access_keys import SigningKey, new_key
from marina.serving.envoy import bootstrap, gateway
from marina.serving.envoy.route_state import ModelRouteState, VersionRouteState
from marina.serving.torchserve.client import Keys
from marina.settings import Settings

SIDES = ("on", "off")
Cpu = Callable[[], float]
OTHER_KEYS = 100  # in the registry, beside the one that is used
START_SECONDS = 30


@contextmanager
def envoy(workload: Workload, served: Settings, folder: Path, access_keys: bool) -> Iterator[tuple[Target, Cpu]]:
    """Start one more Envoy in front of a bundle's TorchServe; yield its requests, and its processor time so far."""
    fields = [name for name in Settings.model_fields if name == "port" or name.endswith("_port")]
    ports = dict(zip(fields, free_ports(len(fields)), strict=True)) | {"inference_port": served.inference_port}
    settings = Settings(var=folder, access_keys=access_keys, **ports)  # type: ignore[arg-type]
    settings.make_folders()
    token = Keys.read(served)
    if token is None:
        raise NotReadyError("TorchServe has written no keys")
    name = card_of(workload).name
    gateway.publish(settings, {name: ModelRouteState("1.0", {"1.0": VersionRouteState(60)})}, token.inference)
    headers: dict[str, str] = {}
    if access_keys:
        signing = SigningKey(settings.keys)
        keys = [
            new_key(signing.public, f"user-{number}", ("predict",), 3600, rate, None, time.time())
            for number, rate in enumerate([None, *[50] * OTHER_KEYS])
        ]
        keys = [*keys[1:], keys[0]]  # the one that is used comes last, where a list is searched
        gateway.publish_keys(settings, keys)
        headers = {"Authorization": f"Bearer {signing.token(keys[-1])}"}
    bootstrap.render(settings)
    command = [gateway.binary(), "-c", bootstrap.bootstrap_file(settings), "--disable-hot-restart", "-l", "error"]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    try:
        _wait(f"http://127.0.0.1:{settings.port}/predictions/{name}", headers, workload)
        envoy_process = psutil.Process(process.pid)
        target = plain(f"/predictions/{name}").target(workload, settings.port, headers)
        yield target, lambda: sum(envoy_process.cpu_times()[:2])
    finally:
        process.terminate()
        process.wait()


def _wait(url: str, headers: dict[str, str], workload: Workload) -> None:
    """Wait for the first prediction."""
    deadline = time.monotonic() + START_SECONDS
    headers = {"Content-Type": workload.content_type, **headers}
    reason = ""
    while time.monotonic() < deadline:
        try:
            response = httpx.post(url, content=workload.bodies[0], headers=headers, trust_env=False)
        except httpx.TransportError as exc:
            reason = str(exc)
        else:
            if response.is_success:
                return
            reason = response.text
        time.sleep(0.2)
    raise NotReadyError(f"Envoy does not respond: {reason}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=int, default=15)
    parser.add_argument("--seconds", type=float, default=4.0)
    parser.add_argument("--connections", type=int, default=16)
    parser.add_argument("--warm-up", type=float, default=WARM_UP_SECONDS)
    options = parser.parse_args()
    workload = workloads.load("W2")
    print(f"{machine.facts()['processor']}, {machine.cores()} cores, W2 c{options.connections}")
    rates: dict[str, dict[int, float]] = {side: {} for side in SIDES}
    costs: dict[str, dict[int, float]] = {side: {} for side in SIDES}  # microseconds of Envoy for a request
    with TemporaryDirectory(prefix="bench-") as name, bundle(workload, Path(name)) as served:
        folder = Path(name)
        with (
            envoy(workload, served, folder / "on", True) as on,
            envoy(workload, served, folder / "off", False) as off,
        ):
            sides = {"on": on, "off": off}
            closed_loop(off[0], options.connections, options.warm_up)
            for pair in range(options.pairs):
                for side in SIDES if pair % 2 else reversed(SIDES):
                    (target, cpu), before = sides[side], sides[side][1]()
                    result = closed_loop(target, options.connections, options.seconds, 0.0, workload.is_right)
                    if result.errors or result.wrong:
                        raise NotReadyError(f"keys {side}: {result.errors} errors, {result.wrong} wrong responses")
                    rates[side][pair] = result.rate
                    costs[side][pair] = (cpu() - before) / result.responses * 1e6
                on_rate, off_rate = rates["on"][pair], rates["off"][pair]
                print(f"  {pair + 1}: on {on_rate:,.0f}/s, off {off_rate:,.0f}/s, {on_rate / off_rate:.3f}", flush=True)
    ratio = of_ratio(rates["on"], rates["off"])
    assert ratio is not None
    print(f"keys on / off: {ratio.text('.3f')}")
    on_cost, off_cost = (of_median(list(costs[side].values())).text() for side in SIDES)
    print(f"Envoy's processor time: {on_cost} microseconds a request with keys, {off_cost} without")


if __name__ == "__main__":
    main()
