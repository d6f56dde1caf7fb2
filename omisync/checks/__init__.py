"""What is judged before anything is sent: addresses, SKUs, phones, what a refusal means. Pure: no database, no HTTP.

Nothing is imported here, so that a command that checks nothing loads nothing of it.
"""
