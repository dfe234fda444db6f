"""The tree of everything that can go wrong, and the one place that says what may be retried.

    NightpressError
    |- RequestError        the user's words are wrong: nothing was accepted          exit status 2
    |  `- NoBatch              there is no such batch, or no more
    |- UnavailableError    something that is needed is not there                     exit status 3
    |  |- QueueUnavailable     Redis does not answer, or refuses
    |  |- StoreUnavailable     the storage does not answer, is full or read-only
    |  |  |- StoreTimeout          no answer came: what was to be written may stand
    |  |  |- StoreDamaged         a file of one batch is damaged or missing; every other batch goes on
    |  |  `- StoreDeleteFailed           files may not be deleted, and stay; no outcome depends on it
    |  `- ModelUnavailable     weights, tokenizer, device or extra are missing
    |- BatchPaused         the first rows of a batch all failed                      exit status 4
    |- BatchUnfinished     a batch was waited for, and is not published in time      exit status 4
    |- ConflictError       something else stands under that name                     exit status 2
    `- RowError            one row cannot be done; every other row goes on
       |- CheckFailed          the output was made, and does not pass the kind's checks
       `- GenerationFailed     the engine could not answer one of the row's prompts

A RowError carries a stable `code` (the README has the table of them), a message for a person, the input `field` where
one is at fault, and `retryable`: whether another attempt may succeed. Nothing else decides on retries. An exception of
a third-party library is translated in the one module that imports that library.
"""

from typing import Final


class NightpressError(Exception):
    """Anything that Nightpress raises on purpose. `str()` is one line for a person, with what to do."""

    exit_status: int = 1


class RequestError(NightpressError):
    """The request is wrong; nothing was accepted."""

    exit_status = 2


class NoBatch(RequestError):
    """No batch has this id: it never had one, or was deleted."""


class BatchPaused(NightpressError):
    """The first rows of a batch all failed, and it waits for a person."""

    exit_status = 4


class BatchUnfinished(NightpressError, TimeoutError):
    """The time that a caller would wait for a batch is over. The batch goes on."""

    exit_status = 4


class ConflictError(RequestError):
    """Another thing stands under the name that this one would take."""


class UnavailableError(NightpressError):
    """Something that is needed is not there. Waiting, or the remedy in the message, may help."""

    exit_status = 3


class QueueUnavailable(UnavailableError):
    """Redis does not answer, or refuses."""


class StoreUnavailable(UnavailableError):
    """The storage does not answer, is full, or may not be written."""


class StoreTimeout(StoreUnavailable):
    """The storage took a request and did not answer: what was to be written may stand there, or come to stand there yet."""


class StoreDamaged(StoreUnavailable):
    """A file of one batch is damaged or missing, and waits for its backup. Every other batch goes on."""


class StoreDeleteFailed(StoreUnavailable):
    """Files were to be deleted, and stay: most often the right is missing. No outcome depends on it."""


class ModelUnavailable(UnavailableError):
    """Weights, a tokenizer, a device or an optional package are missing."""


class RowError(NightpressError):
    """One row cannot be done. Every other row goes on.

    Args:
        code: One of `CODES`, or a code that a third-party kind documents: lower case, words joined by `_`.
        message: One sentence for a person.
        field: The path of the input field at fault, such as `request.topic`, where one is.
        retryable: Whether another attempt may succeed.
    """

    def __init__(self, code: str, message: str, *, field: str | None = None, retryable: bool = False) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.field = field
        self.retryable = retryable


class CheckFailed(RowError):
    """The output was made, and does not pass the checks of its kind."""


class GenerationFailed(RowError):
    """The engine could not answer one of the row's prompts."""


CODES: Final[dict[str, str]] = {
    # Intake: the line cannot be accepted. Final at once, costs nothing.
    "not_json": "The line is not valid JSON.",
    "not_an_object": "The line is JSON, but not an object.",
    "not_utf8": "The line is not valid UTF-8.",
    "row_too_large": "The line is longer than 1 MiB.",
    "not_csv": "The line is no row of a CSV: a quote is left open, or it has more cells than the header.",
    "unknown_url": "The url of a batch line is none that can be followed.",
    "unknown_field": "The row has a field that its kind does not know.",
    "missing_field": "The row lacks a field that its kind needs.",
    "wrong_type": "A field has the wrong JSON type.",
    "out_of_range": "A field's value is outside its limits.",
    "duplicate_custom_id": "An earlier row has this custom_id; the first keeps it.",
    "unknown_kind": "No kind has this name, or the row names none and the command gave none.",
    "unknown_model": "No model has this alias.",
    # Generation: the engine refused or failed one request.
    "empty_prompt": "The prompt has no tokens.",
    "prompt_too_long": "The prompt and its completion do not fit into the model's context.",
    "token_out_of_range": "The prompt holds a token that the model does not have.",
    "unsupported_parameter": "A parameter of the request is not supported, here or by the engine of its model.",
    "unknown_adapter": "The model has no adapter of this name.",
    "generation_failed": "The engine failed on this request.",
    "out_of_memory": "The request does not fit into the device's memory.",
    # Kinds: what came out cannot be published.
    "output_not_json": "The answer is not JSON, as the row asked for.",
    "empty_output": "The model wrote nothing that can be used.",
    "post_too_long": "The post is longer than its platform allows, also after two more tries.",
    "output_incomplete": "The text ended at max_tokens before it was complete.",
    "segment_mismatch": "The translation does not have the segments of its source.",
    "kind_failed": "The kind raised an error that is not a check of its own.",
    # The line: what happened to the attempts.
    "crashed_worker": "Its worker died again and again, also with no other row in hand.",
    "bad_record": "The stored request of this row cannot be read back, or is not what was accepted.",
    "cancelled": "The batch was cancelled before this row was done.",
    "postponed": "The row was not done at the batch's soft deadline: it comes with the next round.",
    "expired": "The batch's deadline passed before this row was done.",
}
"""Every error code that Nightpress itself gives, and its sentence. Codes are stable; messages may change."""
