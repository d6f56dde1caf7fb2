"""What can go wrong with the database, in words for the operator."""


class StoreError(Exception):
    """Any trouble with the merchant's Postgres; the message says what, where and what to do."""


class StoreUnavailable(StoreError):
    """The database cannot be reached or cannot take this now; the same call may succeed later."""


class StoreMisused(StoreError):
    """The database refuses for a reason that waiting does not mend: a right is missing, a table is not there."""


class SchemaError(StoreError):
    """The schema is not the one that this version needs; the message names the command to use."""
