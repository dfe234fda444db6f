"""The engine `remote`: any server with OpenAI's API, here or at a provider, as if it were a model of one's own.

`engine` keeps requests in flight on a thread of its own, `pace` says how many and when, `calls` makes the body of a request,
`answers` reads what came back, and `loading` makes the engine of a card. The API is OpenAI's, version 2.3.0 of its specification;
what vLLM, SGLang and llama.cpp add to it is used if the card says so.
"""
