"""The translate engine runs encoder-decoder models by CTranslate2. A model is converted once, into a folder of the cache."""
