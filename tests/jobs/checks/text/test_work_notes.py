"""Shows jobs/checks/text/work_notes.py: a published text says nothing of how it was made."""

import pytest

from jobs.findings import Severity
from tests.support.checking import findings_of, places_of

BEFORE = "Tomatoes grow best in the sun. "
AFTER = " Water them each morning, and turn the pots from time to time."

NOTES = (
    "Sure, here's your rewritten paragraph!",
    "Here is the original paragraph removed:",
    "Here's a sample paragraph that covers the topic.",
    "Here is your revised article:",
    "Here are some possible titles for it.",
    "I'm ready to help you create your blog post.",
    "I\u2019m here to help you create your first post.",
    "I'll assist you by sharing tips.",
    "What's on your mind?",
    "How can I help you today?",
    "Let me know if you need any changes.",
    "Please let me know if you would like me to revise it.",
    "I've made some changes to the text.",
    "I have added some additional information to the paragraph.",
    "I've shortened the article for you.",
    "The revised version is below.",
    "Your response will now show you what changes were made.",
    "The following paragraph can be translated into English.",
    "To enhance the writing quality, more was said.",
    "I hope this helps!",
    "This is just a sample translation.",
    "This is a post that I will use to explain it.",
    "Posts should focus on light and fun content.",
    "Here's your feedback:",
    'I changed "the moment" to "this moment".',
    "[Translate this to English]",
    "The topic sentence begins by explaining it.",
    "Word count: 120",
    "Hier ist der überarbeitete Text:",
    "Ich habe den Text etwas angepasst.",
    "Lassen Sie mich wissen, wenn Sie weitere Fragen haben.",
    "Voici le texte révisé :",
    "J'ai modifié le texte.",
    "Aquí está el texto reescrito.",
    "Espero que esto te ayude.",
    "Ecco il testo riscritto:",
    "Aqui está o texto revisado.",
)


@pytest.mark.parametrize("note", NOTES)
@pytest.mark.parametrize("joint", [" ", "\n\n"])
def test_a_note_of_the_model_is_found_anywhere_in_an_article(note: str, joint: str) -> None:
    text = BEFORE.strip() + joint + note + joint + AFTER.strip()
    found = places_of("chat_markup", text, "article", {"topic": "Tomatoes"})
    assert found
    assert all(words in note for words in found)


@pytest.mark.parametrize("note", NOTES[:8])
def test_a_chat_may_speak_of_its_work(note: str) -> None:
    found = findings_of("chat_markup", "chat", {"prompt": "Rewrite this."}, BEFORE + note + AFTER)
    assert [one for one in found if one.severity is Severity.FAIL] == []


@pytest.mark.parametrize(
    "text",
    [
        "Here is the article of the law that matters: section 5.",
        "Here are three ways to water tomatoes.",
        "Here's your chance to grow your own.",
        "I'm ready for the summer, and so are my pots.",
        "I have added basil to the pots, and made a salad of it.",
        "I have made changes to my balcony.",
        "The paragraph above the door says who built it.",
        "The final version of the plan was published in May.",
        "How can I help my plants? Water them.",
        "We hope this summer is warm.",
        "Let me know in the comments how yours grow.",
        "The final summary of the jury is short: they liked it.",
        "What would you like to eat tonight?",
        "To improve the soil, add compost.",
        "Sure, here in the north it is colder.",
        "Hier ist der Garten, den ich meine.",
        "Voici le jardin que je préfère.",
        "Aquí está el jardín.",
        "Note: the pots must have holes.",
        "This is an improved variety of the old sort.",
        "This is a final call for seeds.",
        "Fence posts should be set before the frost.",
        "I changed the pots to larger ones.",
        "[See the figure below]",
        "This is an article of the constitution.",
        "His tone: friendly. Her voice: warm.",
    ],
)
def test_words_that_only_look_like_a_note_pass(text: str) -> None:
    assert places_of("chat_markup", BEFORE + text + AFTER, "article", {"topic": "Tomatoes"}) == []


def test_a_label_of_the_prompt_is_for_review() -> None:
    text = f"Tone: friendly\nReaders: beginners\n\n{BEFORE}{AFTER}"
    found = findings_of("chat_markup", "article", {"topic": "Tomatoes"}, {"body_markdown": text})
    assert [(one.measured, one.severity) for one in found] == [
        ("Tone:", Severity.REVIEW),
        ("Readers:", Severity.REVIEW),
    ]
    assert places_of("chat_markup", text, "article", {"topic": "What Tone: and Readers: mean in a brief"}) == []


def test_a_translation_may_have_what_its_source_says() -> None:
    row = {"text": "Here is your revised article. Enjoy it!", "source_language": "en", "target_language": "de"}
    assert places_of("chat_markup", "Hier ist der überarbeitete Artikel. Viel Spaß!", "translation", row) == []
