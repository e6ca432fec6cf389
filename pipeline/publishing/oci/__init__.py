"""Publishing to a container registry, by the protocol and formats of the Open Container Initiative."""
