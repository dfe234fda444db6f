"""The errors that Nightpress raises, and the codes of rows that fail.

    NightpressError              anything below                                              exit status 1
    |- RequestError              the request is wrong; nothing was accepted                  exit status 2
    |  |- NoBatch                no batch has this id
    |  |- DocumentError          a document to translate cannot be read, or its translations cannot be written
    |  |- LanguageUnsupported    a model has no code for a language, or does not translate between two
    |  |- TemplateFault          a template of a prompt is wrong, or uses a value that it was not given
    |  `- ConflictError          something else has the name that was asked for
    |- UnavailableError          something that is needed is not there                       exit status 3
    |  |- QueueUnavailable       Redis does not answer, or refuses
    |  |- StoreUnavailable       the storage does not answer, is full, or is read-only
    |  |  |- StoreTimeout        the storage did not answer in time; the file may have been written
    |  |  |- StoreDamaged        a file of one batch is damaged or missing; other batches go on
    |  |  |  `- StoreTooNew      a file of one batch has the format of a newer release; other batches go on
    |  |  `- StoreDeleteFailed   files could not be deleted; no outcome depends on it
    |  `- ModelUnavailable       weights, a tokenizer, a device or an optional package are missing
    |     `- HubUnavailable      the hub that has a model's weights does not answer; another try may succeed
    |- OutputUnavailable         standard output or a file that was named takes no more    exit status 5
    |- BatchPaused               the first rows of a batch all failed                        exit status 4
    |- BatchUnfinished           a batch was not published within the time to wait for it    exit status 4
    `- RowError                  one row cannot be done; other rows go on
       |- CheckFailed            the output does not pass the checks of its kind
       `- GenerationFailed       the engine could not answer a prompt of the row

A command that ends with one of these errors exits with its status. A RowError says by `retryable` whether another attempt
may succeed; retries are decided from that alone (workers/worker/retry.py). An exception of a third-party library is
translated into one of these in the one module that imports that library.
"""

from collections.abc import Sequence
from typing import Final


class NightpressError(Exception):
    """The base of all errors that Nightpress raises on purpose. `str()` is one line for a person, with the remedy.

    If `has_lines` is true, `str()` is a heading and a line for each fault.
    """

    exit_status: int = 1
    has_lines: bool = False


class RequestError(NightpressError):
    """The request is wrong; nothing was accepted."""

    exit_status = 2


class NoBatch(RequestError):
    """No batch has this id. It was never made, or was deleted."""


class DocumentError(RequestError):
    """A document to translate, a memory or a file of terms cannot be read, or a translation cannot be written into a document.

    Args:
        name: The name of the file.
        what: What is wrong, as a clause.
        remedy: What to do about it, as a command.
        line: The line at fault, counted from 1; None if no single line is at fault.
    """

    def __init__(self, name: str, what: str, remedy: str, line: int | None = None) -> None:
        super().__init__(f"{name}{f', line {line}' if line else ''}: {what}: {remedy}")
        self.name = name
        self.line = line


class LanguageUnsupported(RequestError):
    """A model cannot read or write a language.

    Args:
        whose: The family or the model, such as `nllb` or `Helsinki-NLP/opus-mt-en-de`.
        what: What is wrong, as a clause that follows `whose`, such as `has no sr-Latn`.
        nearest: The tags of the nearest languages that it has, the nearest first.
    """

    def __init__(self, whose: str, what: str, nearest: Sequence[str] = ()) -> None:
        has = f"; the nearest that it has: {', '.join(nearest)}" if nearest else ""
        super().__init__(f"{whose} {what}{has}: take one that it has, or another model")
        self.nearest = tuple(nearest)


class TemplateFault(RequestError):
    """A template of a prompt is wrong, or uses a value that it was not given.

    Args:
        message: One line that names the template, the line and the fault.
        field: The name of the value that was not given; None if the template has another fault.
    """

    def __init__(self, message: str, *, field: str | None = None) -> None:
        super().__init__(message)
        self.field = field


class OutputUnavailable(NightpressError):
    """The results cannot be written to their destination, since the disk is full or the reader of a pipe went away."""

    exit_status = 5


class BatchPaused(NightpressError):
    """A batch waits for a person: its first rows all failed, or nobody has agreed to its quote yet."""

    exit_status = 4


