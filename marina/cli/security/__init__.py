"""Commands about who may do what: access keys, TLS, trusted signing keys."""
