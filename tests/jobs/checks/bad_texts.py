"""Bad outputs of posts, translations, chats and articles, in many languages: each with a code of a check that must find it."""

# ruff: noqa: E501, RUF001 - a line each, and signs of other scripts

from typing import Final

POSTS: Final = (
    ("en", "Our bakery opens on Sundays", "Sure! Here's a post about the bakery:\n\nWe open on Sundays at eight.", "wrapper"),
    ("en", "Our bakery opens on Sundays", "We open on Sundays! Order at [Insert link] today.", "gap"),
    ("en", "Our bakery opens on Sundays", "We open on Sundays! Follow @bakery_berlin_77 for more.", "invented"),
    ("en", "Our bakery opens on Sundays", "We open on Sundays! See https://www.bakery-sunday.com/now for more.", "invented"),
    ("en", "Our bakery opens on Sundays", "We open on Sundays! A roll is only $1.99 this week.", "invented"),
    ("en", "Our bakery opens on Sundays", "We open on Sundays! Write to orders@sunday-bakery.com. See you!", "personal_data"),
    ("en", "Our bakery opens on Sundays", "As an AI language model, I cannot visit your bakery, but it sounds lovely.", "chat_markup"),
    ("en", "Our bakery opens on Sundays", "We open on Sundays.<|im_end|>", "chat_markup"),
    ("en", "Our bakery opens on Sundays", "Come by on the the first Sunday of the month.", "doubled_word"),
    ("en", "Our bakery opens on Sundays", "Wir öffnen ab jetzt auch am Sonntag um acht Uhr. Kommt gerne alle vorbei!", "wrong_language"),
    ("de", "Unser Laden zieht um", "We are moving to a new shop in the old town. Come and see us there soon!", "wrong_language"),
    ("de", "Unser Laden zieht um", "Wir ziehen um! Kommt am [Datum] in die [Straße].", "gap"),
    ("de", "Unser Laden zieht um", "Gerne! Hier ist ein Beitrag:\n\nWir ziehen um und freuen uns auf euch.", "wrapper"),
    ("de", "Unser Laden zieht um", "Wir ziehen um! Ruft an: Tel. 030 12345678.", "personal_data"),
    ("de", "Unser Laden zieht um", "Als KI-Sprachmodell kann ich leider keine Beiträge veröffentlichen.", "chat_markup"),
    ("fr", "Notre atelier de poterie", "Voici une publication :\n\nVenez essayer notre atelier de poterie !", "wrapper"),
    ("fr", "Notre atelier de poterie", "Venez essayer notre atelier ! Inscription : [Insérer le lien]", "gap"),
    ("es", "Nuestro menú de verano", "Lo siento, pero no puedo ayudarte con esa solicitud.", "chat_markup"),
    ("es", "Nuestro menú de verano", "Ven a probar nuestro menú. Let me know if you want me to change the tone of this post.", "wrapper"),
    ("it", "Corso di cucina", "Vieni al corso di cucina! Scrivi a [Il tuo nome].", "gap"),
    ("pt-BR", "Feira de livros", "Como um modelo de linguagem, não posso participar da feira.", "chat_markup"),
    ("ru", "Йога в парке", "Приходите на йогу в парке! Свяжитесь с нами: [ваш телефон].", "gap"),
    ("ru", "Йога в парке", "Come and join our yoga class in the park every Saturday morning with your friends.", "wrong_language"),
    ("ja", "日曜日の朝市", "Sunday market starts now. Fresh vegetables and bread are waiting for all of you.", "wrong_language"),
    ("ja", "日曜日の朝市", "朝市が始まります。お問い合わせは[お名前]まで。", "gap"),
    ("zh-CN", "周末读书会", "抱歉，我无法帮助您完成这个请求。", "chat_markup"),
    ("ar", "دورة الخط العربي", "Join our new course of Arabic calligraphy and learn the secrets of this beautiful art.", "wrong_language"),
    ("hi", "योग की कक्षा", "Start your morning with our new yoga class and feel fresh for the whole day long.", "wrong_language"),
    ("ko", "주말 벼룩시장", "저는 인공지능 언어 모델이므로 벼룩시장에 갈 수 없습니다.", "chat_markup"),
    ("en", "Tea", "Tea is good for you. Tea is good for you. Tea is good for you. Tea is good for you.", "repetition"),
)  # fmt: skip
"""A language, a topic, a post, and the code that must be among its findings."""

