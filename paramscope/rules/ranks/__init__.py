"""8xx: what differs between ranks."""
