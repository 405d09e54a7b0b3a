"""RVM: recurrent video masked autoencoders in JAX and Flax."""
