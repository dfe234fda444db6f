"""The engines: `stub` needs nothing, `causal` needs torch and transformers. Import the one that you need."""
