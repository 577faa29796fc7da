"""One model version step by step, without a reconciler."""

import asyncio

from marina.serving.envoy.gateway import Gateway
from marina.serving.reconciler import desired_state
from marina.serving.reconciler.desired_state import DesiredState, ModelSpec, VersionSpec
from marina.serving.reconciler.model_version import ModelVersion
from marina.serving.torchserve.client import Keys, TorchServe
from tests.serving.archive_files import write_mar
from tests.serving.fake_servers import FakeServers

DEADLINE = 20  # of the fake servers: responseTimeout


class Steps:
    """One ModelVersion with fake servers, and the passes that the reconciler would make."""

    def __init__(self, servers: FakeServers, workers: int = 1, **archive) -> None:
        write_mar(servers.settings, "cat", **archive)
        self.servers = servers
        servers.start()
        (servers.settings.envoy / "cds.json").write_text('{"version_info": ""}')
        spec = VersionSpec(archive="cat-1.0.mar", workers=workers)
        self.version = ModelVersion(servers.settings, "cat", "1.0", spec)
        desired_state.save(
            servers.settings, DesiredState(models={"cat": ModelSpec(default="1.0", versions={"1.0": spec})})
        )
        self.torchserve = TorchServe(servers.settings, Keys(inference="i1", management="m1"))
        self.gateway = Gateway(servers.settings)
        self.states: list[str] = []

    async def tick(self, applied: bool = False) -> None:
        """Reconcile, remove workers if Envoy has `applied` the routes, and wait for the background task."""
        described = (await self.torchserve.describe("cat")).get("1.0")
        self.version.reconcile(described, self.torchserve)
        self.states.append(self.version.state)
        if applied:
            self.version.remove_workers(self.torchserve, self.gateway)
        for _ in range(5000):
            if not self.version._task.busy:
                break
            await asyncio.sleep(0.001)

    async def ticks(self, count: int) -> None:
        for _ in range(count):
            await self.tick()


def run(servers: FakeServers, scenario, **kind) -> Steps:
    async def play() -> Steps:
        steps = Steps(servers, **kind)
        await scenario(steps)
        return steps

    return asyncio.run(play())
