"""One module per command, each with `main(options, sinks) -> exit code`."""
