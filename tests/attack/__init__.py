"""The attack suite: a vulnerable service in an image of its own, and everything an attacker may try from inside it."""
