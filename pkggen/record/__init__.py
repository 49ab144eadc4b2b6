"""Finding and reading a recorded build: bytes of any origin in, one frozen `Record` out."""
