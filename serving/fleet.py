"""The loop that makes true what is desired: TorchServe has the models, Envoy the routes to those that are ready."""

import asyncio
import contextlib
import time
from dataclasses import replace

import httpx

from serving import desired, gateway, overlay, torchserve
from serving.desired import Desired
from serving.gateway import Gateway
from serving.management import Keys, Liveness, RefusedError, TorchServe
from serving.member import Member
from serving.peers import Peers
from serving.settings import Settings
from serving.status import BundleStatus, ModelStatus, Part
from serving.views import ModelView

# With all models ready only their pids are watched; TorchServe is asked anew this often.
LOOK_AGAIN_SECONDS = 5.0
# From the beginning of one look to the next: anybody may ask, and with 36 models a look costs 16 ms.
APART_SECONDS = 0.1
TAKE_OVER_SECONDS = 10.0
TORCHSERVE = {
    "up": Part(ready=True),
    "silent": Part(ready=False, reason="TorchServe takes connections but does not answer"),
    "down": Part(ready=False, reason="TorchServe is not running"),
}


class Fleet:
    """Every version of every model, and the two servers. One instance runs, in control.

    `overlaying` is asked at every tick what comes before the models' own routes.
    """

    def __init__(self, settings: Settings, overlaying: overlay.Overlaying = lambda _: overlay.NONE) -> None:
        self.settings = settings
        self._overlaying = overlaying
        self._peers = Peers(settings)
        self.desired = Desired()
        self._members: dict[tuple[str, str], Member] = {}
        unseen = Part(ready=False, reason="not looked at yet")
        self._status = BundleStatus(ready=False, torchserve=unseen, envoy=unseen, models={})
        self._defaults: dict[str, str] = {}
        self._torchserve: TorchServe | None = None
        self._gateway = Gateway(settings)
        self._published: dict[str, str] = {}
        self._asked = self._looked = float("-inf")
        self._began = time.monotonic()
        self._lock = asyncio.Lock()

    async def run(self) -> None:
        """Until cancelled."""
        peers = asyncio.create_task(self._peers.watch())
        try:
            while True:
                await self.status()
                await asyncio.sleep(self.settings.poll_seconds)
        finally:
            peers.cancel()
            self._forget()
            await self._gateway.close()

    async def status(self) -> BundleStatus:
        """The truth of this moment: nothing in it was seen before it was asked for."""
        asked = time.monotonic()
        async with self._lock:
            if self._looked < asked:  # else another look began while this one waited for its turn
                await asyncio.sleep(self._looked + APART_SECONDS - time.monotonic())
                began = time.monotonic()
                await self._look()
                self._looked = began
            return self._status

    async def prove(self, name: str, version: str) -> str:
        """The task of a version that is ready here, and answers right now. Raises RefusedError with the reason, and
        httpx.TransportError."""
        model = (await self.status()).models.get(name)
        found = model.versions.get(version) if model else None
        if found is None or self._torchserve is None:
            raise RefusedError("it is not served: `make register`")
        if not found.ready:
            raise RefusedError(f"it is not ready: {found.reason}")
        return await self._members[name, version].prove(self._torchserve)

    async def _look(self) -> None:
        """Look at everything once, begin what is to be done, tell Envoy."""
        self.desired = desired.load(self.settings)
        liveness = await self._follow()
        self._enlist()
        if self._torchserve is not None and liveness == "up":
            await self._observe(self._torchserve)
        token = self._torchserve.keys.inference if self._torchserve else None
        # No await in between: what is said to be ready must be what Envoy was told to let through.
        models = self._models()
        if self._taking_over(liveness):
            envoy = Part(ready=False, reason="control was started anew and has not seen every model yet")
        else:
            views = self.views()
            self._published = gateway.publish(self.settings, views, token, self._overlaying(views))
            envoy = await self._look_at_envoy()
        if envoy.ready and self._torchserve is not None:
            for member in self._members.values():
                member.proceed(self._torchserve, self._gateway)
        ready = liveness == "up" and envoy.ready and all(model.ready for model in models.values())
        self._status = BundleStatus(ready=ready, torchserve=TORCHSERVE[liveness], envoy=envoy, models=models)

    def _taking_over(self, liveness: Liveness) -> bool:
        """A control that is started anew beside a running TorchServe leaves Envoy's routes as they are until it has
        seen every model answer: its predecessor's death must cost no request."""
        unsure = any(member.state in {"waiting", "checking"} for member in self._members.values())
        if liveness != "up" or not unsure or time.monotonic() - self._began > TAKE_OVER_SECONDS:
            self._began = float("-inf")
        return self._began > float("-inf")

    async def _follow(self) -> Liveness:
        """Is TorchServe there? One that was started anew knows no model and has new keys."""
        keys = Keys.read(self.settings)
        if self._torchserve is None or self._torchserve.keys != keys:
            self._forget()
            self._torchserve = TorchServe(self.settings, keys) if keys else None
        liveness = await self._torchserve.alive() if self._torchserve else "down"
        if liveness == "down":
            self._forget()
        return liveness

    def _forget(self) -> None:
        for member in self._members.values():
            member.cancel()
        self._members, self._defaults, self._torchserve = {}, {}, None
        self._asked = float("-inf")

    def _enlist(self) -> None:
        """One member for each desired version, and none else."""
        wanted = {
            (name, version): it for name, model in self.desired.models.items() for version, it in model.versions.items()
        }
        for key in self._members.keys() - wanted.keys():
            self._members.pop(key).cancel()
        for key, it in wanted.items():
            self._members.setdefault(key, Member(self.settings, *key, it)).wanted = it

    async def _observe(self, torchserve: TorchServe) -> None:
        everything = time.monotonic() - self._asked > LOOK_AGAIN_SECONDS
        names = {name for (name, _), member in self._members.items() if everything or not member.settled}
        names |= {name for name, model in self.desired.models.items() if self._defaults.get(name) != model.default}
        if everything:
            self._asked = time.monotonic()
        await asyncio.gather(*(self._observe_model(torchserve, name) for name in names))

    async def _observe_model(self, torchserve: TorchServe, name: str) -> None:
        model = self.desired.models[name]
        # A TorchServe too busy to answer changes nothing: the next tick asks again.
        with contextlib.suppress(httpx.HTTPError, RefusedError):
            found = await torchserve.describe(name)
            for version in model.versions:
                self._members[name, version].observe(found.get(version), torchserve)
            if model.default in found and self._defaults.get(name) != model.default:
                await torchserve.set_default(name, model.default)
                self._defaults[name] = model.default

    def views(self) -> dict[str, ModelView]:
        """What Envoy shall know of every model."""
        longest = torchserve.seconds(self.settings)
        views: dict[str, ModelView] = {}
        for name, model in self.desired.models.items():
            versions = {}
            for version in model.versions:
                view = self._members[name, version].view
                elsewhere = self._peers.serving(name, version)
                versions[version] = replace(
                    view, deadline=view.deadline or longest, elsewhere=elsewhere, several=bool(self.settings.peers)
                )
            views[name] = ModelView(model.default, versions)
        return views

    async def _look_at_envoy(self) -> Part:
        try:
            applied = await self._gateway.applied(self._published)
        except httpx.HTTPError:
            return Part(ready=False, reason="Envoy is not running")
        return Part(ready=applied, reason=None if applied else "Envoy has not taken the latest routes yet")

    def _models(self) -> dict[str, ModelStatus]:
        models = {}
        for name, model in self.desired.models.items():
            versions = {version: self._members[name, version].status for version in model.versions}
            asked = [
                versions[version].ready for version, it in model.versions.items() if it.workers and not it.retiring
            ]
            models[name] = ModelStatus(ready=all(asked), default=model.default, versions=versions)
        return models