class BatchUnfinished(NightpressError, TimeoutError):
    """A batch was not published within the time that the caller would wait. The batch itself keeps running."""

    exit_status = 4


class ConflictError(RequestError):
    """Something else already has the name that this request asks for."""


class UnavailableError(NightpressError):
    """Something that is needed is not there. It may come back by itself, or the message names a remedy."""

    exit_status = 3


class QueueUnavailable(UnavailableError):
    """Redis does not answer, or refuses."""


class StoreUnavailable(UnavailableError):
    """The storage does not answer, is full, or is read-only."""


class StoreTimeout(StoreUnavailable):
    """The storage took a request and did not answer in time. The file may have been written, or may still be written later."""


class StoreDamaged(StoreUnavailable):
    """A file of one batch is damaged or missing and must be restored from a backup. Other batches go on."""


class StoreTooNew(StoreDamaged):
    """A file of one batch has the format of a newer release, so it is not read. Other batches go on."""


class StoreDeleteFailed(StoreUnavailable):
    """Files could not be deleted, mostly because the right to delete is missing. No outcome depends on the deletion."""


class ModelUnavailable(UnavailableError):
    """Weights, a tokenizer, a device or an optional package are missing."""


class HubUnavailable(ModelUnavailable):
    """The hub that has a model's weights does not answer, or broke off. Another try may succeed."""


class RowError(NightpressError):
    """One row cannot be done. Other rows go on.

    Args:
        code: One of `CODES`, or a code that a kind of another package documents: lower case, words joined by `_`.
        message: One sentence for a person.
        field: The path of the input field at fault, such as `messages.0.content`; None if no single field is at fault.
        retryable: Whether another attempt may succeed.
    """

    def __init__(self, code: str, message: str, *, field: str | None = None, retryable: bool = False) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.field = field
        self.retryable = retryable


class CheckFailed(RowError):
    """The output cannot be published: the kind refuses it, or a check found a fault for which a row fails."""


class GenerationFailed(RowError):
    """The engine could not answer a prompt of the row."""


