"""Libraries inside a jar. TorchServe's holds some thirty, most of them without the record that scanners look for."""

import re
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple


class Library(NamedTuple):
    """A Maven artifact: its version is None where the jar has its classes and no record; `evidence` is a member."""

    group: str
    artifact: str
    version: str | None
    evidence: str


POM = re.compile(r"META-INF/maven/[^/]+/[^/]+/pom\.properties")
NETTY = "META-INF/io.netty.versions.properties"
DEPENDENCY = re.compile(r"^ +- .* \(.*\) ([\w.-]+):([\w.-]+):jar:([\w.-]+)$", re.MULTILINE)
# Versions that are constants of a class or lines of a text: member, pattern, and the artifacts of that version.
MARKERS = (
    ("io/grpc/internal/GrpcUtil.class", rb"\b(1\.\d+\.\d+)\b", "io.grpc", ("grpc-core", "grpc-netty-shaded")),
    ("META-INF/groovy-release-info.properties", rb"ImplementationVersion=(\S+)", "org.codehaus.groovy", ("groovy",)),
    ("org/apache/tools/ant/version.txt", rb"VERSION=(\S+)", "org.apache.ant", ("ant",)),
)
# Artifacts by the folder of their classes, for those that leave nothing else.
FOLDERS = {
    "com/google/common/": ("com.google.guava", "guava"),
    "com/google/gson/": ("com.google.code.gson", "gson"),
    "com/google/protobuf/": ("com.google.protobuf", "protobuf-java"),
    "com/lmax/disruptor/": ("com.lmax", "disruptor"),
    "io/netty/": ("io.netty", "netty"),
    "io/prometheus/client/": ("io.prometheus", "simpleclient"),
    "org/apache/commons/cli/": ("commons-cli", "commons-cli"),
    "org/apache/commons/compress/": ("org.apache.commons", "commons-compress"),
    "org/apache/commons/io/": ("commons-io", "commons-io"),
    "org/apache/logging/log4j/core/": ("org.apache.logging.log4j", "log4j-core"),
    "org/pytorch/serve/": ("org.pytorch.serve", "model-server"),
    "org/slf4j/": ("org.slf4j", "slf4j-api"),
    "org/testng/": ("org.testng", "testng"),
    "org/yaml/snakeyaml/": ("org.yaml", "snakeyaml"),
    "software/amazon/awssdk/": ("software.amazon.awssdk", "sdk-core"),
}


def libraries(jar: Path) -> list[Library]:
    """Return every library that the jar names or holds, each once, in the order of their names."""
    found: dict[tuple[str, str], Library] = {}
    with zipfile.ZipFile(jar) as archive:
        for library in (*_recorded(archive), *_marked(archive)):
            found.setdefault((library.group, library.artifact), library)
        groups = {group for group, _ in found}
        for folder, (group, artifact) in FOLDERS.items():
            member = next((name for name in archive.namelist() if name.startswith(folder) and name != folder), None)
            if member and (group, artifact) not in found and not (group == "io.netty" and group in groups):
                found[group, artifact] = Library(group, artifact, None, member)
    return [found[key] for key in sorted(found)]


def _recorded(archive: zipfile.ZipFile) -> Iterator[Library]:
    """Yield the libraries of the records that build tools write."""
    names = archive.namelist()
    for name in filter(POM.fullmatch, names):
        facts = dict(re.findall(r"^(groupId|artifactId|version)=(\S+)$", _text(archive, name), re.MULTILINE))
        if len(facts) == 3:
            yield Library(facts["groupId"], facts["artifactId"], facts["version"], name)
    if NETTY in names:
        for artifact, version in re.findall(r"^(netty-[\w-]+)\.version=(\S+)$", _text(archive, NETTY), re.MULTILINE):
            yield Library("io.netty", artifact, version, NETTY)
    if "META-INF/DEPENDENCIES" in names:
        for group, artifact, version in DEPENDENCY.findall(_text(archive, "META-INF/DEPENDENCIES")):
            yield Library(group, artifact, version, "META-INF/DEPENDENCIES")


def _marked(archive: zipfile.ZipFile) -> Iterator[Library]:
    """Yield the libraries whose version is a constant."""
    for member, pattern, group, artifacts in MARKERS:
        if member in archive.namelist() and (match := re.search(pattern, archive.read(member))):
            yield from (Library(group, artifact, match[1].decode(), member) for artifact in artifacts)


def _text(archive: zipfile.ZipFile, member: str) -> str:
    return archive.read(member).decode(errors="replace").replace("\r\n", "\n")
