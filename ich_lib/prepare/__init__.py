"""From Hounsfield units to the input of a model: window, head box, augmentation, corruptions."""
