"""Shows jobs/writing/articles/headings.py: a title, a heading or a description is never a label, a number or an instruction."""

# ruff: noqa: RUF001 - marks of other scripts

import re

import pytest

from jobs.generation import Completion, Message, Prompt
from jobs.writing.articles.headings import MAX_LINES, read_outline, read_title
from jobs.writing.evidence import Brief
from tests.support.conversations import converse


@pytest.mark.parametrize(
    ("topic", "written", "title"),
    [
        ("Tea", "Subject: Tea at home", "Tea at home"),
        ("Tea", "Title: Tea at home", "Tea at home"),
        ("Tea", "Tea **at home**: cups", "Tea at home: cups"),
        ("Tea", "Tea: __leaves__ and 2 ** 3", "Tea: leaves and 2 ** 3"),
        ("Tea", "Title A: Tea at home\nTitle B: More", "Tea at home"),
        ("Tea", "Option B: Tea at home", "Tea at home"),
        ("Medicare", "Part B: What It Pays", "Part B: What It Pays"),
        ("Tea", "Tip #1", "Tea"),
        ("Tea", "Step 1:", "Tea"),
        ("Tea", "60 characters", "Tea"),
        ("Tea", "Step 1: Boil water", "Step 1: Boil water"),
        ("Editors", "Vi", "Vi"),
        ("Tea", "Two Teas", "Two Teas"),
        ("Tea", "#2", "Tea"),
        ("Tea", "2.", "Tea"),
        ("Tea", "2026", "Tea"),
        ("Tea", "II.", "Tea"),
        ("Tea", "#2\nTea at home", "Tea at home"),
        ("Tea", "#2: Tea at home", "Tea at home"),
        ("Tea", "2. Tea at home", "Tea at home"),
        ("Tea", '"Tea at home"', "Tea at home"),
        ("Tea", "“Tea at home”", "Tea at home"),
        ("Tea", "„Tee zu Hause“", "Tee zu Hause"),
        ("Tea", "«Du thé»", "Du thé"),
        ("Tea", "「お茶」", "お茶"),
        ("Tea", "《茶》", "茶"),
        ("Tea", "Heading 3: Tea at home", "Tea at home"),
        ("Tea", "Introduction: Tea at home", "Tea at home"),
        ("Tea", "Title:\nTea at home", "Tea at home"),
        ("Tea", "**Title**\nTea at home", "Tea at home"),
        ("Tea", "Title:", "Tea"),
        ("Tea", "Write a title of at most 60 characters", "Tea"),
        ("Tea", "Write the title of an article, on one line, at most ten words.\nTea at home", "Tea at home"),
        ("Tea", "Topic: Tea", "Tea"),
        ("Tea", "Language: English\nTea at home", "Tea at home"),
        ("Tea", "Titel: Tee", "Tee"),
        ("Tea", "Titre : Du thé", "Du thé"),
        ("Tea", "タイトル：お茶", "お茶"),
        ("Tea", "Title 1: Tea at home\nTitle 2: More", "Tea at home"),
        ("Tea", "SEO Title: Tea at home", "Tea at home"),
        ("Tea", "Title of the article: Tea at home", "Tea at home"),
        ("Tea", "Sure! Here's a title: Tea at home", "Tea at home"),
        ("Tea", 'Here is a catchy title for your article:\n\n"Tea at home"', "Tea at home"),
        ("Tea", "A catchy title for the article:\nTea at home", "Tea at home"),
        ("Subject lines that work", "Subject: lines that work", "Subject: lines that work"),
        ("Title: The Autumn", "Title: The Autumn", "Title: The Autumn"),
        ("Der 2. Weltkrieg", "2. Weltkrieg im Überblick", "2. Weltkrieg im Überblick"),
        ("V. Hugo's life", "V. Hugo's Life and Work", "V. Hugo's Life and Work"),
        ("The #1 mistake", "#1 Mistake of Tea", "#1 Mistake of Tea"),
        ("Tea", "Description: all about it\nTea at home", "Tea at home"),
        ("Tea", "**Tea at home**", "Tea at home"),
        ("Tea", "# Tea at home", "Tea at home"),
        ("Tea", "10 Ways to Brew", "10 Ways to Brew"),
        ("Tea", "Tea: a history", "Tea: a history"),
        ("Tea", "Part 2: The leaves", "Part 2: The leaves"),
        ("Tea", "Schreibe einen Titel mit höchstens 60 Zeichen", "Tea"),
        ("Tea", "60文字以内でタイトルを書いてください", "Tea"),
        ("Tea", "*Title:* Tea at home", "Tea at home"),
        ("Tea", "__Title__: Tea at home", "Tea at home"),
        ("Tea", '"Title: Tea at home"', "Tea at home"),
        ("Tea", 'Title: "Tea at home"', "Tea at home"),
        ("Tea", "## Title: Tea at home", "Tea at home"),
        ("Tea", "Headline: Tea at home", "Tea at home"),
        ("Tea", "Subject Line: Tea at home", "Tea at home"),
        ("Tea", "Betreff: Tee", "Tee"),
        ("Tea", "Asunto: Té", "Té"),
        ("Tea", "Objet : Thé", "Thé"),
        ("Tea", "件名：お茶", "お茶"),
        ("Tea", "标题：茶", "茶"),
        ("Tea", "1.", "Tea"),
        ("Tea", "(2)", "Tea"),
        ("Tea", "3:", "Tea"),
        ("Tea", "No. 2", "Tea"),
        ("Tea", "№ 5", "Tea"),
        ("Tea", "１２", "Tea"),
        ("Tea", "第2章", "Tea"),
        ("Tea", "Chapter 4", "Tea"),
        ("Tea", "Section", "Tea"),
        ("Tea", "Introduction:", "Tea"),
        ("Tea", "---", "Tea"),
        ("Tea", "...", "Tea"),
        ("Tea", "IV", "Tea"),
        ("Tea", "Write a catchy headline in under 10 words.\nTea at home", "Tea at home"),
        ("Tea", "You are a writer for a magazine.\nTea at home", "Tea at home"),
        ("How to write a headline in 10 words", "Write a Headline in 10 Words", "Write a Headline in 10 Words"),
        ("Tea", "Keep the title under 60 characters", "Tea"),
        ("Tea", "Titre de l'article : Du thé", "Du thé"),
        ("Tea", "Titel des Artikels: Tee", "Tee"),
        ("Tea", "Título del artículo: Té", "Té"),
        ("Tea", "Hier ist ein Titel: Tee", "Tee"),
        ("Tea", "Voici un titre : Thé", "Thé"),
        ("Tea", "Aquí tienes un título: Té", "Té"),
        ("Tea", "以下はタイトルです：\nお茶", "お茶"),
        ("Tea", "好的，以下是标题：\n茶", "茶"),
        ("Tea", "Here are 5 titles:\n\n1. Tea at home\n2. More", "Tea at home"),
        ("Tea", "Title: Title: Tea at home", "Tea at home"),
        ("Tea", "Title (10 words): Tea at home", "Tea at home"),
        ("Tea", "Tea at home\n\nMeta description: all", "Tea at home"),
        ("Tea", "Here is the title", "Tea"),
        ("Tea", "Sure!\nTea at home", "Tea at home"),
        ("Tea", "Sure!", "Tea"),
        ("Tea", "Tea at home (11 characters)", "Tea at home"),
        ("Tea", '"Tea at home" (3 words)', "Tea at home"),
        ("Tea", "Section One: Tea at home", "Tea at home"),
        ("Tea", "Chapter One", "Tea"),
        ("Tea", "Title: 2", "Tea"),
        ("Tea", 'Title: "2."\nTea at home', "Tea at home"),
        ("Tea", "Title: Subject: Tea at home", "Tea at home"),
        ("Tea", "1. Title: Tea at home", "Tea at home"),
        ("Tea", "– Tea at home", "Tea at home"),
        ("Tea", "Tea – at home", "Tea – at home"),
        ("Introduction: what is tea?", "Introduction: What Is Tea?", "Introduction: What Is Tea?"),
        ("Tea", "Headings: Leaves\nTea at home", "Tea at home"),
        ("Tea", "Headings: Leaves", "Tea"),
        ("Tea", "Tea", "Tea"),
        ("Tea", '"Tea" and "Coffee"', '"Tea" and "Coffee"'),
        ("Tea", "'Tea at home'", "Tea at home"),
        ("Tea", "`Tea at home`", "Tea at home"),
        ("Tea", "_Tea at home_", "Tea at home"),
        ('The poem "Tea"', '"Tea"', '"Tea"'),
    ],
)
def test_a_title_has_no_label_number_or_instruction(topic: str, written: str, title: str) -> None:
    """If no line can be a title, the topic is the title. A label that the topic has is content."""
    language = "de" if "Weltkrieg" in topic else "en"
    request = {"topic": topic, "language": language, "outline": ["Leaves"]}
    output, _ = converse("article", request, lambda p: written if p.label == "title" else "A sentence.")
    assert output.title == title


