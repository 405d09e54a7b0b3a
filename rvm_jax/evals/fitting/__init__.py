"""Fits readout heads to the features of a frozen encoder and scores them."""
