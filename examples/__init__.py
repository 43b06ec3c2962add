"""The bundled sample and the generator that writes it, and every test and benchmark input."""
