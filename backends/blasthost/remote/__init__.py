"""What is sent to the blast host: scripts that need nothing of this project there."""
