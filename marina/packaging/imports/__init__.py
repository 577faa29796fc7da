"""Import of weights that were trained elsewhere: the checkpoint, the network, their match, and the model's file.

Nothing here runs code of a checkpoint, downloads, or writes below models/ or artifacts/.
"""

IMPORTED = "imported"  # the preset in card.json, and the member that has the origin of the weights
