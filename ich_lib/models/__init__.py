"""Networks with their recipes, losses and input, and the run folders that training writes."""
