"""What pages of studies share: claims, blocks under the numbers of the paper, and files."""
