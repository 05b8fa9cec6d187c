"""What `fairlead seal`, `reseal` and `keys` are made of: reading values, keys and files, and writing ciphertext into them."""
