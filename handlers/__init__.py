"""How a request becomes an answer: `base.py`, one file a task, and the codecs that training shares."""
