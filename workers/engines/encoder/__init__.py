"""The engine `encoder`: models that read a text in one pass and write none. They classify, embed, or fill gaps.

`detection` sees by the files what a model can do, `sentence_files` reads the files of sentence-transformers, `reader` turns texts
into tokens, `pooling` makes one vector of those of the tokens, `heads` holds the networks, `engine` runs batches, and `loading`
makes the engine of a folder.
"""
