"""The docker executor: each job in a container of its own, from an image named by its digest.

`environments` answers for the images; `executor` runs a job from `engine` (the connection), `specification`
(what the container is), `mounts` or `volumes` (how files get there), `container` (its life), `streaming` (its
words) and `verdict` (what its end means); `owner` finds what killed clients left behind.
"""
