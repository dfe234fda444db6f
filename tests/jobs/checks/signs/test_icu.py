"""ICU messages: which texts are ICU messages, their arguments, and messages that are not valid."""

import pytest

from jobs.checks.signs.icu import MAX_DEPTH, IcuError, is_icu, parse


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("{n, plural, other {#}}", True),
        ("{ n , select , other {x}}", True),
        ("{n,selectordinal,other {#th}}", True),
        ("Hello {name}", False),
        ("{n, number}", False),
        ("a plural, one", False),
        ("{", False),
    ],
)
def test_a_message_has_an_argument_that_chooses(text: str, expected: bool) -> None:
    assert is_icu(text) is expected


@pytest.mark.parametrize(
    ("text", "arguments"),
    [
        ("{a} {b, number, ::compact} {c, date}", [("a", ""), ("b", "number"), ("c", "date")]),
        ("{n, plural, offset:1 =0 {none} one {{x}} other {#}}", [("n", "plural"), ("x", "")]),
        ("it's {a}", [("a", "")]),
        ("it''s {a}", [("a", "")]),
        ("''{a}", [("a", "")]),
        ("'{a}' {b}", [("b", "")]),
        ("'{a}''{c}' {b}", [("b", "")]),
        ("l'{a}", []),
        ("{a, plural, other {'#'{b}}}", [("a", "plural"), ("b", "")]),
        ("# {a}", [("a", "")]),
    ],
)
def test_arguments_are_found_and_apostrophes_quote(text: str, arguments: list[tuple[str, str]]) -> None:
    assert [(one.name, one.type) for one in parse(text).walk()] == arguments


def test_an_argument_knows_its_place_and_its_selectors() -> None:
    (argument,) = parse("We have {n, plural, =0 {none} other {#}}.").arguments
    assert (argument.start, argument.end, argument.selectors) == (8, 40, ["=0", "other"])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{n, plural, one {#}}", "has no form 'other'"),
        ("{n, plural, one {#} one {#} other {#}}", "'one' stands twice"),
        ("{n, plural, other {#}", "not closed"),
        ("{n, plural, other {#", "not closed"),
        ("{n, plural, other}", "has no text in braces"),
        ("{n, plural}", "has no forms"),
        ("{n, plural, {#}}", "has no selector"),
        ("{, plural, other {#}}", "has no name"),
        ("{n, }", "has no type"),
        ("{n", "not closed"),
        ("{n x}", "not closed"),
        ("{n, number", "not closed"),
        ("a } b", "a brace is closed"),
    ],
)
def test_what_is_not_valid_is_refused(text: str, message: str) -> None:
    with pytest.raises(IcuError, match=message):
        parse(text)


def test_arguments_may_be_nested_to_a_depth() -> None:
    def nested(depth: int) -> str:
        return "{a, select, other {" * depth + "x" + "}}" * depth

    assert len(list(parse(nested(MAX_DEPTH)).walk())) == MAX_DEPTH
    with pytest.raises(IcuError, match="nested"):
        parse(nested(MAX_DEPTH + 1))
