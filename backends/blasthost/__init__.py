"""The blast host: SSH session, probe, launcher and logs."""
