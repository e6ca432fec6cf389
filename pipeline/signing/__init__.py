"""Who signs a release, and how: keys, certificates, Sigstore identities; envelopes, and the folder's signature."""
