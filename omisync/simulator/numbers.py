"""Numbers out of JSON and query strings, where they may be written as strings."""


def whole(value: object) -> int | None:
    """An integer, or a string of one; None for anything else."""
    if isinstance(value, bool):
        return None
    if isinstance(value, int):
        return value
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, str) and 0 < len(value) <= 20 and value.lstrip("-").isascii() and value.lstrip("-").isdigit():
        return int(value)
    return None


def amount(value: object, default: float = 0) -> float:
    """A sum of money, whole if it can be; the default for what is no number."""
    exact = whole(value)
    if exact is not None:
        return exact
    if isinstance(value, (float, str)):
        try:
            return float(value)
        except ValueError:
            return default
    return default
