"""Shows jobs/writing/json_answers.py: the JSON in an answer."""

import pytest

from jobs.writing.json_answers import json_of

JSON = '{"a": 1}'


@pytest.mark.parametrize(
    ("answer", "wanted"),
    [
        (JSON, JSON),
        (f" \n{JSON}\n", JSON),
        ("[1, 2]", "[1, 2]"),
        ("null", "null"),
        (f"```json\n{JSON}\n```", JSON),
        (f"```JSON\n{JSON}\n```", JSON),
        (f"```\n{JSON}\n```", JSON),
        (f"~~~json\n{JSON}\n~~~", JSON),
        (f"````json\n{JSON}\n````", JSON),
        (f"```json {JSON} ```", JSON),
        (f"```{JSON}```", JSON),
        (f"```json\n{JSON}", JSON),
        (f"Here it is:\n\n```json\n{JSON}\n```\n\nI hope that it helps.", JSON),
        (f"Run this:\n```python\nprint(1)\n```\nIt prints:\n```json\n{JSON}\n```", JSON),
        ('```json\n{\n  "a": "```",\n  "b": "x ``` y"\n}\n```', '{\n  "a": "```",\n  "b": "x ``` y"\n}'),
        ('```json\n{"a": "x\u2028y\x85z\x7f"}\n```', '{"a": "x\u2028y\x85z\x7f"}'),
        ('{"a": "```json\\n1\\n```"}', '{"a": "```json\\n1\\n```"}'),
        (f"  ```json\r\n{JSON}\r\n```\r\n", JSON),
        (f"```json\n{JSON}\n```\n```json\nnot JSON\n```", JSON),
    ],
)
def test_json_alone_or_in_the_only_fence(answer: str, wanted: str) -> None:
    assert json_of(answer) == wanted


@pytest.mark.parametrize(
    "answer",
    [
        "Sure! {",
        f"Here it is: {JSON}",
        "```json\n{\n```",
        f"```json\n{JSON}\n```\nor\n```json\n{JSON}\n```",
        f"```json\n{JSON}\n```\nor\n```\n[1]\n```",
        f"```python\n{JSON}\n```",
        "```",
        "",
        "``````",
        '{"a": 1} {"b": 2}',
        "{'a': 1}",
    ],
)
def test_no_json_or_several(answer: str) -> None:
    with pytest.raises(ValueError, match=r"several blocks|unexpected|EOF|trailing|empty|expected|control|input"):
        json_of(answer)
