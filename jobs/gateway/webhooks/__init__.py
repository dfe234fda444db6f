"""Webhooks: a client's server is told when a batch has ended.

What is owed follows from what was published: a submission is watched from its acceptance on, until an event for each webhook of
its tenant stands in the outbox. An event is delivered at least once, under an id that follows from batch, round and webhook; a
receiver that sees an id again may pass over it. Headers and signatures are those of Standard Webhooks, bodies those of OpenAI.

    webhooks/tenant-<tenant>/hooks/<hook>/<n>.json             a webhook; the highest number counts
    webhooks/tenant-<tenant>/events/<hook>/<time>-<event>.json  what was owed to it, the newest first
    webhooks/owed/<event>                                      an event that is not delivered: where it lies
    webhooks/attempts/<event>/<n>.json                         what came of an attempt to deliver it
"""
