"""The gateway: OpenAI's batch endpoints over HTTP, our extensions, and a page to look at.

It stands on `jobs.submissions` and `jobs.Client`, and adds nothing to what a batch is: a request is checked, kept in the store or
answered from there. A gateway holds no state that another gateway over the same store needs. Neither Ray nor torch is imported.
"""
