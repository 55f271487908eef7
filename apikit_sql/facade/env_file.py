"""A file of environment variables, as twelve-factor deployments have it. python-dotenv is an extra."""

from __future__ import annotations

import os
from io import StringIO
from pathlib import Path

from apikit_sql.errors import ConfigError


def load_env_file(path: str | os.PathLike[str]) -> None:
    """Put the variables of the file at `path` into the environment, but for those that are set. Raises ConfigError."""
    try:
        from dotenv import load_dotenv  # noqa: PLC0415 - an extra
    except ModuleNotFoundError as error:
        message = "python-dotenv, which reads env_file, is not installed: pip install 'apikit_sql[dotenv]'."
        raise ConfigError(message) from error
    try:
        load_dotenv(stream=StringIO(Path(path).read_text(encoding="utf-8")))
    except (OSError, UnicodeDecodeError) as error:
        message = f"the env_file {path} cannot be read ({type(error).__name__}). Name another, or create it."
        raise ConfigError(message) from None
