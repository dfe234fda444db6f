"""The engine `vllm`: decoder-only models on vLLM, inside the worker's own process, in an environment of its own.

`environment` says where that environment is and whether it fits; `loading` builds vLLM for a card; `engine` steps it;
`sequences` follows each request; `sampling` gives vLLM our sampling params, and reads its log probabilities; `scheduler`
records what each step computes. Our own encoder makes the tokens, and our own rules end a text, so a content never becomes a
control token, and stop texts and thoughts are what they are for the other engines.

Leases live by steps, so vLLM is stepped inside the worker's process and not called over HTTP. A continuation is scored by a
request for each of its tokens, since only those use the cache of prefixes. A model that thinks runs freely, and is handed over
anew under its schema when its answer begins.

Nothing of `workers.engines.causal` may be imported here: Numba, which its kernels use, must not be loaded before vLLM's engine
for CPUs is built. vLLM itself is imported only in functions, since it takes seconds and is missing in most environments.
"""
