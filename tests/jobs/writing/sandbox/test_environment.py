"""Tests jobs/writing/sandbox: a hostile template reads no file, runs no code, and ends soon; its message names the line."""

import time
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel, ConfigDict

from jobs.errors import RequestError
from jobs.writing.sandbox import limits
from jobs.writing.templates import Templates

STEPS = 2_000


class Request(BaseModel):
    topic: str = "tea"
    keywords: list[str] = ["a", "b"]
    more: dict[str, str] = {"k": "v"}


@pytest.fixture(autouse=True)
def few_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "MAX_STEPS", STEPS)


def rendered(folder: Path, source: str, **values: Any) -> str:
    (folder / "a.j2").write_text(source)
    return Templates(folder).render("a.j2", request=Request(), text="x" * 100_000, **values).text


@pytest.mark.parametrize(
    "source",
    [
        "{{ cycler.__init__.__globals__ }}",
        "{{ ''.__class__.__mro__[1].__subclasses__() }}",
        "{{ ''['__class__'] }}",
        "{{ ''|attr('__class__') }}",
        "{{ ['']|map(attribute='__class__')|join }}",
        "{{ '{0.__class__.__init__}'.format(request) }}",
        "{{ '{0.parse_raw}'.format(request) }}",
        "{{ ''.format_map(request) }}",
        "{{ request.parse_file('/etc/hostname') }}",
        "{{ request.parse_raw('{}', proto='pickle', allow_pickle=true) }}",
        "{{ request['parse_raw']('{}') }}",
        "{{ request|attr('model_dump_json') }}",
        "{{ request.model_construct() }}",
        "{{ request.__dict__ }}",
        "{{ request.model_fields.topic.annotation.mro() }}",
        "{{ request.keywords.append('c') }}",
        "{{ request.more.update(k='w') }}",
        "{{ self._TemplateReference__context }}",
        "{{ namespace.__init__ }}",
        "{{ joiner.__init__.__globals__.os.popen('id').read() }}",
        "{% import 'a.j2' as m %}{{ m.__loader__ }}",
        "{% macro m() %}{% endmacro %}{{ m._environment }}",
        "{{ dict.fromkeys('ab') }}",
        "{{ ''.encode().decode() }}",
        "{% for x in 'a' %}{{ loop._iterator }}{% endfor %}",
        "{{ caller() }}",
        "{{ request() }}",
        "{{ request.topic() }}",
        "{{ function('/etc/hostname') }}",
        "{{ [1]|map(function)|list }}",
        "{{ lipsum() }}",
        "{{ 'a'|random }}",
        "{% include '../secret.j2' %}",
        "{% include '/etc/hostname' %}",
    ],
)
@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # pydantic's own, of its methods that are looked at
def test_a_template_reaches_nothing_but_its_values(tmp_path: Path, source: str) -> None:
    folder = tmp_path / "templates"
    folder.mkdir()
    (tmp_path / "secret.j2").write_text("secret")
    with pytest.raises(RequestError, match=r"^template a\.j2"):
        rendered(folder, source, function=open)


