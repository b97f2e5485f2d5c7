"""What may be shown: secrets and this machine's folders taken out, texts fit for a terminal."""
