"""Loop that lets Envoy follow the registry of access keys, which other nodes and the command line change."""

import asyncio
import logging

import httpx

from marina.errors import AccessKeyError
from marina.security.key_registry import KeyRegistry
from marina.serving.envoy import audit_log, gateway
from marina.settings import Settings

logger = logging.getLogger(__name__)

POLL_SECONDS = 0.5  # a revoked key must be refused within two seconds on every node


class KeyPublisher:
    """The loop; it runs in control. While the registry does not respond, Envoy keeps the keys that it has."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._registry = KeyRegistry(settings)
        self._problem = ""

    async def run(self) -> None:
        """Run until cancelled."""
        while True:
            await asyncio.to_thread(self.publish)
            await asyncio.to_thread(self._rotate)
            await asyncio.sleep(POLL_SECONDS)

    def publish(self) -> None:
        """Publish the active keys; an error is logged once."""
        try:
            gateway.publish_keys(self._settings, self._registry.active())
        except (AccessKeyError, OSError) as exc:
            if str(exc) != self._problem:
                logger.error("access keys stay as they are: %s", exc)
            self._problem = str(exc)
        else:
            self._problem = ""

    def _rotate(self) -> None:
        try:
            if audit_log.rotate(audit_log.audit_file(self._settings)):
                gateway.reopen_logs(self._settings)
        except (httpx.HTTPError, OSError) as exc:
            logger.warning("the audit log was not rotated: %s", exc)
