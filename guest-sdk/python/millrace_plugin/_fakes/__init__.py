"""What stands for the agent in tests."""