@pytest.mark.parametrize(
    ("written", "title"),
    [
        ('{"title": "Tomatoes"}', "Tomatoes"),
        ('```json\n{"title": "Tomatoes"}\n```', "Tomatoes"),
        ('```\n{\n  "title": "Tomatoes"\n}\n```', "Tomatoes"),
        ('```json {"title": "Tomatoes"} ```', "Tomatoes"),
        ('Here is the title:\n\n```json\n{"title": "Tomatoes"}\n```\n\nI hope that it helps.', "Tomatoes"),
        ('Sure! {"title": "Tomatoes"}', "Tomatoes"),
        ('{"title": "Tomatoes"} I hope that it helps.', "Tomatoes"),
        ("```Tomatoes```", "Tomatoes"),
        ('Title: {"title": "Tomatoes"}', "Tomatoes"),
        ('{"headline": "Tomatoes"}', "Tomatoes"),
        ('{"Titel": "Tomaten"}', "Tomaten"),
        ('{"article_title": "Tomatoes"}', "Tomatoes"),
        ('{"result": {"title": "Tomatoes"}}', "Tomatoes"),
        ('{"title": ["Tomatoes", "More"]}', "Tomatoes"),
        ('{"titles": [{"title": "Tomatoes"}, {"title": "More"}]}', "Tomatoes"),
        ('["Tomatoes"]', "Tomatoes"),
        ('{"title": "Tomatoes", "subtitle": "How they grow"}', "Tomatoes"),
        ('{"title": "Tomatoes", "heading": "More"}', "Tomatoes"),
        ('{"title": "Title: \\"Tomatoes\\""}', "Tomatoes"),
        ('{"title": "Caf\\u00e9"}', "Café"),
        ("{'title': 'Tomatoes'}", "Tomatoes"),
        ('{"title": "Tomatoes",}', "Tomatoes"),
        ('{title: "Tomatoes"}', "Tomatoes"),
        ('{"title": "Tomatoes"', "Tomatoes"),
        ('{"title": ""}', "Tea"),
        ('{"title": 42}', "Tea"),
        ('{"title" "Tomatoes"}', "Tea"),
        ('{"title": "Tomatoes"} {"title": "More"}', "Tea"),
        ("{\u201ctitle\u201d: \u201cTomatoes\u201d}", "Tomatoes"),
        ('{"text": "Tomatoes", "lang": "en"}', "Tomatoes"),
        ('{"meta_title": "Tomatoes", "meta_description": "More"}', "Tomatoes"),
        ('{"title_1": "Tomatoes", "title_2": "More"}', "Tomatoes"),
    ],
)
def test_json_around_a_title_is_taken_off(written: str, title: str) -> None:
    prompt = Prompt(messages=(Message("user", "Write the title of an article."),))
    found, removed = read_title(Completion("r", written, "stop"), prompt, Brief("Tea"), "en")
    assert (found or "Tea") == title
    assert bool(removed) == (written != "```Tomatoes```")


