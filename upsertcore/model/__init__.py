"""The stored model: contacts, their rows, and the view that a decision reads."""
