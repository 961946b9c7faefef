"""The command line: `main` finds the verb, each verb is a thin file of its own."""
