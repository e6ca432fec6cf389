"""Programs that run inside an environment (a virtual environment or a container).

Nothing here imports the host's modules: a job sees its request, its input folders and its output
folder. Imports between these modules are relative, because the executor runs a copy of exactly the
files that a program needs, under the package name ``inside``.
"""
