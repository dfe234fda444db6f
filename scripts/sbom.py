"""Writes the parts list of the product (SBOM, CycloneDX) into out/sbom.cdx.json: each package with version, licence and needs.

    make sbom

It lists what is installed in this environment of what pyproject.toml names, with all that this needs. cyclonedx-bom reads the
environment; packages that the product does not need, such as tools of tests, are left out.
"""

import json
import subprocess
import sys
from collections.abc import Collection
from pathlib import Path
from typing import Any, Final

from packaging.utils import canonicalize_name

sys.path.insert(0, str(Path(__file__).parents[1]))

from scripts.checks.licences import product

ROOT: Final = Path(__file__).parents[1]
TARGET: Final = ROOT / "out" / "sbom.cdx.json"


def environment() -> dict[str, Any]:
    """Return the list of all packages of this environment, as cyclonedx-bom makes it."""
    words = ["environment", "--pyproject", str(ROOT / "pyproject.toml"), "--output-reproducible", "--of", "JSON"]
    done = subprocess.run(
        [sys.executable, "-m", "cyclonedx_py", *words, sys.executable], text=True, capture_output=True, check=False
    )
    if done.returncode:
        sys.exit(done.stderr.strip() or "cyclonedx-bom has failed")
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def only(found: dict[str, Any], names: Collection[str]) -> dict[str, Any]:
    """Return the list with the packages of these names alone."""
    components = [one for one in found["components"] if canonicalize_name(one["name"]) in names]
    refs = {found["metadata"]["component"]["bom-ref"], *(one["bom-ref"] for one in components)}
    needs = [
        {**one, "dependsOn": [ref for ref in one.get("dependsOn", []) if ref in refs]}
        for one in found["dependencies"]
        if one["ref"] in refs
    ]
    return {**found, "components": components, "dependencies": needs}


def main() -> None:
    """Write the list, and print how many packages it has."""
    made = only(environment(), product())
    TARGET.parent.mkdir(exist_ok=True)
    TARGET.write_text(json.dumps(made, indent=2) + "\n")
    print(f"{TARGET.relative_to(ROOT)}: {len(made['components'])} packages")


if __name__ == "__main__":
    main()
