"""What can stop the demo."""


class DemoError(Exception):
    """The demo cannot go on; the message says where it stopped and what to do."""