@pytest.mark.parametrize(
    "source",
    [
        pytest.param("{% for i in range(9999) %}{% endfor %}", id="a long loop"),
        pytest.param("{% for i in range(99999999) %}{% endfor %}", id="a range beyond Jinja2's own limit"),
        pytest.param(
            "{% for i in range(99) %}{% for j in range(99) %}{% endfor %}{% endfor %}", id="loops within loops"
        ),
        pytest.param("{% for i in text %}x{% endfor %}", id="a loop over the characters of a row's text"),
        pytest.param("{% macro m(n) %}{{ m(n + 1) }}{% endmacro %}{{ m(0) }}", id="a macro that calls itself"),
        pytest.param(
            "{% macro m(n) %}{% if n %}{{ m(n - 1) }}{{ m(n - 1) }}{% endif %}{% endmacro %}{{ m(40) }}",
            id="a macro that calls itself twice",
        ),
        pytest.param("{% include 'a.j2' %}", id="a template that includes itself"),
        pytest.param(
            "{% if n is not defined %}{% set n = 40 %}{% endif %}{% if n %}{% set n = n - 1 %}{% include 'a.j2' %}"
            "{% include 'a.j2' %}{% endif %}",
            id="a template that includes itself twice",
        ),
        pytest.param("{% for x in [[[]]] recursive %}{{ loop([x]) }}{% endfor %}", id="a loop in itself"),
        pytest.param("{{ 10 ** 10 ** 8 }}", id="a power"),
        pytest.param("{% set x = 9 ** 80 %}{% set x = x * x %}{{ x * x * x }}", id="products of large numbers"),
        pytest.param("{{ 'a' * 10000000000 }}", id="a text times a number"),
        pytest.param("{{ 10000000000 * 'a' }}", id="a number times a text"),
        pytest.param("{{ [1] * 10000000000 }}", id="a list times a number"),
        pytest.param("{{ text * 99 }}", id="a row's text many times"),
        pytest.param("{% set x = text ~ text %}" + "{% set x = x ~ x %}" * 40 + "{{ x }}", id="joined with itself"),
        pytest.param("{% set x = text + text %}" + "{% set x = x + x %}" * 40 + "{{ x }}", id="added to itself"),
        pytest.param("{% set a = [1] %}" + "{% set a = [a, a] %}" * 40 + "{{ a }}", id="lists of lists"),
        pytest.param("{% set a = (1,) %}" + "{% set a = (a, a) %}" * 40 + "{{ a }}", id="tuples of tuples"),
        pytest.param("{% set a = {} %}" + "{% set a = {1: a, 2: a} %}" * 40 + "{{ a }}", id="objects of objects"),
        pytest.param("{% set a = 1 %}" + "{% set a = dict(a=a, b=a) %}" * 40 + "{{ a }}", id="dict of dicts"),
        pytest.param("{{ '%10000000000d' % 1 }}", id="a width of %"),
        pytest.param("{{ '%*d' % (1000000000, 1) }}", id="a width of % as an argument"),
        pytest.param("{{ '%010000000000d'|format(1) }}", id="a width of the filter format"),
        pytest.param("{{ '{:10000000000}'.format(1) }}", id="a width of format"),
        pytest.param("{{ '{:{}}'.format(1, 10000000000) }}", id="a width of format as an argument"),
        pytest.param("{{ ('%(a)s' * 9999) % {'a': text} }}", id="a text in many places of %"),
        pytest.param("{{ ('{0}' * 9999).format(text) }}", id="a text in many places of format"),
        pytest.param("{{ 'a'|center(10000000000) }}", id="center"),
        pytest.param("{{ 'a'.ljust(10000000000) }}", id="ljust"),
        pytest.param("{{ '\\t'.expandtabs(10000000000) }}", id="expandtabs"),
        pytest.param("{{ text.translate({120: text}) }}", id="translate"),
        pytest.param("{{ text.replace('x', text) }}", id="replace of a text"),
        pytest.param("{{ text|replace('x', text) }}", id="the filter replace"),
        pytest.param("{{ text|replace(old='x', new=text) }}", id="the filter replace, by names"),
        pytest.param("{{ text|replace('', text) }}", id="the filter replace, everywhere"),
        pytest.param("{{ text.join(range(1000)|map('string')) }}", id="join of a text"),
        pytest.param("{{ range(1000)|join(text) }}", id="the filter join"),
        pytest.param("{{ ['']|batch(1000, text)|first|join }}", id="a list filled with a text"),
        pytest.param("{{ ['']|batch(1000, dict(t=text))|first|join(attribute='t') }}", id="join of attributes"),
        pytest.param("{{ 'a\\nb'|indent(10000000000) }}", id="indent"),
        pytest.param("{{ ('\\n' * 99999)|indent(text) }}", id="indent by a text"),
        pytest.param("{{ text|wordwrap(1, wrapstring=text) }}", id="wordwrap"),
        pytest.param("{{ [1]|tojson(indent=10000000000) }}", id="tojson"),
        pytest.param("{{ 10|round(-10000000000) }}", id="round"),
        pytest.param("{{ [[1]]|sum(start=[]) }}", id="sum of lists"),
        pytest.param("{{ 1 // 0 }}", id="a division by zero"),
        pytest.param("{{ 1.5 ** 10000000000 }}", id="a large number with a point"),
        pytest.param("{{ 'a' + 1 }}", id="a text and a number"),
        pytest.param("{% for i in range(99) %}{{ text }}{% endfor %}", id="much output"),
        pytest.param("{% set x %}{% for i in range(99) %}{{ text }}{% endfor %}{% endset %}", id="a long block"),
        pytest.param(f"{{{{ {'(' * 9_999}1", id="brackets within brackets"),
        pytest.param("{% for a in 'a' %}" * 25 + "{% endfor %}" * 25, id="more loops in loops than Python takes"),
        pytest.param("{{ '\\ud800' }}", id="half a character"),
    ],
)
def test_a_template_ends_soon_whatever_it_asks_for(tmp_path: Path, source: str) -> None:
    began = time.thread_time()
    with pytest.raises(RequestError, match=r"^template a\.j2") as raised:
        rendered(tmp_path, source)
    assert time.thread_time() - began < 2
    assert len(str(raised.value).splitlines()) == 1


