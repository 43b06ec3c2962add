"""Changes below a folder: events of the kernel, hints, and what is ignored."""
