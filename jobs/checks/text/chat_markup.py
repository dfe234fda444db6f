"""Finds traces of a chat in a text: tokens of chat templates, labels of roles, announcements, and refusals."""

# ruff: noqa: RUF001 - words of other scripts

from collections.abc import Iterator
from typing import Final

import regex

from jobs.checks.check import Broken, Check, Limits, Piece, Subject
from jobs.checks.masks import sentence_spans
from jobs.checks.quoting import shortened
from jobs.checks.text import work_notes
from jobs.checks.text.assistant_talk import as_ai, refusal
from jobs.findings import Severity
from jobs.writing.evidence import Brief
from jobs.writing.labels import DESCRIPTION, POST, SECTION, TITLE, TRANSLATION, announcement

_TOKENS: Final = regex.compile(
    # GPT, Qwen, Phi, Llama 3, Granite, Command, gpt-oss: <|im_start|>, <|START_OF_TURN_TOKEN|>
    r"<\|/?[a-zA-Z_][\w ./:-]{0,60}\|>"
    # DeepSeek: the same with full-width bars
    r"|<\uff5c[\w\u2581 ]{1,60}\uff5c>"
    # Llama 2, Mistral
    r"|\[/?(?:INST|SYSTEM_PROMPT|AVAILABLE_TOOLS|TOOL_CALLS|TOOL_RESULTS|IMG|PREFIX|SUFFIX|MIDDLE)\]|<</?SYS>>"
    # Gemma, T5, BERT, GLM, sentencepiece
    r"|</?(?:start_of_turn|end_of_turn|start_of_image|end_of_image|bos|eos|unk|pad|eod|sep|cls|mask|unused\d{1,5}|extra_id_\d{1,3}|0x[0-9A-F]{2})>"
    r"|\[(?:g?MASK|sMASK|CLS|SEP|PAD|UNK|BOS|EOS|EOT)\]|<reserved_\d{1,4}>"
    # Reasoning and tools
    r"|</?(?:think|thinking|thought|reasoning|reflection|scratchpad|tool_call|tool_calls|tool_response|function_call|fim_prefix|"
    r"fim_middle|fim_suffix|fim_pad|assistant|system|human|answer|output|response|instruction)>"
    # `<s>` is also HTML for struck text, so it is a token only at the beginning or the end
    r"|\A\s{0,5}<s>(?!(?:.|\n){1,1000}?</s>)|</s>\s{0,5}\Z(?<!<s>[^<]{1,1000}</s>\s{0,5})"
    # Alpaca, Vicuna
    r"|^[ \t]{0,3}#{2,3} ?(?:Instruction|Response|Input|Human|Assistant|System|User):?[ \t]*$"
    # signs that a tokenizer puts into pieces of words
    r"|[\u2581\u0120\u010a](?=\p{L})",
    regex.MULTILINE,
)
_TOKEN_SIGNS: Final = (
    "<",
    "[",
    "# Instr",
    "#Instr",
    "# Resp",
    "#Resp",
    "# Input",
    "# Human",
    "# Assis",
    "# System",
    "# User",
    "\u2581",
    "\u0120",
    "\u010a",
)

_USER: Final = (
    "user|human|benutzer|nutzer|mensch|utilisateur|humain|usuario|humano|utente|umano|usuário|gebruiker|mens|użytkownik|człowiek|"
    "пользователь|человек|користувач|användare|uživatel|kullanıcı|χρήστης|用户|用戶|使用者|人类|ユーザー|人間|사용자|المستخدم|उपयोगकर्ता"
)
_ASSISTANT: Final = (
    "assistant|ai assistant|ai|bot|chatbot|chatgpt|assistent|ki|assistente|asistente|ia|asystent|ассистент|помощник|ии|"
    "асистент|yapay zeka|asistan|βοηθός|助手|助理|人工智能|アシスタント|어시스턴트|المساعد|सहायक"
)
_SYSTEM: Final = "system|système|sistema|systeem|система|システム|系统|系統|시스템"
_COLON: Final = r"[*_]{0,2}[ \t\u00a0]{0,2}[:\uff1a][*_]{0,2}(?=\s|\Z|[^\s/])"
_ROLE_FIRST: Final = regex.compile(rf"\A\s{{0,20}}[*_#\s]{{0,6}}(?:{_ASSISTANT}){_COLON}", regex.IGNORECASE)
_ROLE_LINE: Final = regex.compile(
    rf"^[ \t]{{0,8}}[*_#>]{{0,4}}[ \t]?(?:(?P<user>{_USER})|(?P<assistant>{_ASSISTANT})|{_SYSTEM}){_COLON}",
    regex.IGNORECASE | regex.MULTILINE,
)
_ROLE_SIGNS: Final = (":", "\uff1a")
_HEAD: Final = 600
"""A refusal is looked for in this many characters at the beginning of a text."""

_APOLOGY: Final = regex.compile(
    r"\b(?:sorry|apologi[sz]e|apologies|désolée?s?|lo sentimos|lo siento|disculp\p{L}*|desculp\p{L}*|leider|entschuldig\p{L}*|"
    r"spiacent[ei]|scusa\p{L}*|извин\p{L}*|przepraszamy|helaas)\b|申し訳|抱歉|죄송|عذر[اًا]",
    regex.IGNORECASE,
)
"""Matches an apology in a source, whose translation may read like a refusal."""