def test_a_template_has_a_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "MAX_SECONDS", 0.0)
    with pytest.raises(RequestError, match=r"^template a\.j2, line 2: it takes more than 0 s"):
        rendered(tmp_path, "Hello,\n{% for i in range(9) %}x{% endfor %}")


def test_namespaces_that_hold_each_other_do_not_fill_the_memory(tmp_path: Path) -> None:
    chain = "".join(f"{{% set n{i} = namespace() %}}" for i in range(41))
    chain += "".join(f"{{% set n{i}.a = [n{i + 1}, n{i + 1}] %}}" for i in range(40))
    assert rendered(tmp_path, f"{chain}{{{{ n0.a }}}}") == "[<Namespace>, <Namespace>]"


@pytest.mark.parametrize(
    ("source", "text"),
    [
        ("{{ request.keywords|join(', ') }}", "a, b"),
        ("{{ request.keywords|join(d='-') }}", "a-b"),
        ("{{ [request, request]|join('; ', attribute='topic') }}", "tea; tea"),
        ("{{ ', '.join(request.keywords) }}", "a, b"),
        ("{% for k, v in request.more.items() %}{{ k }}={{ v }}{% endfor %}", "k=v"),
        (
            "{% for k in request.keywords %}{{ loop.index }}/{{ loop.length }}{{ '' if loop.last }}{% endfor %}",
            "1/22/2",
        ),
        ("{% for k in request.keywords %}{{ loop.cycle('x', 'y') }}{% endfor %}", "xy"),
        ("{% for k in request.keywords if k == 'a' %}{{ k }}{% else %}none{% endfor %}", "a"),
        ("{% for x in [[1, [2]]] recursive %}{{ x if x is number else loop(x) }}{% endfor %}", "12"),
        ("{% macro m(t, n=2) %}{{ t * n }}{% endmacro %}{{ m('a') }}{{ m('b', n=1) }}", "aab"),
        ("{% macro m() %}[{{ caller() }}]{% endmacro %}{% call m() %}x{% endcall %}", "[x]"),
        ("{% set ns = namespace(n=0) %}{% for i in range(3) %}{% set ns.n = ns.n + i %}{% endfor %}{{ ns.n }}", "3"),
        ("{% set c = cycler('x', 'y') %}{{ c.next() }}{{ c.next() }}{% set j = joiner() %}{{ j() }}{{ j() }}", "xy,"),
        ("{% block b %}B{% endblock %}{{ self.b() }}", "BB"),
        ("{{ request.topic.upper().replace('T', 't')|capitalize ~ 1 }}", "Tea1"),
        ("{{ '%s: %d' % ('a', 3) }} {{ '%03d'|format(7) }} {{ '{:,} {x}'.format(1000, x=1) }}", "a: 3 007 1,000 1"),
        ("{{ request.topic|default('x')|truncate(2, true, '')|center(5) ~ '.' }}", "tea ."),
        ("{{ text|length }} {{ text|truncate(5, true) }} {{ 2 ** 10 }} {{ 7 // 2 }}", "100000 xx... 1024 3"),
        ("{{ {'a': [1, 2]}|tojson }} {{ (1, 2) }} {{ [[1, 2], [3]]|map('sum')|list }}", '{"a": [1, 2]} (1, 2) [3, 3]'),
        ("{% filter upper %}a{% endfilter %}{{ request.keywords[0] }}{{ request['topic'] }}", "Aatea"),
        ("{% if 'e' in request.topic and request.topic in ('tea', 'x') %}yes{% endif %}", "yes"),
        ("{{ dict(a=1).a }}{{ 'a,b'.split(',')|last }}{{ request.keywords.index('b') }}", "1b1"),
    ],
)
def test_what_prompts_need_works(tmp_path: Path, source: str, text: str) -> None:
    assert rendered(tmp_path, source) == text


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("a\n{{ request.topik }}", r"a\.j2, line 2: Request has no field 'topik': did you mean topic\?"),
        ("a\n\n{{ request.more.kk }}", r"a\.j2, line 3: dict has no field 'kk': did you mean k\?"),
        ("{{ topik }}", r"a\.j2, line 1: 'topik' is undefined"),
        ("{{ topik() }}", r"a\.j2, line 1: 'topik' is undefined"),
        ("a\n{{ request.topic.upper }", r"a\.j2, line 2: unexpected '}'"),
        ("a\n{{ 1|shout }}", r"a\.j2, line 2: No filter named 'shout'"),
        ("a\n{{ cycler.__init__ }}", r"a\.j2, line 2: access to attribute '__init__' of 'type' object is unsafe"),
        ("a\n{% include 'b.j2' %}", r"b\.j2, line 3: Request has no field 'topik'"),
    ],
)
def test_the_template_the_line_and_the_field_are_named(tmp_path: Path, source: str, message: str) -> None:
    (tmp_path / "b.j2").write_text("\n\n{{ request.topik }}")
    with pytest.raises(RequestError, match=rf"^template {message}"):
        rendered(tmp_path, source)


