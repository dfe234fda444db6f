"""The process that admits one submission: `python -m jobs.submissions.process TENANT SUBMISSION`, with the settings on its input.

It is a process of its own, so that reading a large or hostile file holds up no request, and that its end harms nothing else.
"""

import os
import pickle
import sys

from jobs import logs
from jobs.client import Client
from jobs.errors import NightpressError
from jobs.settings import Settings
from jobs.submissions.admission import admit
from jobs.submissions.journal import Journal
from jobs.submissions.scratch import scratch_folder


def main(tenant: str, submission_id: str, settings: Settings) -> int:
    """Admit one submission. Returns the exit status: that of the error that kept it from being decided, or 0."""
    os.nice(5)  # requests of clients go first
    logs.configure(settings.log_level, settings.log_format)
    try:
        with scratch_folder(settings.cache_dir), Client(settings) as client:
            journal = Journal(client.store, client.clock)
            submission = journal.find(tenant, submission_id)
            if submission is not None:
                admit(client, journal, submission)
    except NightpressError as error:
        logs.logger().warning("submission.admission_failed", submission=submission_id, error=str(error))
        return error.exit_status
    return 0


if __name__ == "__main__":
    given = pickle.load(sys.stdin.buffer)  # noqa: S301 - the settings, from the process that started this one
    sys.exit(main(sys.argv[1], sys.argv[2], given))