TRANSLATIONS: Final = (
    ("en de", "Save your changes now.", "Sure! Here is the translation: Speichern Sie jetzt Ihre Änderungen.", "wrapper"),
    ("en de", "Save your changes now.", "\"Speichern Sie jetzt Ihre Änderungen.\"", "wrapper"),
    ("en de", "Save your changes before you close the window.", "Save your changes before you close the window.", "untranslated"),
    ("en de", "You have {count} new messages.", "Sie haben neue Nachrichten.", "placeholders_changed"),
    ("en de", "You have {count} new messages.", "Sie haben {anzahl} neue Nachrichten.", "placeholders_changed"),
    ("en fr", "Delete %d files?", "Supprimer les fichiers ?", "placeholders_changed"),
    ("en fr", "<b>Warning</b>: no way back.", "Attention : aucun retour possible.", "markup_changed"),
    ("en fr", "The price is 1,250.50 dollars.", "Le prix est de 1 520,50 dollars.", "numbers_changed"),
    ("en es", "We open at 8:30 on Mondays.", "Abrimos a las 9:30 los lunes.", "numbers_changed"),
    ("en es", "Visit https://example.com/help for more.", "Visite https://example.es/ayuda para más.", "url_or_email_changed"),
    ("en it", "Write to info@example.com today.", "Scriva oggi a informazioni@example.com.", "url_or_email_changed"),
    ("en it", "Good morning, my friend.", "In Italian, the translation of \"Good morning, my friend\" is \"Buongiorno, amico mio\".", "wrapper"),
    ("en pt", "The door is open.", "A porta está aberta. Espero que isto ajude!", "wrapper"),
    ("en ru", "The door is open, and the light is on in the kitchen.", "La porte est ouverte et la lumière est allumée dans la cuisine.", "wrong_language"),
    ("en ru", "The door is open.", "Примечание: перевод сделан дословно.\nДверь открыта.", "wrapper"),
    ("en ja", "The door is open, and the light is on.", "门开着，厨房里的灯也亮着，没有人在家里。", "wrong_language"),
    ("en ja", "The meeting is on 12 May at 14:00.", "会議は5月13日14時です。", "numbers_changed"),
    ("en zh", "Hello, {name}!", "你好！", "placeholders_changed"),
    ("en ko", "The door is open.", "네, 번역해 드리겠습니다: 문이 열려 있습니다.", "wrapper"),
    ("en ar", "The door is open.", "The door is open. الباب مفتوح.", "wrapper"),
    ("en hi", "Only 3 seats are left.", "केवल 5 सीटें बची हैं।", "numbers_changed"),
    ("en el", "Are you sure?", "Είστε σίγουροι.", "end_punctuation"),
    ("en pl", "Water the plants in the morning, and again in the evening.", "Podlewaj.", "length_ratio"),
    ("en nl", "The door is open.", "De deur is is open.", "doubled_word"),
    ("en sv", "{n, plural, one {# file} other {# files}}", "{n, plural, one {# fil}}", "icu_invalid"),
)  # fmt: skip
"""Source and target language, a source, a translation, and the code that must be among its findings."""

CHATS: Final = (
    ("Write a short poem about tea.", "The tea is hot<|im_end|>\n<|im_start|>user\nThanks", "chat_markup"),
    ("Write an invitation for my party on Friday.", "Dear [Name],\n\nyou are invited to my party on Friday.\n\n[Your Name]", "gap"),
    ("Describe our new shoe.", "I'm sorry, but I can't help with that request.", "chat_markup"),
    ("Describe our new shoe.", "The shoe is light. The shoe is light and warm. The shoe is light. The shoe is light and warm.", "repetition"),
    ("Who wrote Faust?", "Call Anna at +49 30 12345678 or pay to DE89 3704 0044 0532 0130 00.", "personal_data"),
    ("Give me an example of a key.", "Use AKIAIOSFODNN7QWERTYU for that.", "secret"),
    ("Write a post about tea.", "User: tea\nAssistant: Tea is good.", "chat_markup"),
)  # fmt: skip
"""A prompt, its answer, and the code that must be among its findings."""
