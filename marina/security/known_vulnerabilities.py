"""Published vulnerabilities of libraries in TorchServe's jar, which gets no more patches, and what shields each."""

from typing import NamedTuple


class KnownVulnerability(NamedTuple):
    """A CVE of one Maven artifact; `justification` is a word of CycloneDX for why it can't be exploited here."""

    identity: str
    artifact: str
    justification: str
    shield: str


PERIMETER, UNREACHABLE, CONTROL = "protected_at_perimeter", "code_not_reachable", "protected_by_mitigating_control"
SMUGGLING = "Envoy parses requests strictly and writes them again; TorchServe listens on loopback alone."
HTTP2 = "Envoy ends HTTP/2 connections and bounds their streams; TorchServe's gRPC ports listen on loopback alone."
TEMPORARY = "TorchServe's temporary folder is its own, of mode 0700."

KNOWN = (
    KnownVulnerability(
        *("CVE-2024-29025", "netty-codec-http", PERIMETER),
        "Envoy hides the content type of forms, so that netty decodes none; handlers parse them under limits.",
    ),
    KnownVulnerability("CVE-2021-21295", "netty-codec-http2", PERIMETER, SMUGGLING),
    KnownVulnerability("CVE-2021-21409", "netty-codec-http2", PERIMETER, SMUGGLING),
    KnownVulnerability("CVE-2021-43797", "netty-codec-http", PERIMETER, SMUGGLING),
    KnownVulnerability("CVE-2025-58056", "netty-codec-http", PERIMETER, SMUGGLING),
    KnownVulnerability("CVE-2023-44487", "netty-codec-http2", PERIMETER, HTTP2),
    KnownVulnerability("CVE-2025-55163", "netty-codec-http2", PERIMETER, HTTP2),
    KnownVulnerability("CVE-2021-37136", "netty-codec", UNREACHABLE, "TorchServe decodes no bzip2."),
    KnownVulnerability("CVE-2021-37137", "netty-codec", UNREACHABLE, "TorchServe decodes no Snappy frames."),
    KnownVulnerability("CVE-2023-34462", "netty-handler", UNREACHABLE, "TorchServe has no TLS: Envoy has."),
    KnownVulnerability("CVE-2021-21290", "netty-codec-http", CONTROL, TEMPORARY),
    KnownVulnerability("CVE-2022-24823", "netty-common", CONTROL, TEMPORARY),
)
