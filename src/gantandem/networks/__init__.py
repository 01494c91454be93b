"""What runs a user's networks and checks them."""
