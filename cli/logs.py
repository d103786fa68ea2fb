"""Logging to standard error, for people or as JSON lines. Quiet unless asked for."""

import json
import logging
from typing import Final

from minilm.runtime.display import visible, visible_json

__all__ = ["configure"]

_LEVELS: Final = {0: logging.INFO, 1: logging.INFO}
_STANDARD: Final = frozenset(logging.makeLogRecord({}).__dict__) | {"message", "asctime"}


class _JsonFormatter(logging.Formatter):
    """One object a line: time (ISO 8601, UTC), level, logger, message, and the record's extras."""

    def format(self, record: logging.LogRecord) -> str:
        from datetime import UTC, datetime

        entry = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            **{key: value for key, value in vars(record).items() if key not in _STANDARD},
        }
        if record.exc_info:
            entry["exception"] = self.formatException(record.exc_info)
        return visible_json(json.dumps(entry, ensure_ascii=False, default=str))


class _PlainFormatter(logging.Formatter):
    """Time and message on one line; a traceback below it."""

    def format(self, record: logging.LogRecord) -> str:
        return "\n".join(visible(line) for line in super().format(record).splitlines())


def configure(verbose: int, *, as_json: bool) -> None:
    """Send the toolkit's log to standard error.

    Args:
        verbose: 0 or 1 for each stage, 2 and more for details too.
        as_json: a line of JSON for each record, in place of plain text.
    """
    handler = logging.StreamHandler()
    handler.setFormatter(
        _JsonFormatter() if as_json else _PlainFormatter("%(asctime)s %(message)s", "%H:%M:%S")
    )
    logger = logging.getLogger("minilm")
    logger.handlers = [handler]
    logger.setLevel(_LEVELS.get(verbose, logging.DEBUG))
    logger.propagate = False
