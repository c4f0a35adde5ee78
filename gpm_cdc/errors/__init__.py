"""One exception tree. Each class is one thing that can go wrong: code, sentence, remedy, exit code, whether to retry.

`base` holds the root; the other modules hold the errors of one part of the program each.
"""
