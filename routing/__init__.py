"""A/B routing: experiments in front of TorchServe, from a split to a decision."""