@pytest.mark.parametrize(
    ("written", "headings"),
    [
        ('["Leaves", "Water"]', ("Leaves", "Water")),
        ('{"section_1": "Leaves", "section_2": "Water"}', ("Leaves", "Water")),
        ('{"1": {"title": "Leaves"}, "2": {"title": "Water"}}', ("Leaves", "Water")),
        ('["Leaves", "Wat', ()),
        ('```json\n{"outline": ["Leaves", "Water"]}\n```', ("Leaves", "Water")),
        ('{"title": "Tea", "headings": ["1. Leaves", "2. Water"]}', ("Leaves", "Water")),
        (
            '{"sections": [{"heading": "Leaves", "about": "x"}, {"heading": "Water", "about": "y"}]}',
            ("Leaves", "Water"),
        ),
    ],
)
def test_json_around_an_outline_is_taken_off(written: str, headings: tuple[str, ...]) -> None:
    prompt = Prompt(messages=(Message("user", "Write an outline."),))
    found, _ = read_outline(Completion("r", written, "stop"), prompt, Brief("Tea"), 2, 80)
    assert found == headings


def test_json_of_the_request_stays() -> None:
    prompt = Prompt(messages=(Message("user", "Write the title of an article."),))
    written = '{"title": "Tomatoes"}'
    found, _ = read_title(Completion("r", written, "stop"), prompt, Brief('What does {"title": "x"} mean?'), "en")
    assert found == written


