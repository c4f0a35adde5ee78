"""The command line: click commands and how they show things. Decides nothing itself."""