@pytest.mark.parametrize(
    ("source", "message"),
    [
        pytest.param("{{ text }}" * 200_000, "1,048,576", id="too long"),
        pytest.param("{{ 1 }}" * 100_000, "more than 20,000 tokens", id="many expressions"),
        pytest.param("{{ " + "1+" * 100_000 + "1 }}", "more than 20,000 tokens", id="one long expression"),
        pytest.param("{% if 1 %}{% endif %}" * 40_000, "more than 20,000 tokens", id="many statements"),
        pytest.param("{{ [" + "1," * 100_000 + "] }}", "more than 20,000 tokens", id="a long list"),
    ],
)
def test_a_template_that_would_take_long_to_compile_is_refused(tmp_path: Path, source: str, message: str) -> None:
    with pytest.raises(RequestError, match=f"template a.j2: it has .*{message}"):
        rendered(tmp_path, source)


def test_a_long_text_without_expressions_is_a_template(tmp_path: Path) -> None:
    text = "A glossary. { 50 % } # " * 40_000
    assert rendered(tmp_path, text + "{{ request.topic }}") == f"{text}tea"


def test_templates_that_include_each_other_many_times_are_read_once(tmp_path: Path) -> None:
    """By the number of ways to it, the last of these templates would be read a million times."""
    for n in range(20):
        for side in "ab":
            (tmp_path / f"{side}{n}.j2").write_text(
                f"{side}{n}{{% include 'a{n + 1}.j2' %}}{{% include 'b{n + 1}.j2' %}}"
            )
    (tmp_path / "a20.j2").write_text("x")
    (tmp_path / "b20.j2").write_text("y")
    Templates(tmp_path)


class Hostile(BaseModel):
    model_config = ConfigDict(extra="allow")

    topic: Any = None

    def act(self) -> str:
        return "acted"


@pytest.mark.parametrize(
    ("topic", "source"),
    [
        pytest.param(None, "{{ request.act() }}", id="a method"),
        pytest.param(print, "{{ request.topic('x') }}", id="a field that is a function"),
        pytest.param(None, "{{ request.__dict__ }}", id="what is under the fields"),
        pytest.param(None, "{{ request._hidden }}", id="a hidden name"),
        pytest.param({}, "{{ request.topic.update(a=1) }}", id="a change"),
        pytest.param(object.__subclasses__, "{{ request.topic() }}", id="the inside of Python"),
    ],
)
def test_of_a_request_only_the_data_of_its_fields_is_read(tmp_path: Path, topic: Any, source: str) -> None:
    (tmp_path / "a.j2").write_text(source)
    with pytest.raises(RequestError):
        Templates(tmp_path).render("a.j2", request=Hostile(topic=topic, _hidden="x"))


def test_a_field_that_is_missing_is_named_and_one_that_is_null_is_none(tmp_path: Path) -> None:
    (tmp_path / "a.j2").write_text("{{ request.topic is none }} {{ request.more }}")
    assert Templates(tmp_path).render("a.j2", request=Hostile(more=1)).text == "True 1"
    with pytest.raises(RequestError, match="Hostile has no field 'more'"):
        Templates(tmp_path).render("a.j2", request=Hostile())