@pytest.mark.parametrize(
    ("language", "written", "title"),
    [
        ("de", "4. Juli im Garten", "4. Juli im Garten"),
        ("da", "2. verdenskrig", "2. verdenskrig"),
        ("de", "1. Tee\n2. Wasser", "Tee"),
        ("en", "4. Tea in the garden", "Tea in the garden"),
        ("de", "4) Tee", "Tee"),
    ],
)
def test_an_ordinal_number_is_no_list_mark(language: str, written: str, title: str) -> None:
    prompt = Prompt(messages=(Message("user", "Write it."),))
    assert read_title(Completion("1", written, "stop"), prompt, Brief("Tea"), language)[0] == title


@pytest.mark.parametrize(
    ("language", "written", "headings"),
    [
        ("de", "Vorgeschichte\n2. Weltkrieg\nFolgen", ["Vorgeschichte", "2. Weltkrieg", "Folgen"]),
        ("de", "Wende\n9. November 1989\n3. Oktober 1990", ["Wende", "9. November 1989", "3. Oktober 1990"]),
        ("en", "Leaves\n2. Water\nCups", ["Leaves", "Water", "Cups"]),
        ("de", "1. Blätter\n1. Wasser\n1. Tassen", ["Blätter", "Wasser", "Tassen"]),
        ("de", "2. Weltkrieg", ["Weltkrieg"]),
    ],
)
def test_an_ordinal_number_begins_a_heading_unless_the_lines_are_numbered(
    language: str, written: str, headings: list[str]
) -> None:
    prompt = Prompt(messages=(Message("user", "Write it."),))
    found, _ = read_outline(Completion("1", written, "stop"), prompt, Brief("Tea"), 3, 100, language)
    assert list(found) == headings


