"""Headers of the HTML pages: a content security policy, no frames, no referrer.

The policy names the inline scripts of a page by their hashes, so that none that got into it otherwise runs. Pages load
nothing from elsewhere.
"""

import base64
import hashlib
import re

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

INLINE_SCRIPT = re.compile(rb"<script>(.*?)</script>", re.DOTALL)


def content_security_policy(page: bytes) -> str:
    """Return the policy of an HTML page. Swagger UI and the report need inline styles and images in data URLs.

    >>> content_security_policy(b"<p>")[:53]
    "default-src 'none'; script-src 'self'; style-src 'sel"
    """
    hashes = [
        f" 'sha256-{base64.b64encode(hashlib.sha256(script).digest()).decode()}'"
        for script in INLINE_SCRIPT.findall(page)
    ]
    return "; ".join(
        (
            "default-src 'none'",
            f"script-src 'self'{''.join(hashes)}",
            "style-src 'self' 'unsafe-inline'",
            "img-src 'self' data:",
            "connect-src 'self'",
            "base-uri 'none'",
            "form-action 'self'",
            "frame-ancestors 'none'",
        )
    )


class PageHeaders:
    """ASGI middleware that adds the headers to HTML responses. Envoy adds those of all responses."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        start: Message | None = None  # of an HTML page, held back until its body is complete
        body = b""

        async def send_page(message: Message) -> None:
            nonlocal start, body
            if message["type"] == "http.response.start":
                if MutableHeaders(scope=message).get("content-type", "").startswith("text/html"):
                    start = message
                    return
            elif start is not None:
                body += message.get("body", b"")
                if message.get("more_body"):
                    return
                added = MutableHeaders(scope=start)
                added["content-security-policy"] = content_security_policy(body)
                added["referrer-policy"] = "no-referrer"
                added["x-frame-options"] = "DENY"
                await send(start)
                message = {"type": "http.response.body", "body": body}
            await send(message)

        await self._app(scope, receive, send_page)
