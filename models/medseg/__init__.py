"""Networks of medical segmentation: a SAM-like encoder with prompts and a mask decoder, and what decides on masks."""
