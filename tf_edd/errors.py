"""Errors that a user can act on: each says what was expected and what was received."""


class UserError(ValueError):
    """Something the user gave cannot be used; the message says what was expected and what was received.

    The launch programs print the message alone, without a traceback, and exit with status 2.
    """
