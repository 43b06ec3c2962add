"""MongoDB: the connection and its errors, shared by the shipper and the extractor."""
