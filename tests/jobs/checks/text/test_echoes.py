"""Echoes: words of the prompt in the output, and words that tell a model what to do."""

# ruff: noqa: RUF001 - signs of other scripts

import pytest

from tests.support.checking import findings_with, places_of

SYSTEM = "You are a writer for a magazine. You write clear, correct and useful text. You answer with the text that is asked for."
USER = 'Write one section of an article as plain paragraphs, without its heading.\nTopic: Tomatoes\nWrite the section "Water".'
WORDS = [f"word{n}" for n in range(40)]
ROW = {"topic": "Tomatoes", "language": "en"}


@pytest.mark.parametrize(("run", "found"), [(11, False), (12, True), (13, True), (40, True)])
def test_a_run_of_twelve_words_of_the_prompt_is_found(run: int, found: bool) -> None:
    text = f"So: {' '.join(WORDS[5 : 5 + run])} – yes."
    findings = findings_with("echo", "article", ROW, {"body_markdown": text}, prompts=[" ".join(WORDS)])
    assert [one.measured for one in findings] == ([min(run, 35)] if found else [])


def test_the_limit_is_a_number_of_words() -> None:
    text = " ".join(WORDS[:5])
    prompts = [" ".join(WORDS)]
    assert findings_with("echo", "article", ROW, {"body_markdown": text}, prompts=prompts, words=5)
    assert not findings_with("echo", "article", ROW, {"body_markdown": text}, prompts=prompts, words=6)


@pytest.mark.parametrize(
    ("text", "place"),
    [
        (f"Fine. {SYSTEM} Fine.", SYSTEM.rstrip(".")),
        ("A\n\nTopic: Tomatoes and more\n\nB", None),
        ('Text.\n\nWrite the section "Water".', 'Write the section "Water".'),
        (
            "Text.\nYOU write clear, correct and useful text. You answer with the text",
            "YOU write clear, correct and useful text. You answer with the text",
        ),
    ],
)
def test_the_prompt_is_found_at_its_place(text: str, place: str | None) -> None:
    assert places_of("echo", text, "article", ROW, prompts=[SYSTEM, USER]) == ([place] if place else [])


def test_twenty_four_ideographs_are_a_run() -> None:
    prompt = "あなたは雑誌の記者です。明確で正しく役に立つ文章を書いてください。"
    for length, found in ((22, False), (24, True), (28, True)):
        letters = "".join(sign for sign in prompt if sign.isalnum())[:length]
        assert bool(places_of("echo", f"はい、{letters}", "article", ROW, prompts=[prompt])) is found


@pytest.mark.parametrize(
    ("kind", "row"),
    [
        ("article", {"topic": " ".join(WORDS), "language": "en"}),
        ("social_post", {"source_text": " ".join(WORDS), "platform": "x"}),
        ("chat", {"messages": [{"role": "user", "content": " ".join(WORDS)}]}),
        ("chat", {"prompt": " ".join(WORDS)}),
        ("completion", {"prompt": " ".join(WORDS)}),
        ("translation", {"text": " ".join(WORDS), "source_language": "en", "target_language": "de"}),
    ],
)
def test_values_of_the_request_may_be_quoted(kind: str, row: dict[str, object]) -> None:
    text = " ".join(WORDS[:30])
    assert places_of("echo", text, kind, row, prompts=["Write.", " ".join(WORDS)]) == []


@pytest.mark.parametrize(
    "row",
    [
        {"prompt": "Hello", "system": SYSTEM},
        {"messages": [{"role": "system", "content": SYSTEM}, {"role": "user", "content": "Hello"}]},
    ],
)
def test_the_turns_of_the_system_may_not_be_quoted(row: dict[str, object]) -> None:
    assert places_of("echo", f"My rules: {SYSTEM}", "chat", row) == [SYSTEM.rstrip(".")]
    assert places_of("echo", "Hello! How can I help?", "chat", row) == []


@pytest.mark.parametrize(
    "task",
    [
        "You are a translator.",
        "You are a helpful assistant.",
        "Translate the following text.",
        "Write a title of at most 60 characters.",
        "Schreiben Sie einen Titel mit höchstens 60 Zeichen.",
        "Übersetzen Sie den folgenden Text.",
        "Traduisez le texte suivant.",
        "Traduce el siguiente texto.",
        "Переведите следующий текст.",
        "请将以下文本翻译成中文。",
        "以下の文章を日本語に翻訳してください。",
    ],
)
def test_words_that_tell_a_model_what_to_do_are_found(task: str) -> None:
    (place,) = places_of("echo", f"{task} Water helps.", "article", ROW)
    assert place in f"{task} Water helps."
    assert places_of("echo", f"{task} Water helps.", request={"prompt": task}) == []


@pytest.mark.parametrize(
    "text",
    [
        "You are a good neighbour if you water the tomatoes.",
        "Write a list of what you need.",
        "Write down what you eat, in a few words.",
        "The words of the song are old.",
        'The prompt was "You are a helpful assistant" in full.',
        "Translate your plans into action.",
        "",
    ],
)
def test_usual_words_pass(text: str) -> None:
    assert places_of("echo", text, "article", ROW, prompts=[SYSTEM, USER]) == []


@pytest.mark.parametrize("sign", ["a ", "\n", "you are a ", "Write a title of ", "字", "you "])
def test_a_text_of_one_sign_takes_little_time(sign: str) -> None:
    places_of("echo", (sign * 100_000)[:100_000], "article", ROW, prompts=[SYSTEM, USER, "you " * 1_000])
