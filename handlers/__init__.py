"""Request handlers: the base class, one file per task, and the codecs that training shares."""
