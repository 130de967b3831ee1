"""A picture of the network: our node, its peers and their neighbourhood."""
