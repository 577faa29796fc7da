"""A fleet without servers."""

import asyncio

from serving.desired import Desired
from serving.overlay import Overlaying
from serving.settings import Settings
from serving.status import BundleStatus, ModelStatus, Part
from serving.views import ModelView, VersionView


class StubFleet:
    """Serves a@1.0 and b@2.0. `proved` are the versions whose canary was requested, `tasks` by model or an exception;
    Envoy takes new routes after `slow` requests for the status."""

    def __init__(self, settings: Settings, overlaying: Overlaying | None = None) -> None:
        self.settings = settings
        self.overlaying = overlaying
        self.desired = Desired()
        self.runs = False
        self.proved: list[tuple[str, str]] = []
        self.tasks: dict[str, str | Exception] = {}
        self.slow = 0
        self.asked = 0
        self.models: dict[str, ModelStatus] = {}

    async def run(self) -> None:
        """Until cancelled."""
        self.runs = True
        try:
            await asyncio.Event().wait()
        finally:
            self.runs = False

    def views(self) -> dict[str, ModelView]:
        return {
            "a": ModelView("1.0", {"1.0": VersionView(20)}),
            "b": ModelView("2.0", {"2.0": VersionView(20)}),
        }

    async def prove(self, name: str, version: str) -> str:
        self.proved.append((name, version))
        task = self.tasks.get(name, "image_classification")
        if isinstance(task, Exception):
            raise task
        return task

    async def status(self) -> BundleStatus:
        self.asked += 1
        ready = self.asked > self.slow
        return BundleStatus(ready=ready, torchserve=Part(ready=True), envoy=Part(ready=ready), models=self.models)
