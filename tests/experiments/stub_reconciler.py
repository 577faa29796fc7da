"""Reconciler without servers."""

import asyncio

from marina.serving.envoy.route_state import ExtendRoutes, ModelRouteState, VersionRouteState
from marina.serving.reconciler.desired_state import DesiredState
from marina.serving.reconciler.status import BundleStatus, ModelStatus, ServerStatus
from marina.settings import Settings


class StubReconciler:
    """Serves a@1.0 and b@2.0. `probed` are the versions whose canary was requested, `tasks` by model or an exception;
    Envoy takes new routes after `slow` requests for the status."""

    def __init__(self, settings: Settings, extend_routes: ExtendRoutes | None = None) -> None:
        self.settings = settings
        self.extend_routes = extend_routes
        self.desired = DesiredState()
        self.runs = False
        self.probed: list[tuple[str, str]] = []
        self.tasks: dict[str, str | Exception] = {}
        self.slow = 0
        self.polls = 0
        self.models: dict[str, ModelStatus] = {}

    async def run(self) -> None:
        """Run until cancelled."""
        self.runs = True
        try:
            await asyncio.Event().wait()
        finally:
            self.runs = False

    def route_states(self) -> dict[str, ModelRouteState]:
        return {
            "a": ModelRouteState("1.0", {"1.0": VersionRouteState(20)}),
            "b": ModelRouteState("2.0", {"2.0": VersionRouteState(20)}),
        }

    async def probe(self, name: str, version: str) -> str:
        self.probed.append((name, version))
        task = self.tasks.get(name, "image_classification")
        if isinstance(task, Exception):
            raise task
        return task

    async def status(self) -> BundleStatus:
        self.polls += 1
        ready = self.polls > self.slow
        return BundleStatus(
            ready=ready, torchserve=ServerStatus(ready=True), envoy=ServerStatus(ready=ready), models=self.models
        )
