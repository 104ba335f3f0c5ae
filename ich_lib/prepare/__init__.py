"""From Hounsfield units to what a model is shown: window, head box, augmentation, corruptions."""
