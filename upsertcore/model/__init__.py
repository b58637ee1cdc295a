"""What is stored: contacts, their rows, and what a decision reads of a store."""
