"""Pictures made for people: contact sheets and heat maps."""
