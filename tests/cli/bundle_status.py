"""Statuses of bundles, as control reports them."""

from marina.serving.reconciler.status import BundleStatus, ModelStatus, ServerStatus, VersionStatus

UP = ServerStatus(ready=True)


def version(state: str = "ready", *workers: str, reason: str | None = None, pid: int = 0) -> VersionStatus:
    found = [{"id": "9000", "status": status, "pid": pid} for status in workers]
    return VersionStatus(ready=state == "ready", state=state, reason=reason, workers=found)


def status_of(
    versions: dict[str, VersionStatus], default: str = "1.0", envoy: ServerStatus = UP, up: ServerStatus = UP
) -> BundleStatus:
    ready = all(it.ready for it in versions.values())
    models = {"cat": ModelStatus(ready=ready, default=default, versions=versions)} if versions else {}
    return BundleStatus(ready=ready and envoy.ready and up.ready, torchserve=up, envoy=envoy, models=models)
