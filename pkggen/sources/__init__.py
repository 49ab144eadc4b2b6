"""Source files of a record: what they are, where they are kept, how they are fetched."""
