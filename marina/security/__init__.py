"""Access keys, TLS, confinement of workers, and bills of materials."""
