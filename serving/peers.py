"""The other nodes that share the load: which versions each of them serves."""

import asyncio
import logging

import httpx
from pydantic import ValidationError

from serving.settings import Settings
from serving.status import BundleStatus

logger = logging.getLogger(__name__)

LOOK_SECONDS = 1.0


class Peers:
    """A peer is another Marina, known by "host:port" of its public port; nothing is asked of it but /ready."""

    def __init__(self, settings: Settings) -> None:
        self._http = httpx.AsyncClient(timeout=LOOK_SECONDS, trust_env=False)
        self._served: dict[str, frozenset[tuple[str, str]]] = {
            f"{host}:{port}": frozenset() for host, port in settings.peers
        }

    def serving(self, name: str, version: str) -> frozenset[str]:
        """The peers that said, a moment ago, that this version is ready there."""
        return frozenset(peer for peer, served in self._served.items() if (name, version) in served)

    async def watch(self) -> None:
        """Until cancelled."""
        try:
            while self._served:
                await asyncio.gather(*map(self._look, self._served))
                await asyncio.sleep(LOOK_SECONDS)
        finally:
            await self._http.aclose()

    async def _look(self, peer: str) -> None:
        served: frozenset[tuple[str, str]] = frozenset()
        try:
            answer = await self._http.get(f"http://{peer}/ready")
            status = BundleStatus.model_validate_json(answer.content)
            served = frozenset(
                (name, version)
                for name, model in status.models.items()
                for version, it in model.versions.items()
                if it.ready
            )
        except (httpx.HTTPError, ValidationError) as fault:
            if self._served[peer]:
                logger.warning("node %s is gone: %s", peer, str(fault) or type(fault).__name__)
        self._served[peer] = served
