"""The page: what people look at in a browser. It is rendered on the server, and works without script but for live numbers.

A person signs in with a key of the API, and sees and may do there what the key may. All that a row, a file or a model says is
shown as text; only the Markdown of outputs becomes HTML, sanitised. The page asks no other host for anything. `site.py` puts it
together.
"""
