"""The bill of materials of a virtual environment, as CycloneDX 1.5 in JSON.

``sbom.py FOLDER NAME`` writes it to standard output: what is installed, not what was asked for.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from importlib.metadata import Distribution, distributions
from pathlib import Path
from typing import Any


def bill_of_materials(environment: Path, name: str) -> dict[str, Any]:
    """Return the document for every package below ``environment``, sorted by name."""
    components = sorted(_components(environment), key=lambda one: str(one["purl"]))
    return {
        "bomFormat": "CycloneDX",
        "specVersion": "1.5",
        "version": 1,
        "metadata": {"component": {"type": "container", "name": name, "bom-ref": name}},
        "components": components,
        "dependencies": [{"ref": name, "dependsOn": [one["bom-ref"] for one in components]}],
    }


def _components(environment: Path) -> Iterator[dict[str, Any]]:
    folders = [str(path) for path in environment.glob("lib/python*/site-packages")]
    for found in distributions(path=folders):
        name = found.metadata["Name"].lower().replace("_", "-").replace(".", "-")
        purl = f"pkg:pypi/{name}@{found.version}"
        component: dict[str, Any] = {
            "type": "library",
            "bom-ref": purl,
            "name": name,
            "version": found.version,
            "purl": purl,
        }
        if licence := _licence(found):
            component["licenses"] = [licence]
        yield component


def _licence(found: Distribution) -> dict[str, Any] | None:
    if expression := found.metadata.get("License-Expression"):
        return {"expression": expression}
    classifiers = found.metadata.get_all("Classifier") or []
    names = [line.rpartition(" :: ")[2] for line in classifiers if line.startswith("License ::")]
    return {"license": {"name": names[0]}} if names else None


def main() -> int:
    """Write the bill of materials of the folder that the arguments name."""
    environment, name = sys.argv[1:]
    json.dump(bill_of_materials(Path(environment), name), sys.stdout, indent=1)
    return 0


if __name__ == "__main__":
    sys.exit(main())
