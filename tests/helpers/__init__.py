"""What several tests use: models, independent truths, and programs that tests start."""
