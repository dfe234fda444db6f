"""The engine `seq2seq`: encoder-decoder models made for translation, by `generate` of transformers.

`engine` runs batches of requests, `batches` chooses them, `decoding` is what `generate` is told about each row of a batch, and
`loading` makes the engine of a folder. What the models read is in `workers/engines/families/`.
"""
