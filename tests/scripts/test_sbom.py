"""Tests scripts/sbom.py: the parts list has the product's packages alone."""

from scripts.sbom import only


def test_packages_that_the_product_does_not_need_are_left_out() -> None:
    found = {
        "bomFormat": "CycloneDX",
        "metadata": {"component": {"bom-ref": "root"}},
        "components": [{"name": name, "bom-ref": f"{name}==1"} for name in ("Jinja2", "backports.zstd", "pytest")],
        "dependencies": [
            {"ref": "root", "dependsOn": ["Jinja2==1", "pytest==1"]},
            {"ref": "Jinja2==1"},
            {"ref": "pytest==1", "dependsOn": ["Jinja2==1"]},
        ],
    }
    made = only(found, {"jinja2", "backports-zstd"})
    assert [one["name"] for one in made["components"]] == ["Jinja2", "backports.zstd"]
    assert made["dependencies"] == [
        {"ref": "root", "dependsOn": ["Jinja2==1"]},
        {"ref": "Jinja2==1", "dependsOn": []},
    ]
    assert made["bomFormat"] == "CycloneDX"
