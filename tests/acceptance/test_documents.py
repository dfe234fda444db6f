"""Runs `nightpress run` over documents with an engine that echoes, and interrupts it on the way: the files come back whole."""

import json
import os
import re
import shutil
import signal
import subprocess
from pathlib import Path
from typing import Any

import pytest

from jobs.batches.published import verify
from jobs.store.opening import open_store

pytestmark = [pytest.mark.ray, pytest.mark.timeout(280)]

ECHO = '[models.echo]\nengine = "stub"\noptions = {{ step_s = {step_s}, slots = 4, echoes = true }}\n'
INTO = ("--kind", "translation", "--model", "echo", "--set", "source_language=en", "--set", "target_language=fr,pl")

PO = """# Shop
msgid ""
msgstr ""
"Project-Id-Version: shop\\n"
"Content-Type: text/plain; charset=UTF-8\\n"

#. A button
#, python-format
msgid "Add %(count)s apples to the <b>basket</b>"
msgstr ""

#, python-format
msgid "%d file was saved"
msgid_plural "%d files were saved"
msgstr[0] ""
msgstr[1] ""

msgid "Two\\n"
"lines with {name} here\\n"
msgstr ""
"""
PAGE = """---
title: Growing tomatoes
draft: true
---

# Growing tomatoes in pots

Water the `plants` [early](https://x.org "A title") {{< figure src="a.png" >}} and **often**.

| Plant | Days |
|---|---|
| Tomato seeds | 90 |

```python
water(plants)
```
"""
LONG = " ".join(["Words of a text."] * 30)
JSON = f'{{\n\t"menu": {{"open": "Open the {{{{kind}}}} file", "n": 3}},\n\t"long": "{LONG}"\n}}\r\n'


def written(folder: Path) -> dict[str, bytes]:
    names = ("output.jsonl", "errors.jsonl", "usage.json")
    found = {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    return {name: data for name, data in found.items() if name not in names}


def test_documents_come_back_whole_after_an_interruption(shell: Any, until: Any) -> None:
    folder: Path = shell.folder
    (folder / "in/guide").mkdir(parents=True)
    (folder / "in/messages.po").write_text(PO)
    (folder / "in/guide/index.md").write_text(PAGE)
    (folder / "in/app.json").write_bytes(JSON.encode())
    (folder / "nightpress.toml").write_text(ECHO.format(step_s=0.05))
    args = ("run", "in", "in/app.json", *INTO, "--out", "out", "--accept-review")
    process = shell.start(*args)
    store = open_store(str(folder / ".nightpress/store"))

    def has_begun() -> bool:
        assert process.poll() is None, shell.logs()
        return any(store.list(f"batches/{one}/segments") for one in store.list("batches"))

    until(has_begun, 120, "the first rows")
    os.killpg(process.pid, signal.SIGINT)
    assert until(lambda: process.poll() is not None, 60, "the run to end")
    assert process.returncode == 130, shell.logs()
    (folder / "nightpress.toml").write_text(ECHO.format(step_s=0))
    ended = shell.run(*args)
    assert ended.returncode == 0, ended.stderr
    assert "6 files in out" in ended.stderr
    (batch_id,) = store.list("batches")
    assert verify(store, batch_id) == []
    found = written(folder / "out")
    assert sorted(found) == [
        *("fr/app.json", "fr/guide/index.md", "fr/messages.po"),
        *("pl/app.json", "pl/guide/index.md", "pl/messages.po"),
    ]
    for language in ("fr", "pl"):
        assert found[f"{language}/app.json"].decode() == JSON
        assert found[f"{language}/guide/index.md"].decode() == PAGE
        made = found[f"{language}/messages.po"].decode()
        assert without_msgstr(made) == without_msgstr(PO)
        assert 'msgstr "Add %(count)s apples to the <b>basket</b>"' in made
        assert f'"Language: {language}\\n"' in made
        if shutil.which("msgfmt"):
            subprocess.run(["msgfmt", "-c", "-o", "/dev/null", str(folder / f"out/{language}/messages.po")], check=True)
    rows = [json.loads(line) for line in (folder / "out/output.jsonl").read_text().splitlines()]
    assert len({row["custom_id"] for row in rows}) == len(rows)


def without_msgstr(text: str) -> str:
    """A catalogue without its translations and its header."""
    return re.sub(r'(?m)^msgstr.*\n(?:".*\n)*', "", text)
