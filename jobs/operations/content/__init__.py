"""What is asked about content itself: what kinds take, which checks hold them, and whether outputs keep them."""
