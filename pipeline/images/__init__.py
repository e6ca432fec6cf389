"""The container images: built by the engine, made canonical by us, named by digest in one lock."""
