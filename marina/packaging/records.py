"""Records inside an archive, signed with it: its bill of materials, and how and from what it was built.

`sbom.json` is CycloneDX; `provenance.json` an in-toto statement with the SLSA predicate. Metrics are in
`card.json`, which the provenance names by its digest. Neither holds the name of a person or machine.
"""

import hashlib
import importlib.metadata
import json
import os
import subprocess
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from cyclonedx.model.component import ComponentType

from marina.packaging.freshness import imported_packages
from marina.security import sbom
from marina.settings import ROOT

SBOM, PROVENANCE = "sbom.json", "provenance.json"
EARLIEST = datetime(1980, 1, 1, tzinfo=UTC)  # of a zip


def made_at(card: dict[str, Any]) -> datetime:
    """Return the time that the archive carries: SOURCE_DATE_EPOCH, or when the weights were made. Never now.

    https://reproducible-builds.org/specs/source-date-epoch/
    """
    if epoch := os.environ.get("SOURCE_DATE_EPOCH"):
        return max(EARLIEST, datetime.fromtimestamp(int(epoch), UTC))
    text = card.get("trained_at") or card.get("imported_at")
    return max(EARLIEST, datetime.fromisoformat(text).astimezone(UTC)) if text else EARLIEST


def write(content: Path, card: dict[str, Any], sources: Iterable[Path]) -> None:
    """Write both records into `content`, the files of the archive; `sources` are its code, below ROOT."""
    files = {path.relative_to(content).as_posix(): path for path in sorted(content.rglob("*")) if path.is_file()}
    handler = f"{card['task']}.py"
    files[handler] = ROOT / "handlers" / handler
    digests = {name: hashlib.sha256(path.read_bytes()).hexdigest() for name, path in sorted(files.items())}
    packages = distributions(imported_packages(sources))
    (content / SBOM).write_text(bill(card, files, digests, packages), encoding="utf-8")
    (content / PROVENANCE).write_text(json.dumps(provenance(card, digests), indent=1) + "\n", encoding="utf-8")


def bill(card: dict[str, Any], files: dict[str, Path], digests: dict[str, str], packages: dict[str, str]) -> str:
    """Return the bill of materials: files with their hashes, and the packages that the code imports."""
    bom = sbom.new_bom(card["name"], card["version"], made_at(card), json.dumps([digests, packages], sort_keys=True))
    for name, path in files.items():
        data = name.endswith((".safetensors", ".onnx", ".bin"))
        bom.components.add(sbom.file(name, path, ComponentType.DATA if data else ComponentType.FILE))
    for name, version in packages.items():
        bom.components.add(sbom.distribution(name, version))
    return sbom.as_json(bom)


def distributions(packages: Iterable[str]) -> dict[str, str]:
    """Return the installed version of every distribution that provides one of the packages."""
    providers = importlib.metadata.packages_distributions()
    names = sorted({name for package in packages for name in providers.get(package, ())})
    return {name: importlib.metadata.version(name) for name in names}


def provenance(card: dict[str, Any], digests: dict[str, str]) -> dict[str, Any]:
    """Return the statement: what the archive holds, and the source, data and parameters that it was made from."""
    data = card.get("data", {})
    dependencies = [*commit()]
    if "sha256" in data:
        dependencies.append({"name": f"data set {data['name']}", "digest": {"sha256": data["sha256"]}})
    return {
        "_type": "https://in-toto.io/Statement/v1",
        "subject": [{"name": name, "digest": {"sha256": digest}} for name, digest in digests.items()],
        "predicateType": "https://slsa.dev/provenance/v1",
        "predicate": {
            "buildDefinition": {
                "buildType": "https://pytorch.org/serve/model-archive",
                "externalParameters": {member: card.get(member) for member in ("name", "version", "preset", "recipe")},
                "internalParameters": {"card.json": digests["card.json"]},
                "resolvedDependencies": dependencies,
            },
            "runDetails": {
                "builder": {"id": "urn:marina:archive", "version": {"marina": importlib.metadata.version("marina")}},
                "metadata": {"finishedOn": made_at(card).isoformat()},
            },
        },
    }


def commit() -> list[dict[str, Any]]:
    """Return the commit of the checkout, and whether its code was changed since; empty without git."""
    try:
        head = _git("rev-parse", "HEAD")
        changed = _git("status", "--porcelain", "--", "handlers", "models", "marina")
    except (OSError, subprocess.CalledProcessError):
        return []
    return [{"name": "source", "digest": {"gitCommit": head}, "annotations": {"dirty": bool(changed)}}]


def _git(*arguments: str) -> str:
    command = ["git", "-C", str(ROOT), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
