"""What the program tells its operator: log keys and log set-up. Never row values, never secrets."""
