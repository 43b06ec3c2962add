"""Questions to a published build, for the command line, web pages, dashboards and notebooks."""
