"""What becomes of each table: the model, its validation, its inference from a catalogue, its TOML text."""
