"""Which files of a Hugging Face model folder a stage reads that loads the model."""

MODEL_FILES = (
    "config.json",
    "generation_config.json",
    "*.safetensors",
    "*.safetensors.index.json",
    "tokenizer*",
    "special_tokens_map.json",
    "added_tokens.json",
    "vocab.json",
    "vocab.txt",
    "merges.txt",
    "*.model",
    "*.tiktoken",
    "*.jinja",
    "chat_template.json",
    "preprocessor_config.json",
)
"""Weights, configuration, tokenizer and chat template; not the record of where they came from."""
