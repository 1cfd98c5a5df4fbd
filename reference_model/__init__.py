"""One configurable reference GPT; each known system is a preset."""
