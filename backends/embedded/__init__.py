"""The embedded default: a blast host, a dashboard and a mail sink on loopback."""
