"""``validate``: each check names a promise, and how it is broken."""
