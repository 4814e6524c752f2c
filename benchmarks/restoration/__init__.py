"""Image restoration: colour photographs with real or synthetic degradations."""
