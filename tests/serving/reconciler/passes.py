"""Desired states and passes of a reconciler."""

import asyncio

from marina.serving.reconciler import desired_state
from marina.serving.reconciler.desired_state import DesiredState, ModelSpec, VersionSpec
from marina.serving.reconciler.reconciler import Reconciler
from tests.serving.archive_files import write_mar


def store_desired(settings, **models: list[str]) -> None:
    """Write archives and desired state; the first version of each model is its default."""
    found = {}
    for name, versions in models.items():
        for version in versions:
            write_mar(settings, name, version)
        found[name] = ModelSpec(
            default=versions[0],
            versions={version: VersionSpec(archive=f"{name}-{version}.mar") for version in versions},
        )
    desired_state.save(settings, DesiredState(models=found))


async def passes(of: Reconciler, count: int = 5):
    """Run that many passes, each until its background tasks end; return the last status."""
    for _ in range(count):
        status = await of.status()
        for _ in range(5000):
            if not any(version._task.busy for version in of._versions.values()):
                break
            await asyncio.sleep(0.001)
    return status
