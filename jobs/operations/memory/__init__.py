"""What people do with a translation memory: take in what editors wrote, hand it out, look into it, forget."""
