"""Run an untrusted program, isolated and with limits."""
