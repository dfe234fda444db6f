"""Submissions: what clients send over HTTP and must not be lost, from the first byte of a file to the accepted batch.

A client uploads a file, and then submits a batch of it. Both are written to the store before the client gets an answer, so any
gateway, and any fleet, can go on with them. A submission becomes a batch when a process of its own has read its file; what came
of it is decided by one small file that is created once. This room knows nothing of HTTP.

    submissions/tenant-<tenant>/files/<file>.json      a file that is whole
    submissions/tenant-<tenant>/contents/<file>        its bytes
    submissions/tenant-<tenant>/hidden/<file>          the client deleted it
    submissions/tenant-<tenant>/uploads/<upload>/...   a file that comes in parts
    submissions/tenant-<tenant>/batches/<batch>.json   a submission
    submissions/tenant-<tenant>/times/<time>-<batch>   the same, in the order of time, the newest first
    submissions/tenant-<tenant>/decided/<batch>.json   what came of it: a batch, a refusal, or a cancellation
    submissions/pending/<tenant>~<batch>               a hint that it is to be decided
    submissions/watched/<tenant>~<batch>               a hint that its end is to be told to webhooks
    submissions/claims/<batch>.<n>                     which process works on it, and until when
    submissions/keys/<key>.json, revoked/<key>         the keys of clients
"""
