"""How the programs write log lines: the time, the level of what is more than a message, and the text."""

import logging


class ShortFormatter(logging.Formatter):
    """`01:38:27 search 3/25 ...`, `01:38:27 warning: ...`; debugging lines name their place too."""

    def __init__(self):
        super().__init__("%(asctime)s %(message)s", "%H:%M:%S")

    def formatMessage(self, record: logging.LogRecord) -> str:
        """The line of a record, whose message is complete."""
        if record.levelno < logging.INFO:
            record.message = f"{record.filename}:{record.lineno}: {record.message}"
        elif record.levelno > logging.INFO:
            record.message = f"{record.levelname.lower()}: {record.message}"
        return super().formatMessage(record)
