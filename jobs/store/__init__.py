"""The store: files that outlive every process, on a local disk or an object store."""
