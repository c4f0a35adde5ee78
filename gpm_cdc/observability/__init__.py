"""What the program tells its operator: log lines and metrics. Never row values, never secrets."""
