"""Commands: thin, each in a module of its own that is imported when it runs, so that ``rigdrop --help`` is quick."""
