"""What a few runs of a model tell: a Gaussian reference, a grid."""
