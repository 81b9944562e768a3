"""What models are put to beside writing and scoring text: tagging, and how well it is done."""
