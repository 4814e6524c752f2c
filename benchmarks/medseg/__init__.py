"""Medical segmentation: a pretrained encoder, adapted to organs, vessels and membranes."""
