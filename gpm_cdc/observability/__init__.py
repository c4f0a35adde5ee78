"""What the program tells its operator: log keys, log set-up, metric names. Never row values, never secrets."""
