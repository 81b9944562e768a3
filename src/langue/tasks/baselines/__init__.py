"""What labels can be told by without a network: the baselines that a fine-tuned model has to beat."""
