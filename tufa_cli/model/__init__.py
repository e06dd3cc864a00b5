"""The network: image encoder, structure prompts, decoder and head; tensors only.

Dimension letters: B faces, K landmarks, H W image, D width, T tokens, L decoder layers.
"""
