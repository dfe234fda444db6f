"""Admission: reads the file of a submission, and decides what comes of it.

The batch is made under the id of its submission as its run key, so an admission that was killed at any moment may be made again:
the same file makes the same batch (rule 4 of jobs/PROTOCOL.md), and the decision is created once. Where the client cancelled
meanwhile, the batch that was made is cancelled too.
"""

from contextlib import suppress
from datetime import datetime
from itertools import islice

from jobs.client import Client
from jobs.errors import RequestError
from jobs.formats.json_lines import numbered
from jobs.formats.source import InputLimits, decompressed
from jobs.intake.refusals import RowsRefused
from jobs.operations.enqueue_options import EnqueueOptions
from jobs.submissions.envelopes import SHOWN_FAULTS, envelope_faults
from jobs.submissions.files import Files
from jobs.submissions.journal import Journal
from jobs.submissions.quotas import rows_left
from jobs.submissions.records import Decision, LineFault, Submission


def admit(client: Client, journal: Journal, submission: Submission) -> Decision:
    """Decide what comes of a submission, unless that is decided. Returns the decision that stands.

    Raises StoreUnavailable if the store fails; then the submission is still to be decided.
    """
    standing = journal.decision(submission)
    if standing is not None:
        return standing
    fault = _fault_of_quota(client, journal, submission)
    mine = _made(client, journal.clock(), submission) if fault is None else _refused(journal.clock(), fault)
    standing = journal.decide(submission, mine)
    if standing.outcome == "cancelled" and mine.batch_id is not None:
        with suppress(RequestError):  # it is published already
            client.cancel(mine.batch_id)
    return standing


def refuse(journal: Journal, submission: Submission, code: str, message: str) -> Decision:
    """Decide that a submission is refused as a whole, unless something else is decided."""
    return journal.decide(submission, _refused(journal.clock(), LineFault(code=code, message=message)))


def _fault_of_quota(client: Client, journal: Journal, submission: Submission) -> LineFault | None:
    """Return a fault if the file has more rows than its key may still submit today; None if it has not."""
    at = submission.created_at
    left = rows_left(journal, submission.tenant, submission.by, submission.rows_a_day, at)
    if left is None:
        return None
    with (
        suppress(KeyError),
        Files(client.store, submission.tenant).open(submission.input_file_id) as file,
        decompressed(file, InputLimits.of(client.settings, file)) as unpacked,
    ):
        if sum(1 for _ in islice(numbered(unpacked), left + 1)) > left:
            message = f"the key may submit {submission.rows_a_day:,} rows a day, and {left:,} are left of them"
            return LineFault(code="rows_a_day_exceeded", message=message)
    return None


def _made(client: Client, at: datetime, submission: Submission) -> Decision:
    """Make the batch of a submission, and return the decision to make."""
    files = Files(client.store, submission.tenant, client.clock)
    try:
        record = files.find(submission.input_file_id)
        if submission.strict and submission.kind is None:
            with files.open(submission.input_file_id) as file:
                faults = envelope_faults(file, submission.endpoint, client.settings)
            if faults:
                return _refused(at, *faults)
        with files.open(submission.input_file_id) as file:
            accepted = client.enqueue(
                file, run_key=submission.id, **_options(submission, record.filename if record else "batch")
            )
    except KeyError:
        return _refused(at, LineFault(code="file_not_found", message="the file was deleted: upload it again"))
    except RowsRefused as error:
        shown = error.faults[:SHOWN_FAULTS]
        return _refused(at, *(LineFault(code=f.code, message=f.message, line=f.line, param=f.field) for f in shown))
    except RequestError as error:
        return _refused(at, LineFault(code="invalid_request", message=str(error)))
    if accepted.refused == accepted.rows:  # no worker has anything to do for it
        client.publish(accepted.id)
    return Decision(
        outcome="admitted", batch_id=accepted.id, rows=accepted.rows, refused=accepted.refused, at=client.clock()
    )


def _options(submission: Submission, filename: str) -> EnqueueOptions:
    options: EnqueueOptions = {
        "name": filename.rpartition("/")[2].partition(".")[0] or "batch",
        "tenant": submission.tenant,
        "priority": submission.priority,
        "deadline": submission.deadline,
        "fields": submission.fields,
        "keeps_refused": True,
    }
    if submission.kind is None:
        options["format"] = "openai"
    else:
        options["kind"] = submission.kind
    if submission.model is not None:
        options["model"] = submission.model
    if submission.publish_at is not None:
        options["publish_at"] = datetime.fromisoformat(submission.publish_at)
    if submission.budget is not None:
        options["budget"] = submission.budget
    return options


def _refused(at: datetime, *faults: LineFault) -> Decision:
    return Decision(outcome="refused", faults=faults, at=at)
