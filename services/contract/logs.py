"""One line per log record in every process: time, level, name, message, then the facts.

Facts are given as `extra={...}`. No transcript text, prompt or key is ever one of them.
"""

import logging

_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "color_message"}


class FactsFormatter(logging.Formatter):
    """Appends what was given as `extra` as name=value."""

    def formatMessage(self, record: logging.LogRecord) -> str:
        """Return the line of a record."""
        facts = {k: v for k, v in vars(record).items() if k not in _STANDARD}
        words = [f"{name}={value}" for name, value in facts.items()]
        return " ".join([super().formatMessage(record), *words])


def configure(level: str) -> None:
    """Log to stderr from this level on."""
    handler = logging.StreamHandler()
    handler.setFormatter(FactsFormatter("%(asctime)s %(levelname)s %(name)s %(message)s"))
    logging.basicConfig(level=level, handlers=[handler])