_QUOTED: Final = regex.compile(
    r"\"[^\"\n]{1,300}+\"|[\u201c\u201e][^\u201c-\u201e\n]{1,300}+[\u201c\u201d]|\u00ab[^\u00ab\u00bb\n]{1,300}+\u00bb|\u00bb[^\u00ab\u00bb\n]{1,300}+\u00ab|"
    r"\u300c[^\u300c\u300d\n]{1,300}+\u300d"
)
_FAMILIES: Final = (POST, TITLE, SECTION, TRANSLATION, DESCRIPTION)


def _find(subject: Subject, limits: Limits) -> Iterator[Broken]:
    del limits
    for piece in subject.pieces:
        yield from _tokens(subject, piece)
        yield from _roles(subject, piece)
        announced = list(_announcement(subject, piece))
        yield from announced
        yield from _talk(subject, piece)
        if not subject.holds_prompt:
            begun = max((one.where.end for one in announced if one.where), default=0)
            yield from (one for one in _notes(subject, piece) if one.where and one.where.start >= begun)


def _tokens(subject: Subject, piece: Piece) -> Iterator[Broken]:
    if not any(sign in piece.uncoded for sign in _TOKEN_SIGNS):
        return
    for found in _TOKENS.finditer(piece.uncoded):
        token = found[0].strip()
        if token not in subject.asked:
            start = found.start() + found[0].index(token)
            yield Broken(f"{token!r} is a mark of a chat", token, None, piece.place(start, start + len(token)))


def _roles(subject: Subject, piece: Piece) -> Iterator[Broken]:
    text = piece.uncoded
    if not any(sign in text for sign in _ROLE_SIGNS):
        return
    lines = list(_ROLE_LINE.finditer(text))
    both = any(line["user"] for line in lines) and any(line["assistant"] for line in lines)
    first = _ROLE_FIRST.match(text)
    for found in lines if both else [first] if first else []:
        label = found[0].strip()
        if label.strip("*_#:\uff1a \u00a0").casefold() not in subject.asked.casefold():
            start = found.end() - len(found[0].lstrip())
            severity = Severity.REVIEW if subject.holds_prompt else None
            message = f"{label!r} is the label of a role in a chat"
            yield Broken(message, label, None, piece.place(start, found.end()), severity)


def _announcement(subject: Subject, piece: Piece) -> Iterator[Broken]:
    if not any(mark in piece.text[:300] for mark in (":", "\uff1a", "!", ".", "\u3002", "\uff01")):
        return
    found = announcement(*_FAMILIES).match(piece.text[:400])
    if found is None or not (found["named"] or found["pronoun"] or (found["interjection"] and found["line"])):
        return
    taken = found[0].strip()
    if Brief(subject.asked).explains(taken, piece.text[found.end() :], "|".join(_FAMILIES)):
        return
    if subject.source_language and announcement(*_FAMILIES).match((subject.source or "")[:400]):
        return
    severity = Severity.REVIEW if subject.holds_prompt else None
    message = f"{shortened(taken)!r} announces the text"
    yield Broken(message, taken[:200], None, piece.place(0, len(found[0].rstrip())), severity)


def _talk(subject: Subject, piece: Piece) -> Iterator[Broken]:
    text = _QUOTED.sub(lambda quoted: " " * len(quoted[0]), piece.uncoded)
    in_chat = subject.holds_prompt
    said = [("speaks as an assistant", found, Severity.NOTE if in_chat else None) for found in as_ai(text)]
    if refused := refusal(text[:_HEAD]):
        said.append(("refuses", refused, Severity.REVIEW if in_chat else None))
    if said and subject.source and (as_ai(subject.source) or refusal(subject.source)):
        return
    if subject.source_language and subject.source and _APOLOGY.search(subject.source[:_HEAD]):
        said = [one for one in said if one[1] is not refused]  # `We are sorry, but the page could not be found.`
    for what, found, severity in said:
        if found[0].casefold() not in subject.asked.casefold():
            message = f"the text {what}: {shortened(found[0])!r}"
            yield Broken(message, found[0][:200], None, piece.place(*found.span()), severity)


def _notes(subject: Subject, piece: Piece) -> Iterator[Broken]:
    text = piece.uncoded
    notes, labels = list(work_notes.notes(text, piece.spans)), list(work_notes.labels(text))
    if not (notes or labels):
        return  # most texts end here, before their source is read
    asked, source = subject.asked.casefold(), subject.source or ""
    if any(work_notes.notes(source, sentence_spans(source))) or any(work_notes.labels(source)):
        return
    for start, end in notes:
        if (words := text[start:end]).casefold() not in asked:
            yield Broken(
                f"the model speaks of its own work: {shortened(words)!r}", words[:200], None, piece.place(start, end)
            )
    for found in labels:
        if found[0].strip().casefold() not in asked:
            message = f"a label of the prompt stands in the text: {found[0].strip()!r}"
            yield Broken(message, found[0].strip(), None, piece.place(*found.span()), Severity.REVIEW)


CHECKS: Final = (
    Check(
        "chat_markup",
        Severity.FAIL,
        "The text has marks of a chat: special tokens, labels of roles, an announcement, or a refusal. In a kind whose rows hold "
        "the whole prompt, only tokens fail; that the model speaks of itself is a note there, and the rest is for review.",
        _find,
        general=True,
    ),
)
