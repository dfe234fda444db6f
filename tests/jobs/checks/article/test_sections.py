"""The sections of an article must be as many as the outline has, and no two alike."""

# ruff: noqa: RUF001 - words of other scripts

import pytest

from tests.jobs.checks.article.articles import found, marked, words_of


@pytest.mark.parametrize(
    ("body", "outline", "message"),
    [
        ("## A\n\nx\n\n## B\n\nx", ["A", "B"], ""),
        ("# T\n\n## A\n\nx\n\n### a1\n\n## B", ["A", "B"], ""),
        ("# A\n\n# B\n", ["A", "B"], ""),
        ("## A\n\n## B\n\n### B1\n\n### B2", ["A", "B"], ""),
        ("## А\n\n## Б\n", ("А", "Б"), ""),
        ("## A\n\nx", ["A", "B"], "the article has 1 sections, and its outline 2; 'B' is missing"),
        ("No heading.", ["A"], "the article has 0 sections, and its outline 1; 'A' is missing"),
        (
            "## A\n\n## B\n\n## C",
            ["A", "B"],
            "the article has 3 sections, and its outline 2; 'C' is not in the outline",
        ),
        ("## 土\n", ["土", "水"], "the article has 1 sections, and its outline 2; '水' is missing"),
        ("## A\n\n## B", None, ""),
        ("## A\n\n## B", [], ""),
        ("```\n## A\n```\n", ["A"], "the article has 0 sections, and its outline 1; 'A' is missing"),
    ],
)
def test_as_many_sections_as_the_outline(body: str, outline: list[str] | None, message: str) -> None:
    assert [one.message for one in found("sections", body, outline=outline)] == ([message] if message else [])


def test_a_section_too_many_is_shown_and_may_be_allowed() -> None:
    body = "## A\n\n## FAQ\n\n## B"
    assert marked(found("sections", body, outline=["A", "B"]), body) == ["## FAQ"]
    assert not found("sections", body, outline=["A", "B"], limits={"extra": 1})
    assert found("sections", body + "\n\n## C", outline=["A", "B"], limits={"extra": 1})


def two(first: str, second: str) -> str:
    return f"## A\n\n{first}\n\n## B\n\n{second}\n"


SHARED = words_of(32, "s")  # 30 runs


def test_sections_at_the_limit_pass_and_beyond_it_fail() -> None:
    first = SHARED + " " + words_of(70, "a")  # 100 runs of three words
    at_limit = SHARED + " " + words_of(70, "b")
    beyond = SHARED + " a0 " + words_of(69, "b")
    assert not found("sections_alike", two(first, at_limit))
    (finding,) = found("sections_alike", two(first, beyond))
    assert (finding.measured, finding.limit) == (0.31, 0.3)
    assert marked([finding], two(first, beyond)) == [f"## B\n\n{beyond}\n"]
    assert "'A'" in finding.message
    assert "'B'" in finding.message


@pytest.mark.parametrize(
    "text",
    [
        "Water the tomatoes each morning, so that the soil stays moist all day. Pick the ripe fruit twice a week.",
        "Gieße Tomaten morgens, damit die Erde immer feucht bleibt. Ernte zweimal in der Woche reife Früchte. Iss sie bald auf.",
        "Поливайте помидоры утром, чтобы земля была влажной. Дважды в неделю снимайте спелые плоды и сразу же ешьте их без соли.",
        "Ποτίζετε τις ντομάτες κάθε πρωί, ώστε το χώμα να μένει υγρό ως το βράδυ. Μαζεύετε τους ώριμους καρπούς δύο φορές.",
        "اسق الطماطم كل صباح حتى تبقى التربة رطبة إلى المساء. اقطف الثمار الناضجة مرتين في الأسبوع ولا تتركها على الأرض طويلا.",
        "हर सुबह टमाटर को पानी दें ताकि मिट्टी शाम तक नम रहे। सप्ताह में दो बार पके फल तोड़ें और उन्हें ज़मीन पर न छोड़ें।",
        "每天早上给番茄浇水，让泥土到晚上都保持湿润。每周摘两次成熟的果实，不要让它们掉在地上。",
    ],
)
def test_a_section_that_stands_twice_is_found(text: str) -> None:
    other = words_of(40, "x")
    assert len(found("sections_alike", f"{two(text, other)}\n## C\n\n{text}")) == 1


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (
            "Water the tomatoes each morning, so that the soil stays moist all day. Do not wet the leaves, or they rot.",
            "Tomatoes want six hours of sun at least. Turn the pots each week, and move them when nights get cold.",
        ),
        (
            "每天早上给番茄浇水，让泥土到晚上都保持湿润。不要弄湿叶子，否则会腐烂。",
            "番茄每天至少需要六个小时的阳光。每周转动花盆，夜里冷的时候把它们移到墙边。",
        ),
        (
            "Text. " + "```\n" + words_of(60) + "\n```\n" + words_of(30, "a"),
            "```\n" + words_of(60) + "\n```\n" + words_of(30, "b"),
        ),
        ("Short words.", "Short words."),
    ],
)
def test_sections_that_differ_are_not_alike(first: str, second: str) -> None:
    assert not found("sections_alike", two(first, second))


def test_a_short_section_within_a_long_one_is_found() -> None:
    assert len(found("sections_alike", two(words_of(25, "s"), words_of(25, "s") + " " + words_of(400, "l")))) == 1


def test_sections_below_the_least_words_are_not_compared() -> None:
    assert not found("sections_alike", two(words_of(19), words_of(19)))
    assert found("sections_alike", two(words_of(20), words_of(20)))


def test_a_hostile_number_of_sections_is_read() -> None:
    assert len(found("sections_alike", f"## A\n\n{words_of(30)}\n\n" * 300)) == 20
