"""Marks of a chat: tokens of all families, labels of roles, announcements and refusals, in many languages."""

# ruff: noqa: RUF001 - signs of other scripts

import pytest

from tests.support.checking import findings_with, places_of

ARTICLE = {"topic": "Tomatoes", "language": "en"}


def in_article(text: str, **request: object) -> list[str]:
    return places_of("chat_markup", text, "article", ARTICLE | request)


@pytest.mark.parametrize(
    ("text", "token"),
    [
        ("Water them.<|im_end|>", "<|im_end|>"),
        ("<|start_header_id|>assistant", "<|start_header_id|>"),
        ("Water them.<|eot_id|>", "<|eot_id|>"),
        ("Water them.<|endoftext|>", "<|endoftext|>"),
        ("<|START_OF_TURN_TOKEN|>Water them.", "<|START_OF_TURN_TOKEN|>"),
        ("<|channel|>Water them.", "<|channel|>"),
        ("<｜end▁of▁sentence｜>", "<｜end▁of▁sentence｜>"),
        ("[INST] Water them.", "[INST]"),
        ("Water them. [/INST]", "[/INST]"),
        ("<<SYS>> Be kind.", "<<SYS>>"),
        ("[TOOL_CALLS] now", "[TOOL_CALLS]"),
        ("Water them.<end_of_turn>", "<end_of_turn>"),
        ("Water <unk> them.", "<unk>"),
        ("Water <extra_id_0> them.", "<extra_id_0>"),
        ("[gMASK] Water them.", "[gMASK]"),
        ("<s> Water them.", "<s>"),
        ("Water them.</s>", "</s>"),
        ("<think>Let me think.", "<think>"),
        ("Let me think.</think> Water them.", "</think>"),
        ("One.\n### Response:\nTwo.", "### Response:"),
        ("Water\u0120them", "\u0120"),
        ("\u2581Water them", "\u2581"),
        ("トマト<|im_end|>", "<|im_end|>"),
    ],
)
def test_a_special_token_is_found_at_its_place(text: str, token: str) -> None:
    assert in_article(text) == [token]


@pytest.mark.parametrize(
    ("text", "labels"),
    [
        ("Assistant: Water them.", ["Assistant:"]),
        ("**AI:** Water them.", ["**AI:**"]),
        ("助手：给番茄浇水。", ["助手："]),
        ("アシスタント：水をやります。", ["アシスタント："]),
        ("Ассистент: Поливайте.", ["Ассистент:"]),
        ("Assistant : Arrosez.", ["Assistant :"]),
        ("Water them.\nUser: When?\nAssistant: Now.", ["User:", "Assistant:"]),
        ("Gießen.\nBenutzer: Wann?\nAssistent: Jetzt.", ["Benutzer:", "Assistent:"]),
        ("المساعد: اسق الطماطم.", ["المساعد:"]),
        ("सहायक: पानी दें।", ["सहायक:"]),
        ("사용자: 언제?\n어시스턴트: 지금.", ["사용자:", "어시스턴트:"]),
    ],
)
def test_the_label_of_a_role_is_found(text: str, labels: list[str]) -> None:
    assert in_article(text) == labels


@pytest.mark.parametrize(
    "text",
    [
        "As an AI language model, I have no garden.",
        "I'm just an AI, but water helps.",
        "Als KI-Sprachmodell habe ich keinen Garten.",
        "En tant qu'IA, je n'ai pas de jardin.",
        "Como modelo de lenguaje, no tengo jardín.",
        "In quanto intelligenza artificiale, non ho un giardino.",
        "Como uma IA, não tenho jardim.",
        "Als AI-taalmodel heb ik geen tuin.",
        "Jako model językowy nie mam ogrodu.",
        "Как языковая модель, я не имею сада.",
        "作为一个AI语言模型，我没有花园。",
        "AI言語モデルとして、私は庭がありません。",
        "AI 언어 모델로서 저는 정원이 없습니다.",
        "بصفتي نموذجا لغويا ليس لدي حديقة.",
        "एक AI के रूप में मैं बागवानी नहीं करता।",
        "I'm sorry, but I can't help with that.",
        "I cannot assist with this request.",
        "I am unable to provide medical advice.",
        "I can’t fulfill your request.",
        "Es tut mir leid, ich kann diese Anfrage nicht beantworten.",
        "Dabei kann ich leider nicht helfen.",
        "Désolé, je ne peux pas vous aider avec cela.",
        "Lo siento, pero no puedo ayudarte con eso.",
        "Mi dispiace, ma non posso aiutarti con questo.",
        "Desculpe, mas não posso ajudar com isso.",
        "Het spijt me, maar ik kan u daar niet mee helpen.",
        "Przepraszam, ale nie mogę pomóc w tej sprawie.",
        "Извините, но я не могу помочь с этим.",
        "抱歉，我无法协助您完成这个请求。",
        "申し訳ありませんが、そのご要望にはお応えできません。",
        "죄송하지만 그 요청은 도와드릴 수 없습니다.",
        "عذراً، لا يمكنني المساعدة في ذلك.",
        "क्षमा करें, मैं इसमें मदद नहीं कर सकता।",
        "Üzgünüm, bu konuda yardımcı olamam.",
    ],
)
def test_an_assistant_that_speaks_of_itself_or_refuses_is_found(text: str) -> None:
    (place,) = in_article(text)
    assert place in text


