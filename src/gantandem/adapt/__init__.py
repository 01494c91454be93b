"""What fits networks to other code and other code to networks."""
