"""A stand-in for a listmonk (v6.2) on a loopback port: its HTTP API, its sending engine, its log, its quirks."""