@pytest.mark.parametrize(
    "text",
    [
        "Sure! Here is your article about tomatoes:\n\nWater them.",
        "Here is the translation:\nWater them.",
        "Certainly!\nWater them.",
        "Hier ist der Beitrag:\nGießen Sie.",
        "Voici le titre :\nArroser",
        "以下是翻译：浇水",
        "Natürlich! Hier ist die Übersetzung:\nGießen Sie.",
    ],
)
def test_an_announcement_is_found_and_for_review_in_a_chat(text: str) -> None:
    (finding,) = findings_with("chat_markup", "article", ARTICLE, text)
    assert (finding.severity, finding.where and finding.where.start) == ("fail", 0)
    (finding,) = findings_with("chat_markup", "chat", {"prompt": "Tomatoes"}, text)
    assert finding.severity == "review"


@pytest.mark.parametrize(
    "text",
    [
        "Water the tomatoes.",
        "Here are three tips: water, mulch, prune.",
        "As an AI company, we build tools for gardens.",
        "As a language model grows, its errors shrink.",
        "Als KI-Unternehmen bauen wir Werkzeuge.",
        "I can't help falling in love with this coffee!",
        "I cannot recommend it enough.",
        "I can't write enough about this garden.",
        "We won't help weeds grow.",
        "No puedo vivir sin tomates.",
        "Я не могу дождаться лета.",
        'He asked, and it said: "I cannot help with that."',
        "`<|im_start|>` opens a turn.",
        "```\n<|im_start|>user\nUser: a\nAssistant: b\n```",
        "The price was <s>10 euros</s> 8 euros.",
        "<s>10 euros</s>",
        "User: the person who waters.",
        "Model: T-1000\nColour: red",
        "System requirements: a hose.",
        "Time: 10:30\nhttps://example.com/user:1",
        "Sure enough, it rained: all day.",
        "1. [INSTALL] the pump.",
        "| a | b |",
        "<b>Bold</b> and a < b > c",
        "## Introduction: water\n\nText.",
        "我不能没有花园。",
        "庭がないとできません。",
    ],
)
def test_what_a_text_may_say_passes(text: str) -> None:
    assert in_article(text) == []


@pytest.mark.parametrize(
    ("asked", "text"),
    [
        ("What does <|im_start|> mean?", "The token <|im_start|> opens a turn."),
        ("Write a talk of User and Assistant.", "User: Hi.\nAssistant: Hello."),
        ("Explain: I cannot help with that.", "I cannot help with that. So it says."),
    ],
)
def test_what_the_request_names_passes(asked: str, text: str) -> None:
    assert places_of("chat_markup", text, request={"prompt": asked}) == []
    assert places_of("chat_markup", text, request={"prompt": "Other."})


def test_a_translation_may_refuse_as_its_source_does() -> None:
    row = {"source_language": "en", "target_language": "de", "text": "I'm sorry, but I can't help with that."}
    german = "Es tut mir leid, ich kann Ihnen dabei nicht helfen."
    assert not findings_with("chat_markup", "translation", row, german)
    assert findings_with("chat_markup", "translation", row | {"text": "Water the tomatoes."}, german)


@pytest.mark.parametrize(("before", "found"), [(560, True), (599, False), (700, False)])
def test_a_refusal_stands_at_the_beginning(before: int, found: bool) -> None:
    assert bool(in_article("a " * (before // 2) + "I cannot help with that.")) is found


@pytest.mark.parametrize(
    "sign", ["<", "<|", "[", "#", "## ", "AI ", "as an AI ", "I cannot ", "User:\n", ":", "\u2581a", '"']
)
def test_a_text_of_one_sign_takes_little_time(sign: str) -> None:
    in_article((sign * 100_000)[:100_000])
