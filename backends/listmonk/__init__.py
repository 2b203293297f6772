"""A listmonk platform: campaigns that it sends by itself, watched and driven over its HTTP API."""
