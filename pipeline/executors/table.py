"""The executors by name, in one literal table. What is installed decides nothing: a user names one."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping

from pipeline.executors.contract import Backend
from pipeline.executors.local import LocalExecutor
from pipeline.executors.local_environments import LocalEnvironments
from pipeline.settings import RunSettings, load_settings
from pipeline.unchanged import settings_file

Emit = Callable[..., None]


def _local(_settings: RunSettings, emit: Emit) -> Backend:
    environments = LocalEnvironments(emit)
    return Backend(environments, LocalExecutor(environments.python))


def _docker(settings: RunSettings, emit: Emit) -> Backend:
    from pipeline.executors.docker.environments import ImageEnvironments  # noqa: PLC0415 - only when it is asked for
    from pipeline.executors.docker.executor import DockerExecutor  # noqa: PLC0415

    environments = ImageEnvironments({str(name): value for name, value in settings.docker.variants.items()})
    environments.check_hosts(settings.hosts)
    return Backend(environments, DockerExecutor(environments.image, settings, emit))


BACKENDS: Mapping[str, Callable[[RunSettings, Emit], Backend]] = {"local": _local, "docker": _docker}


def settings_of(options: argparse.Namespace) -> RunSettings:
    """Return the run settings with what the command line says instead. Raises SettingsError."""
    settings = load_settings(settings_file(options.settings, options.recipe))
    given = {name: value for name in ("executor", "jobs") if (value := getattr(options, name, None)) is not None}
    return settings.model_copy(update=given)


def backend_of(options: argparse.Namespace, emit: Emit) -> Backend:
    """Return what a command line's stages run with."""
    settings = settings_of(options)
    return BACKENDS[settings.executor](settings, emit)
