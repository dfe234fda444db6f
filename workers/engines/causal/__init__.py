"""The engine for causal (decoder-only) models of transformers.

`loading` loads a model and builds its engine: the slot engine if the trial of `probe` shows that the model can run in slots,
else the padded engine (`padded_engine`). A request passes through the slot engine in these steps:

1. Submit: `slot_engine` notes the request. A request to score several continuations has been split by `engines/scoring` before.
2. Encode: `engines/text/encoding` turns the prompt into tokens. A request that the model cannot take ends here with a fault. 3.
Wait: the request is now a sequence (`sequences`) and waits in `scheduler`. `capacity` makes the slots of the KV cache
(`runtime/kv_cache`) long enough for the first waiting sequence. 4. Admit: `scheduler` gives the sequence a free slot. A slot
may already hold the keys and values of the prompt's first tokens. If that slot is free, the sequence runs in it; otherwise the
keys and values are copied to the sequence's own slot. 5. Prefill: `runtime/runtime` computes the rest of the prompt, in one
step or several. `runtime/attention` attends to the slots, with the kernels in `kernels`. 6. Sample: `sampler` chooses the
sequence's next token from the logits. 7. Decode: each further step computes the sequence's last token and samples the next. On
a GPU, `runtime/cuda_graphs` replays recorded steps. 8. Stop: after each token, `engines/text/endings` says whether the sequence
ends: by an end token, a stop text or max_tokens. 9. Complete: `slot_engine` frees the slot and returns the completion, with its
share of the device's time (`time_shares`).

A step does all of this for many sequences at once. If a step fails because memory ran out (`faults`), the engine continues with
half the slots. After any other failure each sequence runs alone, so that only the sequence that causes the failure fails. A
failure of the device itself ends the engine.
"""
