"""Publishing a release folder: to a folder, an object store, the Hugging Face hub, a container registry."""
