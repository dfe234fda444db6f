"""Tests workers/engines/text/chat_template.py against hostile templates: a model's template ends soon, and reaches nothing."""

import time
from copy import deepcopy

import pytest

pytest.importorskip("transformers", reason="the extra `workers` is not installed")

from jobs.writing.sandbox import limits
from tests.workers.engines.chat_families import tokenizer_of
from workers.engines.text.chat_template import ChatTemplate, Refused

CONTENT = "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"


@pytest.mark.parametrize(
    ("attack", "message"),
    [
        pytest.param(
            "{% for i in range(9999) %}{% for j in range(9999) %}{% endfor %}{% endfor %}", "steps", id="loops"
        ),
        pytest.param("{% for i in range(99) %}{{ 'x' * 99999 }}{% endfor %}", "characters", id="output"),
        pytest.param("{{ 'x' * 10000000000 }}", "characters", id="a text times a number"),
        pytest.param("{{ [1]|tojson(indent=10000000000) }}", "a number", id="transformers' own tojson"),
        pytest.param("{{ 'a'.ljust(10000000000) }}", "ljust may not be called", id="padding"),
        pytest.param(
            "{% set x = 'ab' %}" + "{% set x = x ~ x %}" * 40 + "{{ x }}", "characters", id="joined with itself"
        ),
        pytest.param("{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}", "recursion", id="a macro in itself"),
        pytest.param("{{ cycler.__init__.__globals__ }}", "unsafe", id="Python's internals"),
    ],
)
def test_a_hostile_template_of_a_model_is_refused_soon(
    attack: str, message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "MAX_STEPS", 2_000)
    tokenizer = deepcopy(tokenizer_of("chatml"))
    tokenizer.chat_template = attack + CONTENT
    began = time.thread_time()
    template = ChatTemplate(tokenizer)
    with pytest.raises(Refused, match=message):
        template.encode([("user", "hi")])
    assert time.thread_time() - began < 3


def test_a_template_may_do_what_templates_of_models_do() -> None:
    tokenizer = deepcopy(tokenizer_of("chatml"))
    tokenizer.chat_template = (
        "{% set ns = namespace(n=0) %}{% if messages[0]['role'] == 'system' %}{% set rest = messages[1:] %}"
        "{% else %}{% set rest = messages %}{% endif %}{% if not messages %}{{ raise_exception('none') }}{% endif %}"
        "{% for m in rest %}{% set ns.n = ns.n + 1 %}{% if m.content is string and loop.index0 is even %}"
        "{{ '<|im_start|>' + m.role + '\n' + m['content'].strip().split('</think>')[-1].lstrip('\n') + '<|im_end|>' }}"
        "{% elif loop.last %}{% break %}{% endif %}{% endfor %}"
        "{{ {'n': ns.n, 'é': dict(a=1)} | tojson(ensure_ascii=False) }} {{ strftime_now('%Y') | length }}"
        "{% generation %}{% endgeneration %}"
    )
    rendered = ChatTemplate(tokenizer).encode([("user", "hi")])
    assert rendered.text == '<|im_start|>user\nhi<|im_end|>{"n": 1, "é": {"a": 1}} 4'
