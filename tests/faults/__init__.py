"""The planted-fault suite: one small case for each way in which a build can go wrong."""