@pytest.mark.parametrize(
    ("topic", "written", "headings"),
    [
        ("Tea", "Heading 1: Leaves\nHeading 2: Water\nHeading 3: Cups", ["Leaves", "Water", "Cups"]),
        ("Tea", "Section 1 - Leaves\nSection 2 - Water\nSection 3 - Cups", ["Leaves", "Water", "Cups"]),
        ("Tea", "1\n2\n3\nLeaves\nWater\nCups", ["Leaves", "Water", "Cups"]),
        ("Tea", "1. Introduction:\n2. Leaves:\n3. Conclusion:", ["Introduction", "Leaves", "Conclusion"]),
        ("Tea", "Introduction:\nLeaves:\nConclusion:", ["Introduction", "Leaves", "Conclusion"]),
        ("Tea", "Outline:\n1. Leaves\n2. Water\n3. Cups\nI hope this helps!", ["Leaves", "Water", "Cups"]),
        ("Tea", "#1 Leaves\n#2 Water\n#3 Cups", ["Leaves", "Water", "Cups"]),
        ("Tea", '"Leaves"\n"Water"\n"Cups"', ["Leaves", "Water", "Cups"]),
        ("Tea", "Introduction: What is tea?\nLeaves\nCups", ["What is tea?", "Leaves", "Cups"]),
        ("Tea", "Section 1\nSection 2\nSection 3", ["Introduction", "Why it matters", "In short"]),
        ("Tea", "Write the headings of an article, one a line.\nLeaves\nWater\nCups", ["Leaves", "Water", "Cups"]),
        ("Tea", "第1章 茶葉\n第2章 水", ["第1章 茶葉", "第2章 水"]),
        ("Tea", "1. Leaves\n   - green\n   - black\n2. Water\n   - hot", ["Leaves", "Water"]),
        (
            "Tea",
            "Sure! Here are 3 headings for your article:\n\n1. Leaves\n2. Water\n3. Cups",
            ["Leaves", "Water", "Cups"],
        ),
        ("Tea", "## 1. Leaves\n## 2. Water\n## 3. Cups", ["Leaves", "Water", "Cups"]),
        ("Tea", "- **Leaves**: x\n- **Water**: y\n- **Cups**: z", ["**Leaves**: x", "**Water**: y", "**Cups**: z"]),
        ("Tea", "I. Leaves\nII. Water\nIII. Cups", ["Leaves", "Water", "Cups"]),
        ("Tea", "a) Leaves\nb) Water\nc) Cups", ["Leaves", "Water", "Cups"]),
        ("Tea", "Step 1: Boil\nStep 2: Pour\nStep 3: Drink", ["Step 1: Boil", "Step 2: Pour", "Step 3: Drink"]),
        ("Tea", "Kapitel 1: Blätter\nKapitel 2: Wasser\nKapitel 3: Tassen", ["Blätter", "Wasser", "Tassen"]),
        ("Tea", "Topic: Tea\nLanguage: English\nLeaves\nWater\nCups", ["Leaves", "Water", "Cups"]),
        ("Tea", "Headings: 3\nLeaves\nWater\nCups", ["Leaves", "Water", "Cups"]),
        ("Tea", "Heading 1\nLeaves\nHeading 2\nWater\nHeading 3\nCups", ["Leaves", "Water", "Cups"]),
        ("Tea", "第1章：茶葉\n第2章：水\n第3章：茶碗", ["茶葉", "水", "茶碗"]),
        ("Tea", "Titel: Tee\nGliederung:\n1. Blätter\n2. Wasser\n3. Tassen", ["Blätter", "Wasser", "Tassen"]),
        ("Tea", "Section One: Leaves\nSection Two: Water\nSection Three: Cups", ["Leaves", "Water", "Cups"]),
        ("Tea", "Sure!\nLeaves\nWater\nCups", ["Leaves", "Water", "Cups"]),
        ("Tea", "– Leaves\n– Water\n– Cups", ["Leaves", "Water", "Cups"]),
        ("Tea", '"1. Leaves"\n"2. Water"\n"3. Cups"', ["Leaves", "Water", "Cups"]),
        ("Tea", "**Heading 1:** Leaves\n**Heading 2:** Water\n**Heading 3:** Cups", ["Leaves", "Water", "Cups"]),
        ("Tea", "Heading: Leaves\nHeading: Water\nHeading: Cups", ["Leaves", "Water", "Cups"]),
        ("Tea", "Abschnitt 1: Blätter\nAbschnitt 2: Wasser\nAbschnitt 3: Tassen", ["Blätter", "Wasser", "Tassen"]),
        (
            "Section 1: Leaves",
            "Section 1: Leaves\nSection 2: Water\nCups",
            ["Section 1: Leaves", "Section 2: Water", "Cups"],
        ),
    ],
)
def test_headings_have_no_label_number_or_instruction(topic: str, written: str, headings: list[str]) -> None:
    request = {"topic": topic, "target_words": 120 * len(headings)}
    output, _ = converse("article", request, lambda p: written if p.label == "outline" else "A sentence.")
    assert re.findall(r"^## (.*)$", output.body_markdown, re.MULTILINE) == headings