CODES: Final[dict[str, str]] = {
    # Intake: the row cannot be accepted. The failure is final and costs nothing.
    "not_json": "The line is not valid JSON.",
    "not_an_object": "The line is JSON, but not an object.",
    "not_utf8": "The line is not valid UTF-8.",
    "duplicate_key": "An object of the line has the same key twice.",
    "row_too_large": "The line is longer than 1 MiB.",
    "not_csv": "The line is not a row of a CSV: a quote is left open, or it has more cells than the header.",
    "unknown_url": "The url of an OpenAI batch line is not supported.",
    "unknown_field": "The row has a field that its kind does not have.",
    "missing_field": "The row lacks a field that its kind requires.",
    "wrong_type": "A field has the wrong JSON type.",
    "out_of_range": "A field's value is outside its limits.",
    "duplicate_custom_id": "An earlier row has the same custom_id, and keeps it.",
    "unknown_kind": "No kind has this name, or neither the row nor the command names a kind.",
    "unknown_model": "No model has this alias.",
    "not_allowed": "The row sets its tenant or its priority, and rows of this batch may not.",
    "unknown_tenant": "The row names a tenant that is not in [tenants], and only those are accepted.",
    "unreadable_document": "The document cannot be read, so none of its segments is sent.",
    "not_a_schema": "The JSON schema of the row is not a valid schema.",
    "schema_unsupported": "The JSON schema of the row has a keyword to which no answer can be held here.",
    # Generation: the engine refused or failed one request.
    "empty_prompt": "The prompt has no tokens.",
    "prompt_too_long": "The prompt and its completion do not fit into the model's context.",
    "forged_turn": "The text holds a special token or turn marker of the model that cannot be written as ordinary characters.",
    "token_out_of_range": "The prompt holds a token that the model does not have.",
    "unsupported_parameter": "The row asks for a parameter that its input format or its engine does not support.",
    "unsupported_kind": "The model cannot do what the row asks for: it only translates, only encodes, or only writes.",
    "unsupported_language": "The model cannot translate from or into this language.",
    "unknown_adapter": "The model has no adapter of this name.",
    "broken_adapter": "The files of the adapter are missing, broken, of another model, or of a sort that is not applied.",
    "generation_failed": "The engine failed on this request.",
    "out_of_memory": "The request does not fit into the device's memory.",
    "remote_unavailable": "The server of the model was busy or away for longer than the model's patience.",
    "remote_invalid": "The server of the model answered, but not with a text and a usage that can be true.",
    "remote_refused": "The server of the model refused the request itself.",
    "content_filtered": "The filter of the model's server refused the content.",
    # Kinds: the output cannot be published.
    "output_not_json": "The row asked for JSON, and the answer is not JSON.",
    "schema_invalid": "The answer does not satisfy the JSON schema of the row.",
    "vector_unusable": "The vector is all zeros, or holds a number that is not finite.",
    "empty_output": "The model wrote nothing that can be used.",
    "reasoning_incomplete": "The model's thoughts took all of max_tokens, or did not end, so there is no answer.",
    "post_too_long": "The post is longer than its platform allows, even after two more tries.",
    "thread_incomplete": "The text has too few sentences for the posts of its thread, even after two more tries.",
    "output_incomplete": "The text ended at max_tokens before it was complete.",
    "segment_mismatch": "The translation does not have as many segments as its source.",
    "kind_failed": "The code of the kind failed: it raised an unexpected error, or returned something that is not its output.",
    # Checks of content: the output breaks a clause of its contract, also after it was asked for again (`nightpress checks`).
    "wrong_language": "A text or a sentence is in another language or script than the one asked for.",
    "forbidden_term": "A term stands in the output that the row or a setting forbids.",
    "doubled_word": "A word stands twice in a row.",
    "repetition": "The text repeats itself.",
    "echo": "The output repeats its prompt.",
    "chat_markup": "The output has marks of a chat: special tokens, labels of roles, an announcement, or a refusal.",
    "cut_off": "The output reached max_tokens and ends in the middle of a sentence.",
    "personal_data": "The output holds a personal address, number or account that the request does not hold.",
    "secret": "The output holds a key, a token or a login that the request does not hold.",
    "gap": "A gap of a template was not filled in, such as [Your Name].",
    "invented": "The output holds a link, handle, address, number or price that the request does not hold.",
    "readability": "The sentences are too long, or the text is too hard to read.",
    "variants_alike": "Variants of a text, or posts of a thread, say the same, or there are fewer than the row asks for.",
    "words_off_target": "The article has too few or too many words.",
    "seo_title": "The title is too short or too long.",
    "meta_description": "The description is too short or too long.",
    "keyword_use": "A keyword does not occur, or too often, or not where it should.",
    "headings": "The headings are not in order: levels, repeats, or headings without text.",
    "heading_repeats_title": "A heading repeats the title or the heading before it.",
    "sections": "The article does not have the sections of its outline.",
    "faq_incomplete": "The article has fewer questions with answers than its request asks for.",
    "sections_alike": "Two sections say the same in the same words.",
    "placeholders_changed": "The translation does not have the placeholders of its source.",
    "markup_changed": "The translation does not have the tags, code and link targets of its source.",
    "icu_invalid": "The translation of an ICU message is not valid, or lacks plural forms of its language.",
    "untranslated": "The translation is the same as its source.",
    "numbers_changed": "The translation does not have the numbers of its source.",
    "url_or_email_changed": "The translation does not have the links and e-mail addresses of its source.",
    "glossary_missed": "The translation lacks a term of the glossary.",
    "names_changed": "The translation lacks a name or word that was to stay as it is.",
    "end_punctuation": "The translation does not end with the mark of its source.",
    "whitespace_edges": "The translation does not have the white space of its source at its edges.",
    "max_length": "The text is longer than its request or its platform allows.",
    "length_ratio": "The translation is much shorter or longer than its source.",
    "wrapper": "Words of the model stand around the text.",
    # Attempts: the row was not done, and no engine or kind is to blame.
    "crashed_worker": "Workers died again and again while they had this row, also when they had no other.",
    "bad_record": "The stored request of this row cannot be read, or is not the one that was accepted.",
    "cancelled": "The batch was cancelled before this row was done.",
    "postponed": "The row was not done by the batch's soft deadline; the next round runs it.",
    "over_budget": "What is left of a budget does not pay for this row; the next round runs it, once there is more.",
    "expired": "The batch's deadline passed before this row was done.",
}
"""Every error code that Nightpress itself gives -> what the code means. Codes are stable; messages may change."""
