"""Libraries that talk too much: only what is news goes on, and only to the standard library's logging."""

from __future__ import annotations

import logging
import time

_AGAIN_S = 60.0


class Quiet(logging.Filter):
    """Lets nothing through that tells of an ``expected`` error, nor the same words twice within a minute."""

    def __init__(self, *expected: type[BaseException]) -> None:
        super().__init__()
        self._expected = expected
        self._said_s: dict[str, float] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """Tell whether ``record`` is news."""
        if record.exc_info and isinstance(record.exc_info[1], self._expected):
            return False
        message, now_s = record.getMessage(), time.monotonic()
        if now_s - self._said_s.get(message, float("-inf")) < _AGAIN_S:
            return False
        self._said_s = {text: said_s for text, said_s in self._said_s.items() if now_s - said_s < _AGAIN_S} | {message: now_s}
        return True


def quieten(name: str, *expected: type[BaseException]) -> None:
    """Let the logger ``name`` tell of warnings and worse that are news, but not of ``expected`` errors, and make no handler of its own."""
    logger = logging.getLogger(name)
    if not any(isinstance(own, Quiet) for own in logger.filters):
        logger.addFilter(Quiet(*expected))
        # Some libraries print to the terminal where they find no handler.
        logger.addHandler(logging.NullHandler())
        logger.setLevel(logging.WARNING)