@pytest.mark.parametrize(
    ("topic", "written", "description"),
    [
        ("Tea", "Meta description: All about tea.", "All about tea."),
        ("Tea", "Description: All about tea.", "All about tea."),
        ("Tea", '"All about tea."', "All about tea."),
        ("Tea", "Title: Tea\nDescription: All about tea.", "All about tea."),
        ("Tea", "Subject: All about tea.", "All about tea."),
        ("Tea", "2.", "A sentence."),
        ("Tea", "Summarise an article for a search engine.\n\nAll about tea.", "All about tea."),
        ("Tea", "Zusammenfassung: Alles über Tee.", "Alles über Tee."),
        ("Tea", "Here is a summary of the article:\n\nAll about tea.", "All about tea."),
        ("Tea", "Description", "A sentence."),
        ("Tea", "#3", "A sentence."),
        ("Tea", "Write a description of at most 160 characters.", "A sentence."),
        ("Tea", 'Sure! Here is a meta description: "All about tea."', "All about tea."),
        ("Tea", "SEO description (160 characters): All about tea.", "All about tea."),
        ("Tea", "Meta Description\n\nAll about tea.", "All about tea."),
        ("Tea", '**Meta Description:** "All about tea."', "All about tea."),
        ("Tea", "Here's a meta description for your article:\n\nAll about tea.", "All about tea."),
        ("Tea", "Meta-Beschreibung: Alles.", "Alles."),
        ("Tea", "Résumé : Tout.", "Tout."),
        ("Tea", "説明：お茶。", "お茶。"),
        ("Tea", "1. All about tea.", "All about tea."),
        ("Tea", "Snippet: All about tea.", "All about tea."),
        ("Tea", "Title: Tea", "Tea"),
        ("Tea", "All about tea. (14 characters)", "All about tea."),
        ("Tea", "Sure!\n\nAll about tea.", "All about tea."),
        ("Tea", "Summary of the article: All about tea.", "All about tea."),
        ("Tea", "Here's a one-sentence summary: All about tea.", "All about tea."),
        ("Tea", "**All about tea.**", "All about tea."),
        ("Tea", "“All about tea.”", "All about tea."),
        ("Summary: the year", "Summary: the year in tea.", "Summary: the year in tea."),
    ],
)
def test_a_description_has_no_label_number_or_instruction(topic: str, written: str, description: str) -> None:
    """If no paragraph can be a description, the first words of the article are."""
    request = {"topic": topic, "outline": ["Leaves"]}
    output, _ = converse("article", request, lambda p: written if p.label.startswith("meta") else "A sentence.")
    assert output.meta_description == description


def test_labels_of_the_row_s_own_outline_stay() -> None:
    request = {"topic": "Tea", "outline": ["Section 1: Leaves", "2."]}
    output, _ = converse("article", request, lambda _: "Green.\n\n## Section 1: More\nToo.")
    assert re.findall(r"^##+ (.*)$", output.body_markdown, re.MULTILINE) == [
        "Section 1: Leaves",
        "Section 1: More",
        "2.",
        "Section 1: More",
    ]


def test_only_so_many_lines_are_read() -> None:
    prompt = Prompt(messages=(Message("user", "Write it."),))
    written = "Title:\n" * MAX_LINES + "Tea"
    assert read_title(Completion("1", written, "stop"), prompt, Brief("Tea"), "en")[0] == ""
