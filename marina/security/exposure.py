"""Exposure of the public port: what an address needs before it may open, and what a start prints about it."""

from marina.errors import ExposureError
from marina.settings import Settings


def check(settings: Settings) -> None:
    """Raise ExposureError for an address that others reach without keys and TLS, unless the bundle is `insecure`."""
    if settings.nodes and settings.keys_required and not (settings.cert and settings.ca):
        raise ExposureError(
            "nodes that need keys must trust each other by certificates: give CERT=, KEY= and CA= (MARINA_CA), "
            "which `marina tls init` writes for trials"
        )
    if settings.on_loopback or settings.insecure:
        return
    missing = []
    if not settings.keys_required:
        missing.append("access keys (MARINA_ACCESS_KEYS=true)")
    if not settings.cert:
        missing.append("TLS (--cert and --key; `marina tls init` writes certificates for trials)")
    if missing:
        raise ExposureError(
            f"{settings.host} can be reached by other machines, and {' and '.join(missing)} must be on for that. "
            "--insecure starts without: then everybody who reaches the port may do everything"
        )


def banner(settings: Settings, active_keys: int) -> list[str]:
    """Return lines about the address, encryption, and who may do what; none for a plain bundle on loopback."""
    if settings.on_loopback and not settings.keys_required:
        return []
    reach = "this machine alone" if settings.on_loopback else "every machine that reaches it"
    tls = "TLS 1.2 and 1.3" if settings.cert else "without TLS: keys and data can be read on the way"
    lines = [f"exposed: {settings.host}:{settings.port} to {reach}, {tls}"]
    if settings.keys_required:
        lines.append(f"access:  by key ({active_keys} active), within its scopes; open to all: /ready and /docs")
    else:
        lines.append("access:  INSECURE, everybody may predict, explain, give feedback and read metrics")
    if settings.keys_required and not active_keys:
        lines.append("there is no key yet: `marina key create --scope predict`")
    return lines
