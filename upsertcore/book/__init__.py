"""The book: the verbs of an application, over a store."""
