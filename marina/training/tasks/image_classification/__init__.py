"""Images to classes, and the classifier that scores generated images."""
