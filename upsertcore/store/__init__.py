"""Where contacts and keys are kept: the protocol, and the store in memory."""
